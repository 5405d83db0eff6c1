"""How sure a share is that was counted in a random sample."""

from __future__ import annotations

from math import sqrt

#: The normal distribution's 97.5 % quantile: between minus and plus so many deviations lie 95 %.
Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, 0…1, that was `successes` of `trials`; there is at least one.

    These are the shares p from which the counted one lies no further than z standard errors of p itself. Near 0 and 1,
    and in small samples, it holds what it promises, where the share plus or minus z standard errors does not.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22
    (1927), 209–212; L. D. Brown, T. T. Cai, A. DasGupta, Interval estimation for a binomial proportion, Statistical
    Science 16 (2001), 101–133, formula (4).
    """
    share, z2 = successes / trials, Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    low = 0.0 if successes == 0 else centre - half  # but for rounding, these two are so
    return low, 1.0 if successes == trials else centre + half
