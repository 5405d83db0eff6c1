"""A retry beside a program: it outlives the thread that asked for it, and not the program's end."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from common.errors import UsageError
from runner.retry_service import RetryService
from tests.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from common.settings import Settings


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[RetryService]:
    """One over a database that is not there, so that it ends by itself with that word."""
    own = RetryService(settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/none.db"}))
    yield own
    own.stop()


def test_it_goes_on_when_the_thread_that_asked_for_it_has_ended(service: RetryService) -> None:
    """The kernel ends a child with the thread that began it: a server's threads come and go."""
    asking = Thread(target=service.start, args=([],))
    asking.start()
    asking.join()

    assert wait_until(lambda: service.exit_status) == 5
    assert "There is no database" in " ".join(service.last_words())


def test_one_at_a_time_and_none_is_left_behind(service: RetryService) -> None:
    service.start(["damaged"])
    assert service.is_running
    with pytest.raises(UsageError, match="running already"):
        service.start([])

    service.stop()
    assert (service.is_running, service.exit_status, service.last_words()) == (False, None, [])
    service.start([])
    assert service.is_running
