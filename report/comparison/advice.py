"""Which of the models that were compared to choose, in a sentence; and which is no choice, and why not."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from report.words import percent, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report.comparison.figures import Candidate

#: A model that is right less often by more than this is not recommended for being faster: a percentage point.
WORSE_BY = 0.01
#: Standard errors that a difference keeps within by chance, in 95 of 100 cases.
_ERRORS_BY_CHANCE = 1.96
#: Differences of shares that are none: 0.80 - 0.79 is more than 0.01.
_ROUNDING = 1e-9


def recommendation(candidates: Sequence[Candidate], published: Mapping[str, float | None]) -> str:
    """Say in one sentence which candidate to choose, and why; and in one more of each which is no choice, and why not.

    The fastest is chosen of those that no other one outperforms: is right more often by over `WORSE_BY`, and by more
    than chance explains.

    Args:
        candidates: all that were measured.
        published: torchvision's own top-1 accuracy on ImageNet by model, 0…1, for where no truth is known.

    """
    trained = [one for one in candidates if not one.is_random]
    fit = [one for one in trained if not one.has_failed and not one.leaks]
    if not trained:
        return "No model can be recommended: none has trained weights. `nightlabel models` says where to put them."
    if not fit:
        return f"No model can be recommended: {_why_none(trained, candidates)} in the soak test."
    return " ".join([_choice(fit, candidates, published), *(_why_not(one) for one in trained if one not in fit)])


def _why_none(trained: Sequence[Candidate], candidates: Sequence[Candidate]) -> str:
    who = "each" if len(trained) == len(candidates) else "each one with trained weights"
    if len(candidates) == 1:
        who = "the only one that was measured"
    if all(one.has_failed for one in trained):
        return f"{who} failed requests"
    return f"{who} leaked memory" if all(one.leaks for one in trained) else f"{who} failed requests or leaked memory"


def _why_not(one: Candidate) -> str:
    assert one.soak
    if one.has_failed:
        why = f"it failed {one.soak.errors:,} of {one.soak.requests:,} requests in the soak test"
    else:
        assert one.soak.rss_slope
        why = f"its memory grew by {signed(one.soak.rss_slope.per_hour)} MB/h in the soak test"
    return f"{one.name} is not recommended: {why}."


def _choice(fit: Sequence[Candidate], candidates: Sequence[Candidate], published: Mapping[str, float | None]) -> str:
    """Say which of those to choose that are fit for it: by the truth, else by what is published, else by speed."""
    has_truth = all(one.top1 is not None for one in fit)
    right = {one.name: one.top1 if has_truth else _expected(one, candidates, published) for one in fit}
    shares = {name: share for name, share in right.items() if share is not None}
    known = [one for one in fit if one.name in shares]
    if not known:
        return _choice_by_speed(fit, candidates)
    # Not held against the best alone: what chance explains between two and two, it may not between the first and third.
    equal = [one for one in known if not any(_outperforms(other, one, shares) for other in known)]
    chosen = max(equal, key=_speed)
    how_right = _how_right(chosen, candidates, shares[chosen.name])
    if len(known) == 1:
        return f"Choose {chosen.name}: it is {how_right}, and {_why_only(fit, candidates)}."
    unknown = ", ".join(one.name for one in fit if one.name not in shares)
    left_out = f" Not considered, having no published accuracy: {unknown}." if unknown else ""
    return f"Choose {chosen.name}: it is {how_right}, {_against_others(chosen, equal, has_truth=has_truth)}.{left_out}"


def _outperforms(one: Candidate, other: Candidate, shares: Mapping[str, float]) -> bool:
    """Tell whether one is right more often than the other: by over `WORSE_BY`, and beyond chance."""
    return shares[one.name] - shares[other.name] > max(WORSE_BY, _by_chance(one, other)) + _ROUNDING


def _choice_by_speed(fit: Sequence[Candidate], candidates: Sequence[Candidate]) -> str:
    chosen = max(fit, key=_speed)
    if len(fit) == 1:
        return (
            f"Choose {chosen.name}: {_why_only(fit, candidates)}. Its accuracy is not known: there is no ground truth,"
            " and no published accuracy."
        )
    return (
        f"Choose {chosen.name}: it is the fastest, with {_speed(chosen):.1f} images per second. That is by speed"
        " alone: there is no ground truth, and none has a published accuracy."
    )


def _speed(one: Candidate) -> float:
    return one.images_per_second


def _how_right(chosen: Candidate, candidates: Sequence[Candidate], share: float) -> str:
    if chosen.top1 is not None:
        with_truth = sum(one is not None for one in chosen.right)
        return f"right on {percent(share)} of the {with_truth:,} images with ground truth"
    less = (
        "published accuracy, less the share of labels that its precision changes"
        if _in_fp32(chosen, candidates)
        else "published accuracy; what its precision changes was not measured"
    )
    return f"expected to be right about {percent(share)} of the time on ImageNet ({less})"


def _against_others(chosen: Candidate, equal: Sequence[Candidate], *, has_truth: bool) -> str:
    by = "by over a percentage point and beyond chance" if has_truth else "by over a percentage point"
    if len(equal) == 1:
        return f"and each of the others is outperformed {by}"
    return (
        f"no other is more accurate {by}, and of the {len(equal)} that are as accurate it is the fastest, with"
        f" {_speed(chosen):.1f} images per second"
    )


def _why_only(fit: Sequence[Candidate], candidates: Sequence[Candidate]) -> str:
    """Say why a candidate has no other one to be held against."""
    if len(candidates) == 1:
        return "it is the only one that was measured"
    if len(fit) > 1:
        return "no other has a published accuracy"
    if sum(not one.is_random for one in candidates) == 1:
        return "no other has trained weights"
    return "no other can be recommended"


def _by_chance(first: Candidate, second: Candidate) -> float:
    """Return by how much two candidates' shares of right images may differ by chance; 0 without truth.

    Of n images, b are right with the first alone and c with the second alone: the shares differ by (b - c) / n, whose
    standard error is sqrt(b + c) / n where both are right as often.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or percentages (1947).

    """
    pairs = [
        (one, other)
        for one, other in zip(first.right, second.right, strict=True)
        if one is not None and other is not None
    ]
    if not pairs:
        return 0.0
    n = len(pairs)
    b, c = (pairs.count(only) for only in ((True, False), (False, True)))
    return _ERRORS_BY_CHANCE * sqrt(b + c) / n


def _expected(one: Candidate, candidates: Sequence[Candidate], published: Mapping[str, float | None]) -> float | None:
    """Return the published accuracy, less the share of images to which this precision gives another label than fp32.

    None: none is published. Where fp32 was not measured, nothing is taken away.
    """
    share = published.get(one.model)
    if share is None:
        return None
    plain = _in_fp32(one, candidates) or one
    both = [(mine, other) for mine, other in zip(one.labels, plain.labels, strict=True) if mine and other]
    different = sum(mine != other for mine, other in both) / len(both) if both else 0.0
    return max(0.0, share - different)


def _in_fp32(one: Candidate, candidates: Sequence[Candidate]) -> Candidate | None:
    return next((other for other in candidates if (other.model, other.precision) == (one.model, "fp32")), None)
