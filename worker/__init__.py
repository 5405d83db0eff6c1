"""Take a chunk, label it, store it. `celery -A worker worker` runs it."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "classify",
    "measure",
    "service",
    "single_thread",
]
