"""The Celery app, the message's shape, the queue as it stands, and the private Redis process."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "app",
    "message",
    "private_redis",
    "queue",
]
