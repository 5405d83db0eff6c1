"""What libtiff says of a page, which it would otherwise print on the terminal without the file's name.

Its handlers are global, and a process decodes one picture at a time. Its warnings are out of reach: Pillow silences
them with each page.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import _imaging

from archive.failures import FailureKind, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of a message; libtiff's are shorter than a line.
_MESSAGE_BYTES = 500
#: Of the messages of one page: the first tell why, and a page may have one for each row.
_MOST_MESSAGES = 3
#: How libtiff says that the file ends before a strip does.
_TOO_FEW_BYTES = "bytes, expected"
#: libtiff's `TIFFErrorHandlerExt`: the file, the module, a format of printf's, its arguments.
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

_messages: list[str] = []


def _capture(_file: int | None, _module: bytes | None, form: bytes | None, arguments: int | None) -> None:
    if form is None or len(_messages) >= _MOST_MESSAGES:
        return
    message = ctypes.create_string_buffer(_MESSAGE_BYTES)
    _LIBC.vsnprintf(message, _MESSAGE_BYTES, form, ctypes.c_void_p(arguments))
    text = message.value.decode(errors="replace").strip()
    if text not in _messages:
        _messages.append(text)


_LIBC = ctypes.CDLL(None)
#: A handle on Pillow's own module finds the symbols of the libtiff that it is linked to.
_LIBTIFF = ctypes.CDLL(_imaging.__file__)
_HANDLER_KEPT = _HANDLER(_capture)  # for as long as libtiff may call it

if hasattr(_LIBTIFF, "TIFFSetErrorHandlerExt"):
    _LIBTIFF.TIFFSetErrorHandler(None)  # the one that prints
    _LIBTIFF.TIFFSetErrorHandlerExt(_HANDLER_KEPT)


@contextmanager
def capture_libtiff_errors() -> Iterator[list[str]]:
    """Collect what libtiff says meanwhile.

    Raises:
        ImageError: in place of Pillow's "decoder error -2", where libtiff said more.

    """
    _messages.clear()
    try:
        yield _messages
    except OSError as error:
        if not _messages:
            raise
        said = "; ".join(_messages)
        kind = FailureKind.TRUNCATED if _TOO_FEW_BYTES in said else FailureKind.DAMAGED
        raise ImageError(kind, said) from error
