"""The archive as pictures: one row per image, filtered, sorted, paged and counted; and all that is known of one."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "facets",
    "filters",
    "models",
    "paging",
    "picture",
    "rows",
    "suggestions",
]
