"""The questions of a review in a terminal, or answered by another program: a line each."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from common.errors import UsageError
from nightlabel.library.review_questions import KEYS
from nightlabel.screen import say
from storage.records import shown

if TYPE_CHECKING:
    from nightlabel.library.review_questions import Question


class ReviewScreen:
    """Shows each question, and its picture where there is a display, and reads the answer."""

    def __init__(self, *, shows_pictures: bool) -> None:
        """Open standard input.

        Raises:
            UsageError: it is no terminal, and holds nothing: nobody is there to answer.

        """
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        self._is_terminal = sys.stdin.isatty()
        self._next = None if self._is_terminal else sys.stdin.readline()
        if self._next == "":
            raise UsageError(
                "Nobody is there to answer: standard input is no terminal, and is empty. Type the command in a"
                " terminal, or give it answers, a line each."
            )
        self._viewer = _viewer() if shows_pictures and self._is_terminal else None
        self._viewing: list[subprocess.Popen[bytes]] = []  # kept, so that each is waited for when it ends
        self._shown: int | None = None

    def ask(self, question: Question) -> str:
        """Return the answer as it was typed; `q` where no more come."""
        if self._shown is None:
            if question.settled:
                say(f"A review goes on, of which {question.settled} of {question.pictures} pictures are done.")
            say(f"{KEYS}.")
        if question.complaint:
            say(f"  {question.complaint}")
        if self._shown != question.number:
            self._show(question)
        line, self._next = self._next, None
        if line is None:
            line = self._read()
        return line.rstrip("\n") if line else "q"

    def _show(self, question: Question) -> None:
        self._shown = question.number
        gone = "" if question.is_there else " (the file cannot be read here)"
        say(f"{question.number} of {question.pictures}  {shown(question.path)}{gone}")
        kind = f"; kind {question.kind} {question.kind_score:.0%}" if question.kind else ""
        said = f"; a person said before: {question.said}" if question.said else ""
        say(f"  {question.label} {question.score:.0%}{kind}{said}")
        if self._viewer and question.is_there:
            self._viewing = [one for one in self._viewing if one.poll() is None]
            self._viewing.append(_start([self._viewer, question.path]))

    def _read(self) -> str:
        if self._is_terminal:
            sys.stdout.write("  right? ")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if self._is_terminal and not line:  # Ctrl-D: what comes next begins a line
            say()
        return line


def _viewer() -> str | None:
    """Return the program that opens a picture as the desktop does; None: there is no display."""
    if sys.platform == "darwin":
        return None if "SSH_CONNECTION" in os.environ else shutil.which("open")
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if has_display else None


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a program that has no part in this terminal: Ctrl-C ends the review, not the pictures."""
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)  # noqa: S603 - the desktop's own
