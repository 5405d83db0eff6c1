"""A decoded picture as a viewer shows it: in colour or grey, on white where it is transparent, 8 bits deep.

Each part is converted when it is asked for, so that a large picture is held once, and not again in every form that it
takes on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from pictures.depth import is_deep, to_8_bits

if TYPE_CHECKING:
    from collections.abc import Callable

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


class DisplayPicture:
    """A decoded picture, and its parts as a viewer shows them."""

    def __init__(self, picture: Image.Image) -> None:
        """Look at what a loaded picture needs.

        Raises:
            ImageError: no pixel of it has a value.

        """
        self.size = picture.size
        self._picture = picture
        self._shown, self.warning = _conversion(picture)
        self.is_plain = self._shown is _as_it_is  #: nothing has to be converted

    def part(self, box: tuple[int, int, int, int]) -> Image.Image:
        """Return what lies within left, top, right and bottom, in mode RGB or L."""
        is_all = box == (0, 0, *self.size)
        return self._shown(self._picture if is_all else self._picture.crop(box))


def _conversion(picture: Image.Image) -> tuple[Callable[[Image.Image], Image.Image], str | None]:
    """Return what makes any part of the picture RGB, or L where it is grey; and what is to be said of its pixels."""
    if is_deep(picture):
        return to_8_bits(picture)
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        return _on_white, None
    if picture.mode in ("RGB", "L"):
        return _as_it_is, None
    return lambda part: part.convert("L" if part.mode == "1" else "RGB"), None


def _as_it_is(part: Image.Image) -> Image.Image:
    return part


def _on_white(part: Image.Image) -> Image.Image:
    opaque = part.convert("RGBA")
    white = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(white, opaque).convert("RGB")
