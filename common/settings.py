"""Every setting in one place, read once and passed down."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.database_url import database_url_of
from common.errors import UsageError
from common.redis_url import RedisAddress
from common.times import next_time_of_day, parse_duration
from common.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

ENV_PREFIX = "NIGHTLABEL_"
#: `--weights random`: an untrained model, for trying things out. Every report says so.
RANDOM_WEIGHTS = "random"
#: Seconds without a sign of life after which a disk or a share counts as silent. A NAS whose disks sleep needs about
#: 15 s for its first answer.
SILENT_S = 30.0
#: Megabytes that a labelling process needs at least, with a small model and an ordinary photo.
LEAST_MEMORY_LIMIT_MB = 300


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
    if not isinstance(value, str):
        return tuple(value)
    if value.startswith('["'):  # as `as_environment` writes globs with a comma
        return tuple(map(str, json.loads(value)))
    return tuple(part for part in value.split(",") if part)


def _broker_url(value: str | None) -> str | None:
    if not value:
        return None
    value = value.strip()  # `$(cat FILE)` and .env files leave ends of lines
    RedisAddress.parse(value)
    return value


def _folder(value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever it was given
    if value is None or value == "":
        return None
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~somebody, who is not known here
        raise ValueError(str(error)) from None


def _cache_folder(value: Any) -> Any:  # noqa: ANN401 - see above
    return _folder(value) or _default_cache_dir()


def _text(value: Any) -> Any:  # noqa: ANN401 - see above
    return None if value is None else str(value)


def _time_of_day(value: str | None) -> str | None:
    if not value:
        return None
    next_time_of_day(value, datetime.now(UTC))
    return value.strip()


def _duration(value: str | None) -> str | None:
    if not value:
        return None
    if parse_duration(value) <= 0:
        raise ValueError("that is no time at all")
    return value


def _memory_limit(value: int | None) -> int | None:
    if value is not None and 0 < value < LEAST_MEMORY_LIMIT_MB:
        raise ValueError(f"a process needs {LEAST_MEMORY_LIMIT_MB} at least; 0 sets no limit")
    return value


#: Names of files may hold bytes that are not UTF-8, which pydantic's own types refuse.
CacheFolder = Annotated[Path, PlainValidator(_cache_folder)]
Globs = Annotated[tuple[str, ...], NoDecode, PlainValidator(_split)]


class Settings(BaseSettings):
    """What can be set, as `NIGHTLABEL_<NAME>` or as the option of that name (`docs/commands.md`)."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid")

    #: SQLAlchemy URL, or the name of a SQLite file.
    database_url: Annotated[str, BeforeValidator(database_url_of)] = Field("nightlabel.db", validate_default=True)
    #: Redis. None: `nightlabel run` starts a private one.
    broker_url: Annotated[str | None, AfterValidator(_broker_url)] = None
    #: What every key in Redis begins with, so that two deployments can share one server.
    key_prefix: str = "nightlabel:"

    model: str = "resnet18"
    #: `auto`, or the name of one: `models.engines.check_names` knows which there are.
    engine: str = "auto"
    precision: str = "auto"
    #: An int8 model that gives a smaller share of images the same best label as fp32 is refused.
    int8_min_agreement: float = Field(0.95, ge=0, le=1)
    #: The same of a cascade.
    cascade_min_agreement: float = Field(0.99, ge=0, le=1)
    #: A file with a state_dict, or `random`.
    weights: Annotated[str | None, PlainValidator(_text)] = None
    #: Where `<model>.pth` is looked for.
    weights_dir: Annotated[Path | None, PlainValidator(_folder)] = None
    #: Where prepared models are kept.
    cache_dir: CacheFolder = Field(default_factory=_default_cache_dir)

    #: Worker processes; None: one for each CPU that may be used, or as many as memory allows.
    workers: int | None = Field(None, ge=0, le=1024)
    #: Images an engine sees at once. Above 8 nothing gets faster, and memory grows.
    batch_size: int = Field(8, ge=1, le=256)
    #: Images in one message, one task and one transaction. 64 paths cost 114 bytes an image in Redis.
    chunk_size: int = Field(64, ge=1, le=64)
    #: Chunks that may wait in Redis; the producer waits above it. 2,000 chunks are about 15 MB.
    queue_limit: int = Field(2000, ge=1)

    #: Niceness of the worker processes: 0 as any program, 19 behind all others (nice(1)).
    nice: int = Field(0, ge=0, le=19)
    #: Megabytes that a worker process may hold; a picture that needs more fails (`too_large`). None: its share of what
    #: the machine or its container has; 0: no limit.
    memory_limit_mb: Annotated[int | None, AfterValidator(_memory_limit)] = Field(None, ge=0)

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

    #: A time of the day, as in 07:00, at which a run stops in good order; the same command goes on with it.
    until: Annotated[str | None, AfterValidator(_time_of_day)] = None
    #: The same after a time, as in 8h.
    max_duration: Annotated[str | None, AfterValidator(_duration)] = None
    #: The same once it has labelled so many images.
    max_images: int | None = Field(None, ge=1)

    #: Of names of classes and kinds, by ISO 639-1. None: the locale's.
    language: str | None = None

    #: Where the page is served. Anywhere but on this machine's own addresses it asks for a token.
    web_host: str = "127.0.0.1"
    #: 0: any that is free.
    web_port: int = Field(8420, ge=0, le=65535)
    #: What lets somebody see the page. None: nothing is asked at 127.0.0.1, and a new one is made elsewhere.
    web_token: str | None = None
    #: Names by which the page may be asked besides, as of a proxy before it.
    web_allowed_hosts: Globs = ()
    #: Megabytes that may be sent to be labelled at a time.
    web_upload_mb: int = Field(100, ge=1)
    #: Megabytes of small pictures that are kept on disk; 0: none.
    web_cache_mb: int = Field(1000, ge=0)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: Of what a worker logs: sentences, or JSON lines with the fields of each record (`docs/logging.md`).
    log_format: Literal["text", "json"] = "text"

    @property
    def soft_time_limit_s(self) -> int:
        """Seconds after which a chunk is asked to end: three quarters of the hard limit."""
        return max(1, self.time_limit_s * 3 // 4)

    @property
    def stall_limit_s(self) -> float:
        """`stall_s`, or more: a chunk may take all of its time limit, and then is retried image by image."""
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


def as_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that give another process the same settings."""
    environment = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)  # by pydantic's own dump, a Ctrl-C would become another error
        if value is not None and value != ():
            environment[ENV_PREFIX + name.upper()] = _joined(value) if isinstance(value, tuple) else str(value)
    return environment


def _joined(globs: tuple[str, ...]) -> str:
    return json.dumps(globs) if any("," in glob or glob.startswith('["') for glob in globs) else ",".join(globs)


def load_settings(**given: Any) -> Settings:  # noqa: ANN401 - an option of any type
    """Settings from the environment, overridden by what is `given` and not None.

    Raises:
        UsageError: naming each setting that makes no sense, and why.

    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise settings_error(
            (
                "_".join(str(part) for part in problem["loc"][:1]),
                problem["input"],
                problem["msg"].removeprefix("Value error, "),
            )
            for problem in error.errors()
        ) from None


def settings_error(problems: Iterable[tuple[str, object, str]]) -> UsageError:
    """Return the error on settings that make no sense: of each its name, its value, and why."""
    sentences = (f"{ENV_PREFIX}{name.upper()} = {_shown(value)}: {why}" for name, value, why in problems)
    return UsageError(f"A setting makes no sense. {'; '.join(sentences)}")


def _shown(value: object) -> str:
    return repr(redact(value)) if isinstance(value, str) else repr(value)
