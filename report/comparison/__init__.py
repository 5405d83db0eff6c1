"""Models side by side: their figures, which one to choose, and how that is shown."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "advice",
    "figures",
    "page",
    "terminal",
]
