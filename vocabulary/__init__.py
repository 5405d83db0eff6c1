"""What labels mean: kinds and their parents, and names in other languages; data with its sources (README.md)."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "kinds",
    "languages",
    "names",
    "sums",
    "tables",
]
