"""From what was asked for to the model that will run: weights found and hashed, precision chosen, prepared."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ModelError
from common.settings import RANDOM_WEIGHTS
from models.catalogue import RECIPE_MARK, find_entry
from models.engines import check_precision, choose_engine, choose_precision, find_engine
from models.precisions import FP32, INT8
from models.prepare import prepare
from models.prepared_folder import prepared_dir
from models.quantise import find_quantised, quantise, quantised_dir
from models.ready_model import ReadyModel
from models.subprocess_steps import run_apart
from models.weights import find_weights, how_to_get_weights, sha256_of
from storage.records import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from common.settings import Settings
    from models.catalogue import CatalogueEntry
    from models.engines.spec import EngineSpec
    from models.quantise import Quantised
    from storage.records import Preprocessing


def resolve(settings: Settings) -> ReadyModel:
    """Return the model that the settings name, prepared where its engine needs that.

    Raises:
        ModelError: no such model; or its weights are missing, damaged, or of another model; or it is to run in int8,
            and was not quantised yet, or disagrees with fp32 too often.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    engine = choose_engine(settings.engine)
    model = model_of(entry, weights, choose_precision(settings.precision, engine))
    if model.precision in engine.calibrated:
        quantised = find_quantised(model, settings.cache_dir)
        if quantised is None:
            raise ModelError(f"{entry.name} is not quantised yet: nightlabel models prepare {entry.name} --int8 PATH")
        _raise_if_it_disagrees(quantised, settings)
        model = replace(model, calibration=quantised.calibration)
        return _ready(model, entry, engine, path, quantised.folder)
    return _ready(model, entry, engine, path, _prepared(model, engine, path, settings))


def find_quantised_for(settings: Settings) -> Quantised | None:
    """Return the configured model's int8 form, if it is on this machine. The model is prepared for it in any case.

    Raises:
        ModelError: as `resolve` does, for int8; but not because it was not quantised yet.

    """
    found = find_quantised(_prepared_for_int8(settings), settings.cache_dir)
    if found:
        _raise_if_it_disagrees(found, settings)
    return found


def quantise_for(
    settings: Settings,
    draw: Callable[[Preprocessing], Sequence[NDArray[np.uint8] | None]],
    *,
    anew: bool = False,
) -> Quantised:
    """Quantise the configured model on a sample of an archive's images, unless it is quantised already.

    Quantising imports NNCF and torch into this process.

    Args:
        settings: which model, and where it is kept.
        draw: called if it is needed, returns the sample as the model with this preprocessing sees it, uint8
            `[H, W, 3]` each; None for each image that could not be read.
        anew: also where there is one already.

    Raises:
        ModelError: as `resolve` does; or NNCF is missing, or too few images can be read.

    """
    model = _prepared_for_int8(settings)
    found = None if anew else find_quantised(model, settings.cache_dir)
    if found is None:
        found = quantise(model, settings.cache_dir, partial(draw, model.preprocessing), anew=anew)
    _raise_if_it_disagrees(found, settings)
    return found


def check_configured(settings: Settings) -> None:
    """Find, hash and prepare the configured model, without loading an engine into this process.

    Raises:
        ModelError: as `resolve` does.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    model = model_of(entry, weights, FP32)  # what is prepared serves every precision
    _prepared(model, choose_engine(settings.engine), path, settings)


def resolve_recorded(model: Model, engine: str, settings: Settings) -> ReadyModel:
    """Return the model that a run recorded, from this machine's weights.

    Raises:
        ModelError: this machine has no weights for it, or other ones than the run recorded; or this version does not
            have the engine, or the engine not the precision.

    """
    spec = find_engine(engine)
    check_precision(model.precision, spec)
    entry = find_entry(f"{model.architecture}{RECIPE_MARK}{model.recipe}", settings.cache_dir)
    if model.is_random:
        return _ready(model, entry, spec, None, _prepared(model, spec, None, settings))
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
            f" machine. {how_to_get_weights(entry, settings)}"
        )
    return _ready(model, entry, spec, path, _prepared(model, spec, path, settings))


def model_of(entry: CatalogueEntry, weights: str, precision: str) -> Model:
    return Model(
        architecture=entry.architecture,
        recipe=entry.recipe,
        weights=weights,
        precision=precision,
        preprocessing=entry.preprocessing,
    )


def _raise_if_it_disagrees(quantised: Quantised, settings: Settings) -> None:
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
        return Path(run_apart("models.download", settings.cache_dir, name=entry.name))
    except ModelError as error:
        raise ModelError(
            f"The weights of {entry.name} are not on this machine, and could not be downloaded"
            f" ({error}). {how_to_get_weights(entry, settings)}"
        ) from error


def _ready(
    model: Model, entry: CatalogueEntry, engine: EngineSpec, path: Path | None, prepared: Path | None
) -> ReadyModel:
    return ReadyModel(
        model=model, engine=engine.name, categories=entry.categories, weights_path=path, prepared=prepared
    )


def _prepared(model: Model, engine: EngineSpec, path: Path | None, settings: Settings) -> Path | None:
    """Return the folder that the engine loads the model from, made where that can be done; None if it needs none."""
    if model.precision in engine.calibrated:
        return _recorded_quantised(model, settings).folder
    return engine.prepare(model, path, settings.cache_dir) if engine.prepare else None


def _prepared_for_int8(settings: Settings) -> Model:
    """Return the configured model in int8, which can be quantised now, or was before."""
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    model = model_of(entry, weights, choose_precision(INT8, choose_engine(settings.engine)))
    prepare(model, path, settings.cache_dir)
    return model


def _recorded_quantised(model: Model, settings: Settings) -> Quantised:
    """Return the int8 model of exactly this calibration: another one would give other labels under its name."""
    quantised = find_quantised(model, settings.cache_dir)
    if quantised is None or quantised.calibration != model.calibration:
        raise ModelError(
            f"The int8 model of this calibration is not on this machine. Copy the folder"
            f" {quantised_dir(model, settings.cache_dir)} from the machine that enqueued the run."
        )
    return quantised
