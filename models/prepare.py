"""Prepare models: torch converts each once, in a process of its own, into the cache.

Run as `python -P -m models.prepare COMMAND`, with JSON on standard input, this is that process. A prepared model is
a folder:

    model.xml, model.bin   the network in OpenVINO's format, fp32, from uint8 pixels to probabilities
    model.json             what it was made of, and the sha256 of both files; written last

fp32 and bf16 share it: the precision is chosen when the model is loaded.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.child_process import ChildError, ask_module
from common.errors import ModelError
from common.settings import NO_CACHE
from host.memory import lift_limit
from models.weights import sha256_of
from storage.records import Model, Preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Raised when the way in which models are prepared changes: older folders are then made anew.
FORMAT = 1

_FILES = ("model.xml", "model.bin")


def prepared_dir(model: Model, cache_dir: Path) -> Path:
    """Return the folder that holds, or will hold, the prepared model."""
    made_of = json.dumps([FORMAT, _whatever_precision(model).key])
    return cache_dir / "models" / f"{model.architecture}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def prepare(model: Model, weights_path: Path | None, cache_dir: Path) -> Path:
    """Return the folder of the prepared model, which is made first where it is missing or damaged.

    Safe when two processes start at once: one prepares, the other waits for it.

    Raises:
        ModelError: the weights do not fit the model, or are damaged.

    """
    folder = prepared_dir(model, cache_dir)
    if is_intact(folder, model):
        return folder
    with locked(folder.with_suffix(".lock")):
        if not is_intact(folder, model):
            if weights_path is None and not model.is_random:
                raise ModelError(f"The prepared model {folder} is damaged, and its weights are not on this machine.")
            run_apart("model", cache_dir, model=asdict(model), weights=weights_path and str(weights_path))
    return folder


def prepared_precisions(architecture: str, recipe: str, weights: str, cache_dir: Path) -> list[str]:
    """Return the precisions in which a model with these weights (sha256) is ready to be loaded on this machine."""
    found = set()
    for path in (cache_dir / "models").glob(f"{architecture}-*/model.json"):
        try:
            made_of = json.loads(path.read_text())["model"]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # damaged: it will be made anew
        if (made_of["architecture"], made_of["recipe"], made_of["weights"]) == (architecture, recipe, weights):
            found |= {"int8"} if made_of["precision"] == "int8" else {"fp32", "bf16"}
    return sorted(found, key=("fp32", "bf16", "int8").index)


def run_apart(command: str, cache_dir: Path, **arguments: Any) -> str:  # noqa: ANN401 - JSON
    """Run one command of this module in a process of its own; return what it printed.

    Raises:
        ModelError: it failed; with its own last words.

    """
    _make_folder(cache_dir)
    try:
        return ask_module("models.prepare", command, question=json.dumps({"cache_dir": str(cache_dir), **arguments}))
    except ChildError as error:
        raise ModelError(str(error)) from None


def is_intact(folder: Path, model: Model) -> bool:
    """Tell whether the prepared model is there, made of this one, with the bytes that were written."""
    try:
        record = json.loads((folder / "model.json").read_text())
        is_same = _whatever_precision(_model(record["model"])).key == _whatever_precision(model).key
        recorded = record["sha256"]
        return is_same and all(
            (folder / name).is_file() and sha256_of(folder / name) == recorded[name] for name in _FILES
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _whatever_precision(model: Model) -> Model:
    return replace(model, precision="any", calibration=None)


@contextmanager
def write_folder(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a scratch folder to write a model into, and what to record of it; put it in place when all is there."""
    for left_behind in folder.parent.glob(f"{folder.name}.*"):
        if left_behind.is_dir():  # by a process that was killed: whoever writes here holds the lock
            shutil.rmtree(left_behind, ignore_errors=True)
    scratch = folder.with_suffix(f".{os.getpid()}")
    scratch.mkdir(parents=True)
    record: dict[str, Any] = {}
    try:
        yield scratch, record
        record["sha256"] = {name: sha256_of(scratch / name) for name in _FILES}
        (scratch / "model.json").write_text(json.dumps(record, indent=1))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every other process on this machine out, until the block ends.

    Raises:
        ModelError: the cache cannot be written to.

    """
    _make_folder(path.parent)
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(path.open("w"))
        except OSError as error:
            raise _unwritable(error) from None
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_folder(folder: Path) -> None:
    """Make a folder of the cache, before minutes go into what would lie there.

    Raises:
        ModelError: the cache cannot be written to.

    """
    if folder.is_relative_to(NO_CACHE):
        raise ModelError(
            "This user has no home folder to keep prepared models in: let NIGHTLABEL_CACHE_DIR name a folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> ModelError:
    return ModelError(f"The cache cannot be written to: {error}. NIGHTLABEL_CACHE_DIR names another.")


def _write_catalogue(cache_dir: Path) -> None:
    import torchvision
    from torchvision.models import get_model_weights, list_models

    from models.catalogue import catalogue_document, catalogue_path
    from models.engines.reference import preprocessing_of

    entries = []
    categories: dict[str, list[str]] = {}
    for architecture in list_models(module=torchvision.models):
        # Weights without categories (VGG's features) do not classify. torchvision lists the recipe of the
        # model's paper first, whose figures the field quotes.
        recipes = [recipe for recipe in get_model_weights(architecture) if recipe.meta["categories"]]
        for position, recipe in enumerate(recipes):
            labels = recipe.meta["categories"]
            digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()[:16]
            categories[digest] = labels
            entries.append(
                {
                    "architecture": architecture,
                    "recipe": recipe.name,
                    "weights_file": Path(recipe.url).name,
                    "parameters": recipe.meta["num_params"],
                    "published_top1": _published_top1(recipe.meta),
                    "preprocessing": asdict(preprocessing_of(recipe)),
                    "categories": digest,
                    "is_first": position == 0,
                }
            )
    path = catalogue_path(cache_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")  # two may start at once: the last one's file stays
    scratch.write_text(catalogue_document({"categories": categories, "entries": entries}))
    scratch.replace(path)


def _published_top1(meta: Mapping[str, Any]) -> float | None:
    percent = meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    return None if percent is None else percent / 100


def _download(name: str, cache_dir: Path) -> str:
    from models.catalogue import find_entry
    from models.engines.reference import recipe_of
    from models.weights import torch_cache_dir

    entry = find_entry(name, cache_dir)
    recipe_of(entry.architecture, entry.recipe).get_state_dict(check_hash=True, progress=False)
    return str(torch_cache_dir() / entry.weights_file)


def _write_model(model: Model, weights_path: Path | None, cache_dir: Path) -> None:
    from models.engines.openvino import convert

    with write_folder(prepared_dir(model, cache_dir)) as (scratch, record):
        convert(model, weights_path, scratch / "model.xml")
        record["model"] = asdict(model)


def _main(command: str, arguments: dict[str, Any]) -> None:
    cache_dir = Path(arguments["cache_dir"])
    match command:
        case "catalogue":
            _write_catalogue(cache_dir)
        case "download":
            print(json.dumps({"path": _download(arguments["name"], cache_dir)}))  # noqa: T201 - our answer
        case "model":
            weights = arguments["weights"]
            _write_model(_model(arguments["model"]), weights and Path(weights), cache_dir)
        case "int8":
            from models.quantise import write_quantised

            limits = arguments["max_bytes"], arguments["max_pixels"]
            write_quantised(_model(arguments["model"]), cache_dir, arguments["paths"], *limits)


def _model(fields: dict[str, Any]) -> Model:
    return Model(**fields | {"preprocessing": Preprocessing.from_json(fields["preprocessing"])})


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lift_limit()  # a labelling process may have started this one
    try:
        _main(sys.argv[1], json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001 - the parent process shows the last line as a sentence
        sys.exit(f"{error}" if isinstance(error, ModelError) else f"{type(error).__name__}: {error}")
