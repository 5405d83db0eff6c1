"""A Redis user of limited rights: those in the docs suffice, and what is missing is said by every command at once."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.command import wait_until
from tests.conftest import ROOT
from tests.faults.farm import wait_for_end
from tests.redis_servers import client, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.command import Nightlabel

IMAGES = 8
#: One of each kind of thing that somebody may forget to allow, and how it is said.
FORGOTTEN = {
    "-brpop": "the commands brpop",
    "-psubscribe": "the commands psubscribe",
    "-exec -evalsha": "the commands evalsha, exec",
    "resetchannels": "the channels nightlabel:/0.celery.pidbox, nightlabel:/0.celeryev/worker.heartbeat",
    "resetchannels &nightlabel:*": "the channels nightlabel:/0.celery.pidbox",  # a subscription needs the very same
    "resetkeys ~other:*": "the keys nightlabel:*",
}


def documented_rights() -> str:
    """Return the rules of the ACL that the docs give people to copy."""
    text = (ROOT / "docs" / "several-hosts.md").read_text()
    found = re.search(r"ACL SETUSER nightlabel on >PASSWORD (.+?)```", text, re.DOTALL)
    assert found
    return found[1].replace("\\\n", " ")


def allow(raw: Any, rules: str) -> None:
    raw.execute_command("ACL", "SETUSER", "nightlabel", "reset", "on", ">right", *rules.split())


@contextmanager
def restricted(folder: Path, command: Nightlabel, rules: str) -> Iterator[Any]:
    """Have every command use a Redis as a user that may do no more than the rules say; yield one that may do all."""
    with server(folder) as port, client(port, decode_responses=True) as raw:
        allow(raw, rules)
        command.environment["NIGHTLABEL_BROKER_URL"] = f"redis://nightlabel:right@127.0.0.1:{port}/0"
        yield raw


def test_the_documented_rights_suffice(nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path) -> None:
    with restricted(tmp_path, nightlabel, documented_rights()) as raw:
        assert nightlabel("enqueue", archive(IMAGES)).returncode == 0
        worker = nightlabel.start("worker", "--concurrency", "1")
        nightlabel.wait_for("select count(*) from outcomes", IMAGES)
        status = nightlabel("status")
        assert (status.returncode, status.stderr) == (0, "")
        assert "1 chunks in work" in status.stdout or "0 chunks in work" in status.stdout  # the worker has answered
        worker.terminate()
        assert "NOPERM" not in wait_for_end(worker)
        # Nothing else was ever refused: redis-py would tell its name, and we would look for a dangerous setting.
        assert {entry["object"].partition("|")[0] for entry in raw.acl_log()} <= {"client", "info"}


@pytest.mark.parametrize("forgotten", FORGOTTEN)
def test_every_command_says_at_once_what_is_not_allowed(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path, forgotten: str
) -> None:
    folder = archive(IMAGES)
    assert nightlabel("db", "upgrade").returncode == 0
    with restricted(tmp_path, nightlabel, f"{documented_rights()} {forgotten}"):
        for arguments in (("run", folder), ("enqueue", folder), ("worker",), ("status",)):
            refused = nightlabel(*arguments)
            assert refused.returncode == 4, (arguments, refused.stderr)
            assert "Traceback" not in refused.stderr
            assert f"does not allow this user {FORGOTTEN[forgotten]}." in refused.stderr
            assert "right@" not in refused.stdout + refused.stderr


def test_a_worker_that_loses_its_rights_ends_and_says_why(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    with restricted(tmp_path, nightlabel, documented_rights()) as raw:
        nightlabel("enqueue", archive(IMAGES))
        worker = nightlabel.start("worker", "--concurrency", "1")
        nightlabel.wait_for("select count(*) from outcomes", IMAGES)
        allow(raw, f"{documented_rights()} -brpop")
        errors = wait_for_end(worker, status=4)
    assert "Traceback" not in errors
    assert "The worker ends. Redis at" in errors


def test_a_worker_whose_password_is_changed_ends_and_does_not_try_for_ever(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    with restricted(tmp_path, nightlabel, documented_rights()) as raw:
        nightlabel("enqueue", archive(IMAGES))
        worker = nightlabel.start("worker", "--concurrency", "1")
        nightlabel.wait_for("select count(*) from outcomes", IMAGES)
        raw.execute_command("ACL", "SETUSER", "nightlabel", "resetpass", ">other")
        raw.execute_command("CLIENT", "KILL", "USER", "nightlabel")
        errors = wait_for_end(worker, status=4)
    assert "Write the right user and password into the URL" in errors


def test_whoever_follows_a_run_does_not_wait_for_a_right(
    nightlabel: Nightlabel, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    with restricted(tmp_path, nightlabel, documented_rights()) as raw:
        follower = nightlabel.start("enqueue", archive(IMAGES), "--wait")
        wait_until(lambda: raw.keys("nightlabel:chunks-*") or None)
        allow(raw, f"{documented_rights()} -llen -lrange -hgetall")
        errors = wait_for_end(follower, status=4)
    assert "Trying again" not in errors
