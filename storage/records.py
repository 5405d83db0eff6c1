"""The immutable values that travel between the parts."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from common.settings import RANDOM_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

RunState = Literal["scanning", "labelling", "finished", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What turns a picture into a model's input; the values of torchvision's `weights.transforms()`."""

    resize_size: int  #: pixels of the short side after resizing
    crop_size: int  #: pixels of each side of the centre crop
    interpolation: str  #: `bilinear`, `bicubic` or `nearest`
    mean: tuple[float, float, float]  #: of RGB in 0…1
    std: tuple[float, float, float]  #: of RGB in 0…1

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return what `asdict` was written from: JSON knows no tuples."""
        return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})


@dataclass(frozen=True, kw_only=True)
class Model:
    """What gives an image its labels. Two models with the same `key` give the same ones."""

    architecture: str  #: torchvision's name, `resnet18`
    recipe: str  #: which of torchvision's weights the transforms and the labels come from
    weights: str  #: sha256 of the weights file, or `random`
    precision: str  #: `fp32`, `bf16`, `int8` or `cascade`
    preprocessing: Preprocessing
    calibration: str | None = None  #: int8, cascade: sha256 of what was calibrated, each time another

    @property
    def key(self) -> str:
        """Sha256 over all that makes the model, as hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def is_random(self) -> bool:
        return self.weights == RANDOM_WEIGHTS

    def __str__(self) -> str:
        """Return `resnet18, bf16, weights aa1dea68`, for people."""
        weights = "RANDOM WEIGHTS" if self.is_random else f"weights {self.weights[:8]}"
        return f"{self.architecture}, {self.precision}, {weights}"


def shown(path: str) -> str:
    r"""Return a path for people and for text columns: bytes that are not UTF-8 as `\xNN`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def storable(text: str) -> str:
    """Return what a text column holds: no zero, and no half of a surrogate pair, as a decoder's message may."""
    return text.encode(errors="backslashreplace").decode().replace("\0", r"\x00")


def total_of(*stages_ms: float | None) -> float | None:
    """Return the milliseconds that an image took, of those of its stages that it came to; None: to none."""
    spent = [ms for ms in stages_ms if ms is not None]
    return sum(spent) if spent else None


class ImageRef(NamedTuple):
    """A file that a scan found."""

    path: str  #: absolute; bytes that are not UTF-8 as surrogate escapes, as `os` gives them
    size: int  #: bytes
    mtime_ns: int  #: nanoseconds since the epoch


