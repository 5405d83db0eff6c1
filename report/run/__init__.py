"""What one run was like, or several side by side: figures from the tables alone, in a terminal, on a page, as JSON."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "accuracy",
    "figures",
    "json_report",
    "page",
    "selection",
    "side_by_side",
    "terminal",
]
