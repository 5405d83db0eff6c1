"""A decoded picture as a viewer shows it: in RGB, on white where it is transparent, all of its depth scaled to 8 bits."""

from __future__ import annotations

from PIL import Image

from worker.depth import is_deep, to_8_bits

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


def viewed(picture: Image.Image) -> Image.Image:
    """Return a loaded picture's first frame in RGB."""
    if is_deep(picture):
        return to_8_bits(picture)
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        opaque = picture.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return picture.convert("RGB")
