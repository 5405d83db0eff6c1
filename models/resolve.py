"""From what was asked for to the model that will run: weights found and hashed, precision chosen, prepared."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ModelError
from common.settings import RANDOM_WEIGHTS
from models.catalogue import RECIPE_MARK, find_entry
from models.engines import INT8, choose_engine, choose_precision
from models.prepare import prepare, prepared_dir, run_apart
from models.quantise import find_quantised, quantise, quantised_dir
from models.weights import find_weights, sha256_of, what_to_do
from storage.records import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from common.settings import Settings
    from models.catalogue import CatalogueEntry
    from models.quantise import Quantised


@dataclass(frozen=True, kw_only=True)
class ReadyModel:
    """A model that can be loaded on this machine, now."""

    model: Model
    engine: str  #: `openvino` or `torch`
    categories: tuple[str, ...]
    weights_path: Path | None  #: None for random weights, and where only the prepared model is here
    prepared: Path | None  #: the folder with the prepared model; None: the engine needs none


def resolve(settings: Settings) -> ReadyModel:
    """Return the model that the settings name, prepared where its engine needs that.

    Raises:
        ModelError: no such model; or its weights are missing, damaged, or of another model; or it is to run in int8,
            and was not quantised yet, or disagrees with fp32 too often.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    engine = choose_engine(settings.engine)
    model = _model(entry, weights, choose_precision(settings.precision, engine))
    if model.precision == INT8:
        quantised = find_quantised(model, settings.cache_dir)
        if quantised is None:
            raise ModelError(f"{entry.name} is not quantised yet: nightlabel models prepare {entry.name} --int8 PATH")
        _refuse_disagreement(quantised, settings)
        model = replace(model, calibration=quantised.calibration)
        return _ready(model, entry, engine, path, quantised.folder)
    return _ready(model, entry, engine, path, _prepared(model, engine, path, settings))


def quantise_for(settings: Settings, sample: Callable[[], Sequence[str]], *, anew: bool = False) -> Quantised:
    """Quantise the configured model on a `sample` of an archive's images, unless it is quantised already.

    Raises:
        ModelError: as `resolve` does; or NNCF is missing, or too few images can be read.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    model = _model(entry, weights, choose_precision(INT8, choose_engine(settings.engine)))
    prepare(model, path, settings.cache_dir)
    found = None if anew else find_quantised(model, settings.cache_dir)
    if found is None:
        limits = {"max_bytes": settings.max_file_bytes, "max_pixels": settings.max_pixels}
        found = quantise(model, settings.cache_dir, sample(), anew=anew, **limits)
    _refuse_disagreement(found, settings)
    return found


def check_configured(settings: Settings) -> None:
    """Find, hash and prepare the configured model, without loading an engine into this process.

    Raises:
        ModelError: as `resolve` does.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    model = _model(entry, weights, "fp32")  # what is prepared serves every precision
    _prepared(model, choose_engine(settings.engine), path, settings)


def resolve_recorded(model: Model, engine: str, settings: Settings) -> ReadyModel:
    """Return the model that a run recorded, from this machine's weights.

    Raises:
        ModelError: this machine has no weights for it, or other ones than the run recorded.

    """
    entry = find_entry(f"{model.architecture}{RECIPE_MARK}{model.recipe}", settings.cache_dir)
    if model.is_random:
        return _ready(model, entry, engine, None, _prepared(model, engine, None, settings))
    path = find_weights(entry, settings)
    if path is not None:
        found = sha256_of(path)
        if found != model.weights:
            raise ModelError(
                f"The run was recorded with weights of sha256 {model.weights}, but {path} has {found}. Put the"
                f" recorded file back; or label with the new one, from the start: nightlabel run --relabel"
            )
    elif not prepared_dir(model, settings.cache_dir).exists():
        raise ModelError(
            f"The weights of {entry.name} that the run recorded (sha256 {model.weights}) are not on this"
            f" machine. {what_to_do(entry, settings)}"
        )
    return _ready(model, entry, engine, path, _prepared(model, engine, path, settings))


def _model(entry: CatalogueEntry, weights: str, precision: str) -> Model:
    return Model(
        architecture=entry.architecture,
        recipe=entry.recipe,
        weights=weights,
        precision=precision,
        preprocessing=entry.preprocessing,
    )


def _refuse_disagreement(quantised: Quantised, settings: Settings) -> None:
    if quantised.agreement < settings.int8_min_agreement:
        raise ModelError(
            f"{quantised}; NIGHTLABEL_INT8_MIN_AGREEMENT asks for {settings.int8_min_agreement:.1%}. Use --precision"
            " bf16 or fp32, or calibrate it on more images: nightlabel models prepare NAME --int8 PATH"
        )


def _weights(entry: CatalogueEntry, settings: Settings) -> tuple[str, Path | None]:
    """Return the sha256 and the path of the weights, or `random` and None."""
    if settings.weights == RANDOM_WEIGHTS:
        return RANDOM_WEIGHTS, None
    path = find_weights(entry, settings)
    if path is None:
        path = _download(entry, settings)
    return sha256_of(path), path


def _download(entry: CatalogueEntry, settings: Settings) -> Path:
    """Let torchvision fetch the weights, hash checked; most machines do this once in their life."""
    try:
        return Path(json.loads(run_apart("download", settings.cache_dir, name=entry.name))["path"])
    except ModelError as error:
        raise ModelError(
            f"The weights of {entry.name} are not on this machine, and could not be downloaded"
            f" ({error}). {what_to_do(entry, settings)}"
        ) from error


def _ready(model: Model, entry: CatalogueEntry, engine: str, path: Path | None, prepared: Path | None) -> ReadyModel:
    return ReadyModel(model=model, engine=engine, categories=entry.categories, weights_path=path, prepared=prepared)


def _prepared(model: Model, engine: str, path: Path | None, settings: Settings) -> Path | None:
    """Return the folder that the engine loads the model from, made where that can be done; None if it needs none."""
    if model.precision == INT8:
        return _recorded_quantised(model, settings).folder
    return prepare(model, path, settings.cache_dir) if engine == "openvino" else None


def _recorded_quantised(model: Model, settings: Settings) -> Quantised:
    """Return the int8 model of exactly this calibration: another one would give other labels under its name."""
    quantised = find_quantised(model, settings.cache_dir)
    if quantised is None or quantised.calibration != model.calibration:
        raise ModelError(
            f"The int8 model of this calibration is not on this machine. Copy the folder"
            f" {quantised_dir(model, settings.cache_dir)} from the one that enqueued the run."
        )
    return quantised
