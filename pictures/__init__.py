"""From bytes to pixels: formats, depth, orientation, the model's crop, thumbnails."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "decoding",
    "thumbnail",
]
