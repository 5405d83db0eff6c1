"""What the database finds by itself, while this process does something else."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def beside(ask: Callable[[], T]) -> Future[T]:
    """Ask in a thread of its own, from now on. SQLite's driver lets others go on while a statement runs.

    No executor's thread: whoever does not wait for the answer, as after Ctrl-C, is not kept from ending.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)

    Thread(target=run, name="report", daemon=True).start()
    return answer
