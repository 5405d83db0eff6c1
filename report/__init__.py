"""What runs were like (`report.run`), and how models compare (`report.comparison`): for people, pages and programs.

What both need stands here: words, tables, robust statistics, and the base of charts and pages.
"""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "comparison",
    "markup",
    "page",
    "reviews",
    "run",
    "words",
]
