"""The page: try the model, look through what was found, watch the night, and say where the model was wrong."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "server",
]
