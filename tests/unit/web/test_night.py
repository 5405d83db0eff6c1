"""Night: what is told to those who watch, and who may stop what."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx2
import pytest

from common.settings import load_settings
from storage.corrections import labelled_with, right, say
from storage.database import Database
from storage.reviews import open_review
from storage.runs import get_run, mark_scanned, newest_run
from tests.command import wait_until
from tests.unit.storage.nights import label_all as label_what_waits
from tests.unit.storage.nights import take
from tests.unit.web.archives import label_files, list_files
from tests.unit.web.serving import serve_page
from web.night.chart import HEIGHT, WIDTH, chart_of
from web.night.reports import Reports
from web.night.situation import Speed, Watch
from web.night.watching import MOST_WATCHERS, Watching
from web.processes import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.records import Run
    from tests.unit.web.serving import Served


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three files, of which one is no picture; its name looks like HTML."""
    folder = tmp_path_factory.mktemp("archive")
    for name in ("a.jpg", "b.jpg", "<b>c.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture(scope="module")
def watched(serve: Callable[..., Served], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A page over a database with a finished run."""
    url = f"sqlite:///{tmp_path_factory.mktemp('db')}/night.db"
    label_all(url, root, sorted(root.iterdir()), failing=[root / "<b>c.jpg"])
    return serve(database_url=url)


@pytest.fixture
def waiting(serve: Callable[..., Served], root: Path, tmp_path: Path) -> Served:
    """A page over a database with a run of two pictures, of which none has its outcome yet."""
    url = f"sqlite:///{tmp_path}/night.db"
    list_files(url, root, [root / "a.jpg", root / "b.jpg"])
    return serve(database_url=url)


def made_report(page: Served) -> httpx2.Response:
    """Return run 1's report once it has been made: the first one of a process takes seconds on a busy machine."""

    def made() -> httpx2.Response | None:
        answer = page.get("/night/1/report")
        return None if answer.status_code == 202 else answer

    report = wait_until(made)
    assert report.status_code == 200
    return report


def told_by_report(page: Served) -> tuple[str, bool]:
    """Return run 1's state by its report, and whether that knows of a review; of its megabytes, no diff is made."""
    text = made_report(page).text
    return text.split("Run 1, ", 1)[1].split(",", 1)[0], "<h2>Accuracy</h2>" in text


def label_all(url: str, root: Path, files: list[Path], failing: list[Path] | None = None) -> None:
    """Label files in a run that is then over."""
    label_files(url, root, files, failing=failing or ())
    with closing(Database(url)) as database:
        run = newest_run(database)
        assert run
        mark_scanned(database, run.id, skipped=0, ignored=0)


def test_without_a_database_it_says_what_makes_one(served: Served) -> None:
    shown = served.get("/night")
    assert (shown.status_code, "nightlabel run" in shown.text) == (200, True)


def test_a_run_that_is_over_leads_to_its_report(watched: Served) -> None:
    shown = watched.get("/night").text
    assert "Run 1:" in shown
    assert "/night/1/report" in shown
    assert "&lt;b&gt;" in shown.replace("<wbr>", "")
    assert "<b>c.jpg" not in shown.replace("<wbr>", "")
    assert "Stop …" not in shown


def test_the_report_may_run_its_scripts_and_reach_nothing(watched: Served) -> None:
    policy = made_report(watched).headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "default-src 'none'" in policy


def test_no_report_from_before_a_run_ended_is_shown_once_it_has(waiting: Served, root: Path) -> None:
    assert told_by_report(waiting) == ("scanning", False)
    with closing(Database(waiting.state.settings.database_url)) as database:
        run = newest_run(database)
        assert run
        label_what_waits(database, run)
        mark_scanned(database, run.id, skipped=0, ignored=0)
    assert told_by_report(waiting) == ("finished", False)


def test_a_report_says_what_a_person_has_said_since(watched: Served) -> None:
    assert told_by_report(watched) == ("finished", False)
    with closing(Database(watched.state.settings.database_url)) as database:
        review = open_review(database, 1, 1, Random(1))  # noqa: S311 - the same draw every time
        picture = labelled_with(database, 1, review.contents[0])
        assert picture
        say(database, [(picture, right(picture))], review.id)
    assert told_by_report(watched) == ("finished", True)


@pytest.mark.parametrize("view", ["", "/state", "/report", "/stop", "/cancel"])
def test_a_run_that_is_not_there_is_not_found(view: str, watched: Served) -> None:
    assert watched.get(f"/night/999{view}").status_code == 404


@pytest.mark.parametrize("action", ["stop", "cancel"])
def test_what_is_over_can_neither_be_stopped_nor_given_up(action: str, watched: Served) -> None:
    asked = watched.get(f"/night/1/{action}")
    assert (asked.status_code, "finished already" in asked.text, "danger" in asked.text) == (200, True, False)
    assert watched.post(f"/night/1/{action}").status_code == 409


def test_those_who_watch_hear_of_a_new_run(watched: Served, root: Path) -> None:
    heard: list[str] = []

    def listen() -> None:
        with httpx2.stream("GET", f"{watched.url}/night/events", timeout=60) as events:
            for line in events.iter_lines():
                heard.append(line)
                if heard.count("event: changed") == 2:
                    return

    listener = Thread(target=listen)
    listener.start()
    wait_until(lambda: "event: changed" in heard or None)  # the state at which it began
    label_all(watched.state.settings.database_url, root, [root / "a.jpg"])
    listener.join(60)

    assert heard.count("event: changed") == 2
    assert watched.get("/night").text.count('id="run-2"') == 1
    assert "/night/1/report" in watched.get("/night").text  # the earlier one is listed


@pytest.mark.parametrize("what", ["slower", "stalled for longer"])
def test_those_who_watch_hear_of_time_that_passes_without_an_outcome(waiting: Served, what: str) -> None:
    with closing(Database(waiting.state.settings.database_url)) as database:
        run = newest_run(database)
        assert run
        label_what_waits(database, run)
        list_files(waiting.state.settings.database_url, Path(run.roots[0]), [Path(run.roots[0], "<b>c.jpg")])
        take(database, run)
        night = Watch(waiting.state.settings).look(database, frozenset())
    (now,) = night.runs
    stalled = replace(now.situation, now=now.situation.now + timedelta(hours=1))
    before, after = {
        "slower": (now.situation, replace(now.situation, now=now.situation.now + timedelta(seconds=30))),
        "stalled for longer": (stalled, replace(stalled, now=stalled.now + timedelta(minutes=1))),
    }[what]
    told = [replace(night, runs=(replace(now, situation=moment),)).tells for moment in (before, after)]
    assert told[0] != told[1]
    assert told[0] == replace(night, runs=(replace(now, situation=replace(before)),)).tells


def test_too_many_watchers_are_told_so(watched: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.night.watching.MOST_WATCHERS", 0)
    refused = watched.get("/night/events")
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert MOST_WATCHERS > 10


def test_a_server_that_ends_waits_for_no_watcher(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings(database_url=str(tmp_path / "none.db"), cache_dir=tmp_path)
    with httpx2.Client(timeout=60) as client:
        with serve_page(settings) as page:
            request = client.build_request("GET", f"{page.url}/night/events")
            watching = client.send(request, stream=True)
            assert watching.status_code == 200
        assert "retry: 3000" in watching.read().decode()
    assert caplog.messages == []  # as where it had to cut an answer short


def test_a_chart_is_as_wide_as_its_time_and_as_high_as_its_speed() -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    assert chart_of([Speed(at, 5.0)]) is None
    chart = chart_of([Speed(at, 0.0), Speed(at, 20.0), Speed(at, 10.0)])
    assert chart
    assert chart.line == f"0.0,{HEIGHT}.0 {WIDTH / 2},0.0 {WIDTH}.0,{HEIGHT / 2}"
    assert chart.highest == 20.0
    still = chart_of([Speed(at, 0.0)] * 2)
    assert still
    assert still.highest == 0.0


def run_of(page: Served) -> Run:
    with page.state.database() as database:
        run = get_run(database, 1)
    assert run
    return run


class SlowDatabase:
    """Opens a page's database after some seconds, and counts how often it was asked to."""

    def __init__(self, page: Served, seconds: float) -> None:
        self._page = page
        self._seconds = seconds
        self.times = 0

    @contextmanager
    def __call__(self) -> Iterator[Database]:
        self.times += 1
        time.sleep(self._seconds)
        with self._page.state.database() as database:
            yield database


def test_where_a_look_takes_long_it_is_taken_less_often(watched: Served) -> None:
    """A run of millions of images must not wait for those who watch it."""
    slow = SlowDatabase(watched, 0.3)

    async def look_twice() -> None:
        watching = Watching(watched.state.settings, slow)
        await watching.night()
        await asyncio.sleep(1.2)
        await watching.night()

    asyncio.run(look_twice())
    assert slow.times == 1


def test_a_report_that_takes_long_is_made_once_and_comes_by_itself(
    watched: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.night.reports._WAIT_S", 0.2)
    slow = SlowDatabase(watched, 1)

    async def ask(reports: Reports) -> str:
        waiting = [reports.report(run_of(watched), None, "en") for _ in range(3)]
        assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [TimeoutError] * 3
        await asyncio.sleep(2)
        return await reports.report(run_of(watched), None, "en")

    assert "</html>" in asyncio.run(ask(Reports(watched.state.settings, slow)))
    assert slow.times == 1


def test_a_report_that_is_being_made_is_announced(watched: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.night.reports._WAIT_S", 0)
    announced = watched.get("/night/1/report?lang=fr")
    assert (announced.status_code, 'http-equiv="refresh"' in announced.text) == (202, True)
    assert "sandbox" not in announced.headers["content-security-policy"]


def test_no_more_reports_are_made_at_a_time_than_may_be(watched: Served) -> None:
    ends = Event()

    @contextmanager
    def endless() -> Iterator[Database]:
        ends.wait(60)
        with watched.state.database() as database:
            yield database

    async def ask(reports: Reports) -> None:
        waiting = [
            asyncio.ensure_future(reports.report(run_of(watched), None, language))
            for language in ("en", "de", "fr", "es")
        ]
        await asyncio.sleep(0.1)
        with pytest.raises(BusyError):
            await reports.report(run_of(watched), None, "ja")
        ends.set()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(ask(Reports(watched.state.settings, endless)))
