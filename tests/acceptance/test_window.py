"""`nightlabel run --until`, on the clock of this machine: over midnight, and over the change to summer time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.command import LONG_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel

#: More than one process labels by then.
IMAGES = 700
#: Seconds from the start of the command to the end of its window.
WINDOW_S = 30
#: The same a chunk may take, on a busy machine, and a report.
GRACE_S = 60


def at_midnight(end: datetime) -> tuple[str, str]:
    """Return a time zone in which it is midnight then, and that time as an option."""
    return _zone(end, timedelta(hours=24)), "24:00"


def at_the_change(end: datetime) -> tuple[str, str]:
    """Return a time zone in which clocks go from 1:30 to 2:30 then."""
    zone = _zone(end, timedelta(hours=1, minutes=30))
    day = (end.date() - datetime(end.year, 1, 1, tzinfo=UTC).date()).days + 1
    return f"{zone}SUMMER,{day - 1}/1:30,{(day + 99) % 365}/3", "02:30"


def _zone(end: datetime, on_the_wall: timedelta) -> str:
    """Return a time zone, as TZ has it, in which an instant is so long after the midnight of its own day in UTC."""
    west = timedelta(hours=end.hour, minutes=end.minute, seconds=end.second) - on_the_wall
    sign = "-" if west < timedelta(0) else ""
    return f"WINTER{sign}{abs(west)}"


@pytest.mark.usefixtures("resnet18")  # it is prepared before the window begins
@pytest.mark.parametrize("clock", [at_midnight, at_the_change], ids=["midnight", "summer time"])
def test_it_stops_in_good_order_and_the_same_command_goes_on(
    nightlabel: Nightlabel,
    archive: Callable[[int], Path],
    clock: Callable[[datetime], tuple[str, str]],
) -> None:
    folder = archive(IMAGES)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=WINDOW_S)
    zone, until = clock(end)

    stopped = nightlabel("run", folder, "--workers", 1, "--until", until, TZ=zone)

    assert stopped.returncode == 10, stopped.stderr
    assert 0 <= time.time() - end.timestamp() < GRACE_S
    assert f"Stopped by --until {until}: " in stopped.stdout
    ((labelled,),) = nightlabel.sql("select count(*) from outcomes")
    assert 0 < labelled < IMAGES
    left = nightlabel.sql("select count(*) from chunks where started_at is not null and done_at is null")
    assert left == [(0,)]  # what was in work was done first

    again = nightlabel("run", folder, "--workers", 1, "--max-images", 1)

    assert again.returncode == 10, again.stderr
    assert "Resuming" in again.stderr
    assert nightlabel.sql("select count(*) from runs") == [(1,)]
    ((more,),) = nightlabel.sql("select count(*) from outcomes")
    assert labelled < more < IMAGES


def test_the_last_image_within_the_window_ends_the_run_well(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    done = nightlabel("run", archive(3), "--max-duration", f"{LONG_S:.0f}s")

    assert done.returncode == 0, done.stderr
    assert "Stopped" not in done.stdout
