"""Child processes: whatever becomes of one costs what it had, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from time import monotonic, sleep
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import psutil
import pytest

from archive.failures import FailureKind, ImageError
from tests.processes import in_a_process
from tests.unit.web import tasks
from web.processes import BusyError, LostTaskError, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds for what takes milliseconds, and for what is to take too long.
LONG, SHORT = 60.0, 0.3
MOST_WAITING = 3


class Server:
    """An event loop with one process for its tasks; three may wait."""

    def __init__(self, loop: asyncio.Runner) -> None:
        self.loop = loop
        self.processes = Processes(1, MOST_WAITING, memory_mb=300, imports=(tasks.__name__,))

    def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self.loop.run(self.processes.run(LONG, function, *args, **kwargs))

    def ask_all(self, *functions: Callable[[], object]) -> list[type]:
        """Ask for all of these at once, and return the types of what comes."""

        async def gather() -> list[object]:
            calls = (self.processes.run(LONG, function) for function in functions)
            return await asyncio.gather(*calls, return_exceptions=True)

        return [type(answer) for answer in self.loop.run(gather())]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with asyncio.Runner() as loop:
        server = Server(loop)
        yield server
        server.processes.close()


@pytest.mark.parametrize("end", [tasks.abort, tasks.fault, tasks.end_without_a_word])
def test_a_process_that_crashes_costs_one_task(end: Callable[[], None], server: Server) -> None:
    assert server.ask_all(tasks.pid, end, tasks.pid, tasks.pid) == [int, LostTaskError, int, int]


def test_a_process_that_hangs_is_killed_after_its_time(server: Server) -> None:
    before = server.ask(tasks.pid)
    with pytest.raises(LostTaskError, match=r"longer than 0\.3 s"):
        server.loop.run(server.processes.run(SHORT, tasks.hang))
    assert not psutil.pid_exists(before)
    assert server.ask(tasks.pid) != before


def test_a_process_that_ended_while_it_had_nothing_to_do_costs_nothing(server: Server) -> None:
    idle = server.ask(tasks.pid)
    os.kill(idle, signal.SIGKILL)
    assert server.ask(tasks.pid) != idle


def test_memory_has_a_limit(server: Server) -> None:
    with pytest.raises(MemoryError):
        server.ask(tasks.fill, 2000)
    assert server.ask(tasks.fill, 50) == 50_000_000


def test_no_more_wait_than_may(server: Server) -> None:
    answers = server.ask_all(*[tasks.pid] * (1 + MOST_WAITING + 2))
    assert answers == [int] * (1 + MOST_WAITING) + [BusyError] * 2


def test_who_goes_away_gives_up_their_place(server: Server, tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def leave() -> None:
        asked = [asyncio.create_task(server.processes.run(LONG, tasks.note, number, begun)) for number in range(4)]
        await asyncio.sleep(0)
        for call in asked[1:3]:
            call.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    server.loop.run(leave())
    assert begun.read_text().split() == ["0", "3"]


def test_who_goes_away_from_what_runs_costs_no_process(server: Server, tmp_path: Path) -> None:
    before = server.ask(tasks.pid)

    async def leave() -> int:
        call = asyncio.create_task(server.processes.run(LONG, tasks.note, 1, tmp_path / "begun"))
        await asyncio.sleep(0.1)
        call.cancel()
        return await server.processes.run(LONG, tasks.pid)

    assert server.loop.run(leave()) == before


def test_they_give_way_to_everything_else(server: Server) -> None:
    assert server.ask(os.nice, 0) == 19


def test_they_start_before_they_give_way(server: Server) -> None:
    """Behind a night's workers, what they import would take longer than an answer may."""
    assert server.ask(tasks.niceness_at_import) == os.nice(0) < 19


def test_an_error_arrives_as_it_was_raised(server: Server) -> None:
    with pytest.raises(ImageError, match="no answer") as raised:
        server.ask(tasks.fail)
    assert (raised.value.kind, raised.value.is_transient) == (FailureKind.TIMEOUT, True)


def test_none_is_left_once_they_are_closed() -> None:
    async def ask() -> int:
        processes = Processes(1, MOST_WAITING, None)
        child = await processes.run(LONG, tasks.pid)
        processes.close()
        with pytest.raises(LostTaskError):
            await processes.run(LONG, tasks.pid)
        return child

    assert not psutil.pid_exists(asyncio.run(ask()))


_SERVER = """
import asyncio, json, os
from tests.unit.web import tasks
from web.processes import Processes

async def ask():
    processes = Processes(1, 1, None)
    print(json.dumps(await processes.run(60, tasks.pid)), flush=True)
    hanging = asyncio.create_task(processes.run(60, tasks.hang))
    await asyncio.sleep(0.3)
    os._exit(0)

if __name__ == "__main__":
    asyncio.run(ask())
"""


def test_they_end_with_a_server_that_ends_without_a_word() -> None:
    """Also one that is busy, and does not see that nobody waits for its answer."""
    child = in_a_process(_SERVER)
    ends_at = monotonic() + LONG
    while psutil.pid_exists(child):
        assert monotonic() < ends_at
        sleep(0.01)
