"""Where a page finds a thumbnail."""

from __future__ import annotations

#: Digits of the content in an address: they tell an image's versions apart.
_CONTENT_DIGITS = 8


def thumbnail_url(image_id: int, content: str | None, size: str = "small") -> str:
    """Return the address of an image's thumbnail, which shows it only as long as it is the one with this content.

    Args:
        image_id: its id.
        content: that of the outcome beside which it is shown; None: it has none, and none is asked for.
        size: one of `web.thumbnails.service.SIZES`.

    """
    version = f"&c={content[:_CONTENT_DIGITS]}" if content else ""
    return f"/thumbnails/{image_id}?size={size}{version}"
