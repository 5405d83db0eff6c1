"""Settings and the URLs in them, errors, files written whole, child processes: for every room; nothing else."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "child_process",
    "errors",
    "redis_url",
    "settings",
    "urls",
    "whole_file",
]
