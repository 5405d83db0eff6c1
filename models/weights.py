"""Where a model's weights are, and what exactly is in the file."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from common.errors import ModelError
from common.settings import NO_CACHE, RANDOM_WEIGHTS, cache_home

if TYPE_CHECKING:
    from common.settings import Settings
    from models.catalogue import CatalogueEntry

_READ_BYTES = 1 << 20
#: A file that changed less than this before it was hashed may change once more and look the same: clocks go in steps.
_RESTED_NS = 2_000_000_000
#: What this process has hashed, and a labelling process's parent before it was forked: see `_identity`.
_hashed: dict[tuple[str, int, int, int, int, int], str] = {}


def find_weights(entry: CatalogueEntry, settings: Settings) -> Path | None:
    """Return the weights file: `--weights`, the weights folder's, or torchvision's own copy; None if there is none.

    Raises:
        ModelError: the file that `--weights` names is not there.

    """
    if settings.weights:
        path = Path(settings.weights).expanduser().resolve()
        if not path.is_file():
            raise ModelError(f"There is no weights file {path}. It must be a state_dict of {entry.name}.")
        return path
    candidates = [torch_cache_dir() / entry.weights_file]
    if settings.weights_dir:
        candidates.insert(0, settings.weights_dir.resolve() / f"{entry.name}.pth")
    return next((path for path in candidates if path.is_file()), None)


def torch_cache_dir() -> Path:
    """Return the folder into which torchvision downloads weights; `torch.hub` documents the rule."""
    named = os.environ.get("TORCH_HOME")
    return (Path(os.path.expanduser(named)) if named else cache_home() / "torch") / "hub" / "checkpoints"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as hexadecimal digits.

    A process reads a file once, and so do those that are forked from it, until the file changes: hashing takes a third
    of a second for 90 MB where a CPU has no instructions for it, and each labelling process needs it at its start.

    Raises:
        ModelError: the file cannot be read.

    """
    try:
        with path.open("rb") as file:
            identity = _identity(path, file)
            if identity not in _hashed:
                now_ns = time.time_ns()
                digest = hashlib.sha256()
                while data := file.read(_READ_BYTES):
                    digest.update(data)
                if _identity(path, file) != identity or now_ns - max(identity[-2:]) < _RESTED_NS:
                    return digest.hexdigest()
                _hashed[identity] = digest.hexdigest()
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be read: {error.strerror}.") from error
    return _hashed[identity]


def _identity(path: Path, file: BinaryIO) -> tuple[str, int, int, int, int, int]:
    """Return what a change of the file's bytes would change: nobody can set the time of a file's last change."""
    found = os.fstat(file.fileno())
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def how_to_get_weights(entry: CatalogueEntry, settings: Settings) -> str:
    """Return sentences for users: what they can do where a model's weights are not on this machine."""
    here = (
        f"Put a state_dict at {settings.weights_dir / f'{entry.name}.pth'}"
        if settings.weights_dir
        else f"Set NIGHTLABEL_WEIGHTS_DIR to a folder with {entry.name}.pth (a state_dict)"
    )
    there = torch_cache_dir()
    then = f"copy it to {there}" if not there.is_relative_to(NO_CACHE) else "name it here with --weights"
    return (
        f"{here}; or name a file with --weights FILE; or let torchvision download {entry.weights_file} on a"
        f" machine with internet access, and {then}. Just to try things out:"
        f" --weights {RANDOM_WEIGHTS}"
    )
