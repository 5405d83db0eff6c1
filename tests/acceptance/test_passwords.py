"""No piece of a password is anywhere: on the terminal, in a log, the database, a report, or the arguments of a child.

Each is of a URL that is refused, of one whose server is not there, or of one whose server is.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import pytest
from sqlalchemy import text

from common.settings import load_settings
from storage.database import Database
from tests.unit.common.test_urls import ODD, pieces, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from tests.command import Nightlabel
    from tests.servers import PostgresServer

COMMANDS = (("run", "."), ("enqueue", "."), ("worker",), ("status",), ("report",), ("export",), ("db", "upgrade"))


def told(nightlabel: Nightlabel, *arguments: str, **environment: str) -> tuple[str, int]:
    done = nightlabel(*arguments, **environment)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_command_that_refuses_or_does_not_reach_a_server_tells_no_piece_of_its_password(
    nightlabel: Nightlabel, number: int
) -> None:
    password = ODD[number]
    command = COMMANDS[number % len(COMMANDS)]
    for database, broker in (
        (f"postgresql://anna:{password}@127.0.0.1:1/photos", "redis://127.0.0.1:1/0"),
        ("night.db", f"redis://:{password}@127.0.0.1:1/0"),
    ):
        if command[0] in ("report", "export", "db") and database == "night.db":
            continue  # they need no broker
        if command[0] == "worker" and database == "night.db" and refusal(broker) is None:
            continue  # it waits for its Redis
        output, status = told(nightlabel, *command, NIGHTLABEL_DATABASE_URL=database, NIGHTLABEL_BROKER_URL=broker)
        assert status not in (0, 1), output
        assert [piece for piece in pieces(password) if piece in output] == [], output
        assert "Traceback" not in output


def everything_stored(url: str) -> str:
    """Return all text of all tables."""
    with closing(Database(load_settings(database_url=url).database_url)) as database, database.read() as connection:
        names = connection.execute(text("select tablename from pg_tables where schemaname = 'public'")).scalars().all()
        return "\n".join(str(tuple(row)) for name in names for row in connection.execute(text(f"select * from {name}")))


def test_a_run_whose_servers_have_passwords_leaves_no_piece_of_them_anywhere(
    nightlabel: Nightlabel,
    postgres: PostgresServer,
    redis: PrivateRedis,
    archive: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """Postgres and Redis take the passwords that they are given here, and the second asks for its own."""
    import redis as client

    password = "S3cr/et#9?@:%[] \\zü"
    written = quote(password, safe="")
    name = "passwords"
    plain = postgres.create_database(name)
    url = plain.replace("nightlabel@", f"nightlabel:{written}@")
    with client.Redis(unix_socket_path=redis.url.removeprefix("redis+socket://")) as server:
        server.config_set("requirepass", password)
    broker = redis.url.replace("redis+socket://", f"redis+socket://:{written}@")
    environment = {"NIGHTLABEL_DATABASE_URL": url, "NIGHTLABEL_BROKER_URL": broker, "NIGHTLABEL_LOG_LEVEL": "debug"}
    folder = archive(4)
    (folder / "000" / "bad.jpg").write_bytes(b"\xff\xd8\xff")

    run = nightlabel.start("run", folder, "--workers", "1", **environment)
    arguments = set()
    while run.poll() is None:
        for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
            try:
                arguments.add(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        try:
            run.wait(0.2)
        except Exception:  # noqa: BLE001, S112 - still at work
            continue
    output = "".join(run.communicate())
    assert run.returncode == 0, output
    for command in (
        ("status",),
        ("report",),
        ("report", "--json"),
        ("report", "--html", str(tmp_path / "night.html")),
        ("export",),
    ):
        said, status = told(nightlabel, *command, **environment)
        assert status == 0, said
        output += said
    page = re.sub(r"<script.*?</script>", "", (tmp_path / "night.html").read_text(), flags=re.DOTALL)
    for where, found in (
        ("output", output),
        ("page", page),
        ("database", everything_stored(plain)),
        ("arguments", "\n".join(arguments)),
    ):
        assert [piece for piece in pieces(password) if piece in found] == [], where
    assert json.loads(nightlabel("report", "--json", **environment).stdout)["images"]["total"] == 5
