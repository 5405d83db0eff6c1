"""Fixtures: real servers, real images, real weights."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from broker.private_redis import PrivateRedis
from common.settings import Settings, load_settings
from models.catalogue import catalogue_path
from models.resolve import resolve
from storage.database import Database
from storage.schema_version import ensure_schema
from tests.command import Nightlabel
from tests.servers import PgBouncer, PostgresServer, postgres_bin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.ready_model import ReadyModel

ROOT = Path(__file__).parents[1]
_SHARED = ROOT.parent / "shared"


def missing(what: str) -> NoReturn:
    """Skip on a laptop; fail in CI, where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--draw-pictures", action="store_true", help="Put the README's pictures of the page anew.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long files first, and those that compute by turns with those that wait, so that no CPU idles meanwhile."""
    of_folder: dict[str, list[Path]] = {}
    for item in items:
        files = of_folder.setdefault(item.path.relative_to(ROOT / "tests").parts[0], [])
        if item.path not in files:
            files.append(item.path)
    turn = {file: number / len(files) for files in of_folder.values() for number, file in enumerate(files)}
    items.sort(key=lambda item: (ROOT / "tests/unit" in item.path.parents, turn[item.path]))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own shell reaches a test."""
    for name in os.environ:
        if name.startswith("NIGHTLABEL_"):
            monkeypatch.delenv(name)


_WEIGHTS_DIR = Path(os.environ.get("NIGHTLABEL_WEIGHTS_DIR") or _SHARED / "weights").resolve()


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder with real trained weights."""
    if not (_WEIGHTS_DIR / "resnet18.pth").is_file():
        missing(f"no trained weights in {_WEIGHTS_DIR}; name a folder with NIGHTLABEL_WEIGHTS_DIR")
    return _WEIGHTS_DIR


@pytest.fixture(scope="session")
def photos() -> Path:
    """125 real, labelled photos, and `truth.csv`."""
    folder = (_SHARED / "images").resolve()
    if not (folder / "truth.csv").is_file():
        missing(f"no labelled photos in {folder}")
    return folder


@pytest.fixture
def archive(tmp_path: Path, photos: Path) -> Callable[[int], Path]:
    """Make a folder with links' worth of real photos: hard copies of the first `count`, under a real tree."""

    def make(count: int) -> Path:
        copy_photos(photos, tmp_path / "archive", count)
        return tmp_path / "archive"

    return make


def copy_photos(photos: Path, folder: Path, count: int) -> None:
    """Copy the first photos, over and over if there are not as many, under the names of a real tree.

    Each file has bytes of its own, else its labels would be those of another one: behind a picture's end, decoders look
    at none.
    """
    sources = sorted(photos.glob("*.jpg"))
    for number in range(count):
        target = folder / f"{number // 50:03}" / f"{number:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        lap, source = divmod(number, len(sources))
        target.write_bytes(sources[source].read_bytes() + (lap.to_bytes(4) if lap else b""))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are prepared: once for all tests, and anew in each test run, by the code as it is now.

    The processes of one test run share it: whoever prepares a model keeps the others out meanwhile. A test that would
    change what lies here makes a copy: see `own_cache`.
    """
    of_the_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each process has a folder in it
        of_the_run = of_the_run.parent
    folder = of_the_run / "models"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def settings(weights_dir: Path, cache_dir: Path) -> Settings:
    """Settings on real weights, in fp32, which every CPU has."""
    return load_settings(weights_dir=weights_dir, cache_dir=cache_dir, precision="fp32", workers=2)


@pytest.fixture(scope="session")
def resnet18(settings: Settings) -> ReadyModel:
    """ResNet-18, prepared."""
    return resolve(settings)


@pytest.fixture
def own_cache(resnet18: ReadyModel, cache_dir: Path, tmp_path: Path) -> Path:
    """A cache of the test's own, with ResNet-18 prepared for fp32 and bf16, and in int8 not."""
    folder = tmp_path / "cache"
    (folder / "models").mkdir(parents=True)
    shutil.copy(catalogue_path(cache_dir), folder)
    assert resnet18.prepared
    shutil.copytree(resnet18.prepared, folder / "models" / resnet18.prepared.name)
    return folder


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for unix sockets, which end at 108 bytes; other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="nl-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running_postgres(folder: Path) -> Iterator[PostgresServer]:
    binaries = postgres_bin()
    if binaries is None:
        missing("no Postgres on PATH, in /usr/lib/postgresql, or in a wheel")
    assert binaries
    folder.mkdir()
    server = PostgresServer(folder, binaries)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(short_folder: Path) -> Iterator[PostgresServer]:
    """One Postgres for all tests; each makes a database of its own."""
    with _running_postgres(short_folder / "postgres") as server:
        yield server


@pytest.fixture
def own_postgres(short_folder: Path) -> Iterator[PostgresServer]:
    """A Postgres that the test may kill."""
    with _running_postgres(short_folder / f"postgres-{uuid.uuid4().hex[:8]}") as server:
        yield server


@pytest.fixture
def pgbouncer(short_folder: Path, postgres: PostgresServer) -> Iterator[PgBouncer]:
    """A pgbouncer in transaction mode before the Postgres of all tests."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        missing("no pgbouncer on PATH or in /usr/sbin")
    assert program
    folder = short_folder / f"pgbouncer-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    server = PgBouncer(folder, postgres, program)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis(short_folder: Path) -> Iterator[PrivateRedis]:
    """A Redis of the test's own."""
    folder = short_folder / f"redis-{uuid.uuid4().hex[:8]}"
    folder.mkdir(mode=0o700)
    with PrivateRedis(folder) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Name an empty Postgres database of the test's own."""
    return postgres.create_database(f"t{uuid.uuid4().hex}")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name an empty database: each test that asks for it runs on SQLite and on Postgres."""
    with empty_database(request, tmp_path) as url:
        yield url


@contextmanager
def empty_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Name an empty database of the kind that the fixture's parameter says: `sqlite`, in this folder, or `postgres`."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'night.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.lend_database() as url:
        yield url


@contextmanager
def open_empty(request: pytest.FixtureRequest, folder: Path) -> Iterator[Database]:
    """Open such a database, with the schema."""
    with empty_database(request, folder) as url, _with_schema(url) as database:
        yield database


@contextmanager
def _with_schema(url: str) -> Iterator[Database]:
    with closing(Database(load_settings(database_url=url).database_url)) as database:
        ensure_schema(database)
        yield database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the schema, on SQLite and on Postgres."""
    with _with_schema(database_url) as database:
        yield database


@pytest.fixture
def nightlabel(tmp_path: Path, settings: Settings) -> Iterator[Nightlabel]:
    """The command, in a folder of its own, on real weights."""
    folder = tmp_path / "home"
    folder.mkdir()
    with Nightlabel(folder, settings) as command:
        yield command
