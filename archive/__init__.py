"""Where images lie: list them, read one; every rule on what may be opened."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "blocking",
    "contents",
    "counts",
    "failures",
    "location",
    "places",
    "reading",
    "sample",
    "scan",
    "sniff",
]
