"""The terminal, whatever it is: of any encoding or width, a pipe that nobody reads, or none at all."""

from __future__ import annotations

import io
import os
import re
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.segment import Segment

from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import ConsoleOptions, RenderableType

#: What drives a terminal, or turns the order of its letters round: C0 without tab and line feed, DEL, C1, the marks and
#: embeddings of Unicode's bidirectional algorithm (https://unicode.org/reports/tr9), and its separators of lines.
_DRIVING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return a text that drives no terminal, since a file's name may hold anything: an escape as `\x1b`."""
    return _DRIVING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def prepare_streams() -> None:
    """Make standard input, output and error fit to be used, before anything else is opened.

    One that is closed leads nowhere: else the next file that is opened, a database, would be it. What the encoding
    lacks is written as `?`. Where standard error takes nothing, a run goes on without.
    """
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # the lowest that is free: this one
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = cast("TextIO", _Telling(_replacing(sys.stdout or _opened(1, "w"))))
    sys.stderr = cast("TextIO", _Lenient(_replacing(sys.stderr or _opened(2, "w"))))


def _opened(descriptor: int, mode: str) -> TextIO:
    return cast("TextIO", os.fdopen(descriptor, mode, closefd=False))


def _replacing(stream: TextIO) -> TextIO:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


class OutputError(UsageError):
    """Standard output cannot be written."""


class _Stream:
    """A stream that does something of its own when it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._failing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    def _failing(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


class _Lenient(_Stream):
    """One whose reader may be gone, and whose disk may be full: that is no reason to stop a night's work."""

    def _failing(self) -> AbstractContextManager[None]:
        return suppress(OSError)


class _Telling(_Stream):
    """One of which a command's user must learn that it took nothing."""

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # a reader that has had enough is no fault
            raise
        except OSError as error:
            raise OutputError(f"Standard output cannot be written: {error.strerror}.") from None


def say(text: str = "", *, err: bool = False) -> None:
    """Write a line to standard output, or to standard error."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


class Screen(Console):
    """A console that no text from outside drives, and that leaves it to its user what a broken pipe means."""

    def __init__(self, *, stderr: bool = False) -> None:
        # Named, so that its encoding is known: with another than UTF-8, boxes and bars are drawn in ASCII.
        super().__init__(file=sys.stderr if stderr else sys.stdout)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