class ChunkImage(NamedTuple):
    """An image on its way to a worker."""

    image_id: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """One labelling of one archive with one model."""

    id: int
    model_id: int
    model: Model
    engine: str
    roots: tuple[str, ...]  #: absolute, none inside another
    state: RunState
    created_at: datetime
    follower: str | None  #: `host:PID` of the command that follows it
    follower_process: str | None  #: the same, as `host.process.process_identity` gives it
    followed_at: datetime | None  #: when a follower was last heard of; None: nobody follows it
    skipped: int  #: images that already had an outcome
    ignored: int  #: files that are no images, by their content
    reuse: Literal["any", "own", "never"] = "any"  #: labels of the same bytes that images take: of any run, or its own

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "cancelled")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Images that travel together: what is published of them."""

    id: int
    run_id: int
    attempt: int
    images: int  #: how many


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one image: `ok` with labels, or `failed` with a kind and a message."""

    image_id: int
    labels: tuple[tuple[str, float], ...] = ()  #: best first; score as a probability, 0…1
    kind: str | None = None  #: None: it failed, or the model's labels have no kinds
    kind_score: float | None = None
    things: tuple[tuple[str, float], ...] = ()  #: its kinds, and what those are in turn, each with its sum, 0…1
    error_kind: str | None = None
    error: str | None = None
    warning: str | None = None  #: with labels: what the decoder complained of; some pixels may be damaged
    width: int | None = None  #: pixels, after EXIF orientation
    height: int | None = None
    size: int | None = None  #: bytes of the file that was read; None if there was none
    mtime_ns: int | None = None
    content: str | None = None  #: blake2b of the file's bytes, 128 bits in hexadecimal
    read_ms: float | None = None
    decode_ms: float | None = None  #: bytes to crop: decoding, resizing, converting
    infer_ms: float | None = None  #: the batch's time, divided by the images in it
    computed_in: str | None = None  #: which precision gave the answer, where the model has several
    copied_from: int | None = None  #: the image of the same bytes whose labels it took; None: they were computed

    @property
    def ok(self) -> bool:
        return self.error_kind is None

    @property
    def total_ms(self) -> float | None:
        """Milliseconds of work for this image, without waiting in the queue."""
        return total_of(self.read_ms, self.decode_ms, self.infer_ms)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is."""

    images: int = 0  #: in the manifest
    ok: int = 0
    failed: int = 0
    chunks: int = 0
    chunks_done: int = 0
    chunks_waiting: int = 0  #: not yet published, or requeued
    chunks_in_work: int = 0  #: published and started, not done
    images_in_work: int = 0  #: of such chunks, without their outcome
    extra_starts: int = 0  #: times that a chunk was retried after a start that did not end

    @property
    def labelled(self) -> int:
        return self.ok + self.failed

    @property
    def missing(self) -> int:
        return self.images - self.labelled

    @property
    def chunks_published(self) -> int:
        """Count the chunks that are on the queue or with a worker."""
        return self.chunks - self.chunks_done - self.chunks_waiting


@dataclass(frozen=True, kw_only=True)
class WorkerSample:
    """A worker process, as it was when it last stored a chunk."""

    name: str
    host: str
    pid: int
    started_at: datetime
    rss_bytes: int
    peak_rss_bytes: int
    process: str | None = None  #: `host.process.this_process`; None: an earlier version's
    seen_at: datetime | None = None  #: when it stored that chunk; None: not stored yet


@dataclass(frozen=True, kw_only=True)
class ProcessSample:
    """What a worker process held and had used at a time."""

    worker: str
    sampled_at: datetime
    pid: int
    rss_bytes: int
    cpu_s: float  #: since it started
    store_s: float | None = None  #: since it started, on storing chunks; None: the worker's main process


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a run is getting on."""

    newest_at: datetime | None  #: when a chunk was last begun or done
    images: int  #: labelled since the time that was asked for
    begun_at: datetime | None = None  #: when the first of their chunks was begun; None: there is none


class ChunkTime(NamedTuple):
    """A finished chunk: when it was labelled, and by whom."""

    chunk_id: int
    published_at: datetime | None
    started_at: datetime
    done_at: datetime
    images: int
    failed: int
    attempt: int
    starts: int
    worker: str


class OutcomePage(NamedTuple):
    """Some of a run's outcomes, a column a field; all of one length. NaN: it has none."""

    chunk_id: NDArray[np.int64]
    stages_ms: Mapping[str, NDArray[np.float64]]  #: by stage
    score: NDArray[np.float64]  #: of the best label


class Copies(NamedTuple):
    """Files with the same bytes."""

    content: str
    files: int
    size: int  #: of each


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """An image with its best label."""

    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    size: int | None  #: of the file that was labelled, as are `mtime_ns` and `content`
    mtime_ns: int | None
    content: str | None  #: None: labelled before contents were noted
    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Where two models, or two precisions of one, give an image another best label."""

    first: str
    second: str
    images: int  #: that both labelled
    different: int
    examples: tuple[tuple[str, str, str], ...]  #: path, the first one's label, the second one's

    @property
    def share(self) -> float:
        return self.different / self.images if self.images else 0.0


@dataclass(frozen=True, kw_only=True)
class FailureCount:
    """How many images failed for one reason."""

    kind: str
    images: int
    example: str = field(repr=False)  #: path of one of them


@dataclass(frozen=True, kw_only=True)
class DoubtfulImages:
    """How many images have labels though they are damaged in part."""

    images: int
    example: str = field(repr=False)  #: path of one of them
    warning: str = field(repr=False)  #: what is known of its damage


JsonObject = dict[str, Any]
