"""What is shown in the place of a picture that cannot be: a word on why, as a picture."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING

from markupsafe import escape

from archive.failures import FailureKind
from web.thumbnails.making import ARCHIVE_GONE, CHANGED, LOST

if TYPE_CHECKING:
    from collections.abc import Callable

#: By presentation attributes alone, which no policy on styles forbids; its grey can be read on black and on white.
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240" viewBox="0 0 320 240" role="img">
<title>{sentence}</title>
<rect x="1" y="1" width="318" height="238" rx="8" fill="none" stroke="#7d7d7d" stroke-dasharray="6 6"/>
<text fill="#7d7d7d" font-family="system-ui, sans-serif" font-size="20" text-anchor="middle">{lines}</text>
</svg>
"""
_LINE = '<tspan x="160" y="{y:g}">{text}</tspan>'
_LINE_PIXELS, _MIDDLE_PIXELS = 28, 127
#: Letters of a line; Chinese and Japanese ones are twice as wide.
_LETTERS = 26


def placeholder(why: str, translate: Callable[[str], str]) -> bytes:
    """Return an SVG that says in the reader's language why a picture is not shown.

    Args:
        why: as in `NoThumbnail`.
        translate: from English.

    """
    sentence = _sentence(why, translate)
    is_wide = any(unicodedata.east_asian_width(letter) == "W" for letter in sentence)
    lines = textwrap.wrap(sentence, _LETTERS // 2 if is_wide else _LETTERS)
    first = _MIDDLE_PIXELS - _LINE_PIXELS * (len(lines) - 1) / 2
    spans = (_LINE.format(y=first + _LINE_PIXELS * place, text=escape(line)) for place, line in enumerate(lines))
    return _SVG.format(sentence=escape(sentence), lines="".join(spans)).encode()


def _sentence(why: str, translate: Callable[[str], str]) -> str:
    known = {
        CHANGED: translate("Changed since it was labelled"),
        ARCHIVE_GONE: translate("Its folder or disk is not there"),
        LOST: translate("Could not be shown"),
        FailureKind.VANISHED: translate("The file is gone"),
        FailureKind.TIMEOUT: translate("Its disk does not answer"),
        FailureKind.TOO_LARGE: translate("Too large to be shown"),
        FailureKind.NOT_AN_IMAGE: translate("Not an image"),
    }
    if why in (FailureKind.DAMAGED, FailureKind.TRUNCATED):
        return translate("Damaged")
    return known.get(why) or translate("Cannot be read")
