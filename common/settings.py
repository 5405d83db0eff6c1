"""Every setting in one place, read once and passed down."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.bounded import SILENT_S
from common.errors import UsageError

ENV_PREFIX = "NIGHTLABEL_"
#: `--weights random`: an untrained model, for trying things out. Every report says so.
RANDOM_WEIGHTS = "random"


#: Where a user who has neither a home nor a named cache keeps things: nowhere, and whoever needs them says so.
NO_CACHE = Path(os.devnull)


def cache_home() -> Path:
    """Return the folder of this user's caches; `NO_CACHE` if there is none."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # neither HOME nor a passwd entry, as in a container with a number for a user
        return NO_CACHE


def _default_cache_dir() -> Path:
    return cache_home() / "nightlabel"


def _split(value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever it was given
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


def _database_url(value: str) -> str:
    """Accept a bare file name as SQLite, and name the Postgres driver that is installed."""
    if "://" not in value:
        return f"sqlite:///{_expanded(Path(value))}"
    scheme, rest = value.split("://", 1)
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg://{rest}"
    if scheme.split("+")[0] not in ("sqlite", "postgresql"):
        raise ValueError("use sqlite:///FILE, postgresql://USER@HOST/NAME, or just the name of a file")
    return value


def _broker_url(value: str | None) -> str | None:
    if not value:
        return None
    if value.split("://")[0] not in ("redis", "rediss", "redis+socket"):
        raise ValueError("use redis://HOST:6379/0, rediss://… for TLS, or redis+socket:///PATH/redis.sock")
    _ = urlsplit(value).port  # raises ValueError, with the reason, for a port that is no number
    return value


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # ~somebody, who is not known here
        raise ValueError(str(error)) from None


Folder = Annotated[Path, AfterValidator(_expanded)]
Globs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """What can be set, as `NIGHTLABEL_<NAME>` or as the option of that name (`docs/commands.md`)."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid")

    #: SQLAlchemy URL, or the name of a SQLite file.
    database_url: Annotated[str, AfterValidator(_database_url)] = "nightlabel.db"
    #: Redis. None: `nightlabel run` starts a private one.
    broker_url: Annotated[str | None, AfterValidator(_broker_url)] = None
    #: What every key in Redis begins with, so that two deployments can share one server.
    key_prefix: str = "nightlabel:"

    model: str = "resnet18"
    engine: Literal["auto", "openvino", "torch"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    #: An int8 model that gives a smaller share of images the same best label as fp32 is refused.
    int8_min_agreement: float = Field(0.95, ge=0, le=1)
    #: A file with a state_dict, or `random`.
    weights: str | None = None
    #: Where `<model>.pth` is looked for.
    weights_dir: Folder | None = None
    #: Where prepared models are kept.
    cache_dir: Folder = Field(default_factory=_default_cache_dir)

    #: Worker processes; None: one a CPU that this process may use.
    workers: int | None = Field(None, ge=0, le=1024)
    #: Images an engine sees at once. Above 8 nothing gets faster, and memory grows.
    batch_size: int = Field(8, ge=1, le=256)
    #: Images in one message, one task and one transaction. 64 paths cost 114 bytes an image in Redis.
    chunk_size: int = Field(64, ge=1, le=64)
    #: Chunks that may wait in Redis; the producer waits above it. 2,000 chunks are about 15 MB.
    queue_limit: int = Field(2000, ge=1)

    #: How far the workers stand back behind other programs: 0 not at all, 19 as far as possible (nice(1)).
    nice: int = Field(0, ge=0, le=19)
    #: Megabytes that a worker process may hold; a picture that needs more fails (`too_large`). None: no limit.
    memory_limit_mb: int | None = Field(None, ge=300)

    #: Seconds after which a chunk that hangs is killed; a decoder can hang holding the GIL.
    time_limit_s: int = Field(120, ge=2)
    #: Share of the newest 1,000 images that may fail before a run stops, since something else must be wrong. 1: any.
    max_failure_share: float = Field(0.5, ge=0, le=1)
    #: Seconds without any outcome, though work waits, after which a run starts its workers again.
    stall_s: int = Field(180, ge=5)
    #: Larger files are refused unread (`too_large`).
    max_file_mb: int = Field(200, ge=1)
    #: Larger pictures are refused undecoded (`too_large`): what a decompression bomb would be.
    max_megapixels: int = Field(100, ge=1)

    #: Only files that match one of these globs, where there are any.
    include: Globs = ()
    #: No file or folder that matches one of these globs.
    exclude: Globs = ()
    #: Also folders with the copies and the rubbish of other programs (`docs/formats.md`).
    no_skip: bool = False
    #: Label again what already has an outcome.
    relabel: bool = False

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def soft_time_limit_s(self) -> int:
        """Seconds after which a chunk is asked to end: three quarters of the hard limit."""
        return max(1, self.time_limit_s * 3 // 4)

    @property
    def stall_limit_s(self) -> float:
        """`stall_s`, or more: a chunk may take all of its time limit, and then is begun again image by image."""
        return max(self.stall_s, self.time_limit_s * 3 / 2)

    @property
    def silent_s(self) -> float:
        """Seconds without a byte after which a file's disk counts as silent: a chunk bears three such waits."""
        return min(SILENT_S, max(1.0, self.soft_time_limit_s / 3))

    @property
    def max_file_bytes(self) -> int:
        return self.max_file_mb * 1_000_000

    @property
    def max_pixels(self) -> int:
        return self.max_megapixels * 1_000_000

    @property
    def worker_count(self) -> int:
        return available_cpus() if self.workers is None else self.workers


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that give another process the same settings."""
    environment = {}
    for name, value in settings.model_dump().items():
        if value is not None and value != ():
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            environment[ENV_PREFIX + name.upper()] = text
    return environment


def available_cpus() -> int:
    """CPUs that this process may run on: what a container or `taskset` left of the machine's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def load_settings(**given: Any) -> Settings:  # noqa: ANN401 - an option of any type
    """Settings from the environment, overridden by what is `given` and not None.

    Raises:
        UsageError: naming each setting that makes no sense, and why.

    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            f"{ENV_PREFIX}{'_'.join(str(part) for part in problem['loc'][:1]).upper()}"
            f" = {_shown(problem['input'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        )
        raise UsageError(f"A setting makes no sense. {problems}") from None


def _shown(value: object) -> str:
    return repr(redact(value)) if isinstance(value, str) else repr(value)


#: Up to the last @, since a password may hold any character; and what drivers read from the query.
_USER_INFO = re.compile(r"(?<=://)([^:/?#@]*):.*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"(?<=[?&])(pass\w*|pwd)=[^&\s]*", re.IGNORECASE)


def redact(url: str) -> str:
    """Return the URL without its password, for logs, reports and errors."""
    return _QUERY_PASSWORD.sub(r"\1=***", _USER_INFO.sub(r"\1:***@", url))
