"""One run from its start to its end; nothing of a command line."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "bench",
    "calibration",
    "cancel",
    "compare",
    "display",
    "move",
    "retry_failures",
    "retry_service",
    "run",
    "status",
    "status_check",
    "stop",
    "truth_file",
]
