"""Settings and the URLs and times in them, errors, files written whole, child processes: for every room; no more."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "child_process",
    "errors",
    "redis_url",
    "settings",
    "times",
    "urls",
    "whole_file",
]
