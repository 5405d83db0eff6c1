"""What Prometheus gets: numbers that are those of the tables and the queue, in either of its formats."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from archive.failures import FailureKind
from storage.identity import database_identity
from tests.conftest import ROOT
from tests.unit.broker.queues import raw
from tests.unit.web.archives import label_files, list_files
from web.monitoring.refreshed import Refreshed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.unit.web.serving import Served

TOKEN = "a token that nobody guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(page: Served) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and the values of its labels, in the order of their names."""
    answer = page.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("nightlabel_"), *sample.labels.values()): sample.value
        for family in read_text(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def night(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """A page over a run that labelled two files and failed on one, and over another that has not begun."""
    page = serve()
    url = page.state.settings.database_url
    files = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")]
    for file in files:
        file.write_bytes(file.name.encode())
    label_files(url, tmp_path, files[:3], failing=[files[0]])
    list_files(url, tmp_path / "other", files[3:])
    return page


def test_the_numbers_are_those_of_the_tables(night: Served) -> None:
    found = scrape(night)
    age_s, taken_s = found.pop(("last_outcome_age_seconds",)), found.pop(("tables_read_seconds",))
    assert 0 <= age_s < 60
    assert 0 < taken_s < 2
    assert found.pop(("run_images_per_second", "1")) > 0
    (build,) = [labels for labels in found if labels[0] == "build_info"]
    del found[build]
    wanted: dict[tuple[str, ...], float] = {
        ("database_up",): 1,
        ("runs_unfinished",): 2,  # neither manifest is complete
        ("run_info", "resnet18", "fp32", "1", "scanning"): 1,
        ("run_info", "resnet18", "fp32", "2", "scanning"): 1,
        ("run_images", "1"): 3,
        ("run_images", "2"): 1,
        ("run_outcomes", "1", "ok"): 2,
        ("run_outcomes", "1", "failed"): 1,
        ("run_outcomes", "2", "ok"): 0,
        ("run_outcomes", "2", "failed"): 0,
        ("run_images_per_second", "2"): 0,
        ("run_stalled", "1"): 0,
        ("run_stalled", "2"): 0,
        ("run_followed", "1"): 0,
        ("run_followed", "2"): 0,
        **{("failures", str(kind)): float(kind is FailureKind.UNREADABLE) for kind in FailureKind},
        ("workers", "host"): 1,
        ("workers_resident_memory_bytes", "host"): 200_000_000,
        ("workers_peak_resident_memory_bytes", "host"): 250_000_000,
    }
    assert found == wanted


def test_either_format_of_prometheus_is_well_formed_and_says_what_each_means(night: Served) -> None:
    text, openmetrics = night.get("/metrics"), night.get("/metrics", headers=OPENMETRICS)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in read_text(text.text)}
    others = read_openmetrics(openmetrics.text)  # type: ignore[no-untyped-call]  # the client's own
    assert set(families) == {family.name for family in others}
    for name, family in families.items():
        assert name.startswith("nightlabel_")
        assert (family.type, bool(family.documentation)) == ("gauge", True)


def test_without_a_database_it_says_so(served: Served) -> None:
    assert [pair for pair in scrape(served).items() if pair[0][0] != "build_info"] == [(("database_up",), 0)]


def test_a_scrape_needs_the_token_if_there_is_one(serve: Callable[..., Served]) -> None:
    page = serve(web_token=TOKEN)
    assert page.get("/metrics").status_code == 401
    assert page.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert page.get("/metrics", headers=BEARER).status_code == 200


def test_a_queue_is_measured_and_one_that_is_gone_is_told(
    serve: Callable[..., Served], redis: PrivateRedis, tmp_path: Path
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"a")
    page, gone = serve(broker_url=redis.url), serve(broker_url=f"redis+socket://{tmp_path}/none")
    for one in (page, gone):
        label_files(one.state.settings.database_url, tmp_path, [file])
    with page.state.database() as database, raw(redis) as client:
        client.lpush(f"nightlabel:chunks-{database_identity(database)}", "a", "b")

    found = scrape(page)
    assert {f"nightlabel_{name}" for name, *_ in found} == documented()
    assert (found["broker_up",], found["queue_chunks",], found["queue_unacknowledged_chunks",]) == (1, 2, 0)
    found = scrape(gone)
    assert (found["broker_up",], found["database_up",], ("queue_chunks",) in found) == (0, 1, False)


def documented() -> set[str]:
    return set(re.findall(r"^\| `(nightlabel_\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))


def test_many_who_ask_at_once_get_what_one_thread_found() -> None:
    found = []

    def find() -> int:
        time.sleep(0.1)
        found.append(threading.get_ident())
        return len(found)

    async def ask() -> tuple[list[int], int]:
        refreshed = Refreshed(find, kept_s=0.0, limit_s=10.0)
        at_once = await asyncio.gather(*(refreshed.value() for _ in range(10)))
        await asyncio.sleep(0.01)
        return at_once, await refreshed.value()

    assert asyncio.run(ask()) == ([1] * 10, 2)


def test_nobody_waits_for_ever_and_what_takes_long_is_not_begun_twice() -> None:
    begun = []
    go_on = threading.Event()

    def find() -> str:
        begun.append(1)
        go_on.wait()
        return "found"

    async def ask() -> str:
        refreshed = Refreshed(find, kept_s=60.0, limit_s=0.05)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await refreshed.value()
        go_on.set()
        while True:
            try:
                return await refreshed.value()
            except TimeoutError:
                pass

    assert (asyncio.run(ask()), begun) == ("found", [1])
