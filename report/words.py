"""Figures as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return `42 s`, `3 min 20 s` or `7 h 05 min`."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - a digit more
    if whole < 3600:  # noqa: PLR2004 - seconds in an hour
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def percent(share: float | None) -> str:
    """Return `12 %`, `0.4 %` of what is less than one, and `–` of what is not known."""
    if share is None:
        return "–"
    return f"{share:.0%}".replace("%", " %") if abs(share) >= 0.01 else f"{share:.1%}".replace("%", " %")  # noqa: PLR2004 - a digit more


def signed(value: float) -> str:
    """Return `+0.3`, `-12`; `+0.0` of what rounds to nothing."""
    said = f"{value:+.1f}" if abs(value) < 10 else f"{value:+,.0f}"  # noqa: PLR2004 - a digit less
    return "+0.0" if said == "-0.0" else said


def counted(number: int, what: str) -> str:
    """Return `1 stall`, `2,345 stalls`, `3 retries`: of a word whose plural has an s, es or ies."""
    plural = f"{what}es" if what.endswith(("s", "x", "ch")) else f"{what}s"
    if what.endswith("ry"):
        plural = f"{what[:-1]}ies"
    return f"{number:,} {what if number == 1 else plural}"


def size(number: float) -> str:
    """Return bytes as `3.4 GB`, `12 MB` or `5 kB`, of 1,000 each."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} B"
