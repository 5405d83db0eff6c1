"""From what was asked for to the model that will run: weights found and hashed, precision chosen, prepared."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ModelError
from common.settings import RANDOM_WEIGHTS
from models.calibrate import calibrate
from models.calibrated import calibrated_dir, find_calibrated, find_recorded
from models.catalogue import RECIPE_MARK, find_entry
from models.engines import check_precision, choose_engine, choose_precision, find_engine, needs_calibration
from models.precisions import FP32, INT8
from models.prepare import prepare
from models.prepared_folder import prepared_dir
from models.ready_model import ReadyCascade, ReadyModel
from models.subprocess_steps import run_apart
from models.weights import find_weights, how_to_get_weights, sha256_of
from storage.records import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from common.settings import Settings
    from models.calibrated import Calibrated
    from models.catalogue import CatalogueEntry
    from models.engines.spec import EngineSpec
    from storage.records import Preprocessing


def resolve(settings: Settings) -> ReadyModel:
    """Return the model that the settings name, prepared where its engine needs that.

    Raises:
        ModelError: no such model; or its weights are missing, damaged, or of another model; or it is to run in int8 or
            as a cascade, and was not calibrated yet, or disagrees with fp32 too often.

    """
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    engine = choose_engine(settings.engine)
    model = _model_in(settings.precision, entry, weights, engine, path, settings)
    if model.precision not in engine.calibrated:
        return _ready(model, entry, engine, path, _prepared(model, engine, path, settings))
    found = find_calibrated(model, settings.cache_dir, _full_precision(model, engine, path, settings))
    if found is None:
        raise ModelError(f"{entry.name} is not calibrated yet: nightlabel models prepare {entry.name} --int8 PATH")
    _raise_if_it_disagrees(found, settings)
    return _ready_calibrated(replace(model, calibration=found.calibration), found, entry, engine, path, settings)


def find_calibrated_for(settings: Settings) -> Calibrated | None:
    """Return the configured model in int8, or as a cascade, if it is on this machine; prepare it in any case.

    Raises:
        ModelError: as `resolve` does; but not because it was not calibrated yet.

    """
    model, full = _prepared_for_calibration(settings)
    found = find_calibrated(model, settings.cache_dir, full)
    if found:
        _raise_if_it_disagrees(found, settings)
    return found


def calibrate_for(
    settings: Settings,
    draw: Callable[[Preprocessing], Sequence[NDArray[np.uint8] | None]],
    *,
    anew: bool = False,
) -> Calibrated:
    """Calibrate the configured model on a sample of an archive's images, unless it is calibrated already.

    Quantising imports NNCF and torch into this process.

    Args:
        settings: which model, in int8 or as a cascade, and where it is kept.
        draw: called if it is needed, returns the sample as the model with this preprocessing sees it, uint8
            `[H, W, 3]` each; None for each image that could not be read.
        anew: also where there is one already.

    Raises:
        ModelError: as `resolve` does; or NNCF is missing, or too few images can be read.

    """
    model, full = _prepared_for_calibration(settings)
    found = None if anew else find_calibrated(model, settings.cache_dir, full)
    if found is None:
        found = calibrate(model, settings.cache_dir, partial(draw, model.preprocessing), full=full, anew=anew)
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
        return _ready_recorded(model, entry, spec, None, settings)
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
    return _ready_recorded(model, entry, spec, path, settings)


def model_of(entry: CatalogueEntry, weights: str, precision: str) -> Model:
    return Model(
        architecture=entry.architecture,
        recipe=entry.recipe,
        weights=weights,
        precision=precision,
        preprocessing=entry.preprocessing,
    )


def _model_in(
    wanted: str, entry: CatalogueEntry, weights: str, engine: EngineSpec, path: Path | None, settings: Settings
) -> Model:
    """Return the model in the precision that is wanted; for `auto`, which is measured, it is prepared first."""
    model = model_of(entry, weights, FP32)  # what is prepared serves every precision
    return replace(model, precision=choose_precision(wanted, engine, partial(_prepared, model, engine, path, settings)))


def _full_precision(model: Model, engine: EngineSpec, path: Path | None, settings: Settings) -> str:
    """Return the other precision of a cascade that is made here; a model in int8 has none."""
    return FP32 if model.precision == INT8 else engine.automatic_precision(_prepared(model, engine, path, settings))


def _raise_if_it_disagrees(found: Calibrated, settings: Settings) -> None:
    name, least = "INT8_MIN_AGREEMENT", settings.int8_min_agreement
    if found.cascade:
        name, least = "CASCADE_MIN_AGREEMENT", settings.cascade_min_agreement
    if found.quality.agreement < least:
        raise ModelError(
            f"{found}; NIGHTLABEL_{name} asks for {least:.1%}. Use --precision bf16 or fp32, or calibrate it on more"
            " images: nightlabel models prepare NAME --int8 PATH"
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
    model: Model,
    entry: CatalogueEntry,
    engine: EngineSpec,
    path: Path | None,
    prepared: Path | None,
    rest: str = FP32,
    cascade: ReadyCascade | None = None,
) -> ReadyModel:
    return ReadyModel(
        model=model,
        engine=engine.name,
        categories=entry.categories,
        weights_path=path,
        prepared=prepared,
        rest=rest,
        cascade=cascade,
    )


def _ready_recorded(
    model: Model, entry: CatalogueEntry, engine: EngineSpec, path: Path | None, settings: Settings
) -> ReadyModel:
    """Return the model that a run recorded; calibrated exactly so, if it is: else it would give other labels."""
    if model.precision not in engine.calibrated:
        return _ready(model, entry, engine, path, _prepared(model, engine, path, settings))
    found = find_recorded(model, settings.cache_dir)
    if found is None:
        folder = calibrated_dir(model, settings.cache_dir, _full_precision(model, engine, path, settings))
        raise ModelError(
            f"The {model.precision} model of this calibration is not on this machine. Copy the folder {folder} from the"
            " machine that enqueued the run."
        )
    return _ready_calibrated(model, found, entry, engine, path, settings)


def _ready_calibrated(
    model: Model, found: Calibrated, entry: CatalogueEntry, engine: EngineSpec, path: Path | None, settings: Settings
) -> ReadyModel:
    """Return a model in int8, or a cascade of it and the other precision."""
    quick = _ready(replace(model, precision=INT8), entry, engine, path, found.folder, found.rest)
    if found.cascade is None:
        return quick
    prepared = partial(_prepared, model, engine, path, settings)
    other = replace(model, precision=choose_precision(found.cascade.full, engine, prepared), calibration=None)
    full = _ready(other, entry, engine, path, _prepared(other, engine, path, settings))
    cascade = ReadyCascade(quick=quick, full=full, least_margin=found.cascade.least_margin)
    return _ready(model, entry, engine, path, found.folder, found.rest, cascade)


def _prepared(model: Model, engine: EngineSpec, path: Path | None, settings: Settings) -> Path | None:
    """Return the folder that the engine loads the model from, made where that can be done; None if it needs none."""
    return engine.prepare(model, path, settings.cache_dir) if engine.prepare else None


def _prepared_for_calibration(settings: Settings) -> tuple[Model, str]:
    """Return the configured model, which can be calibrated now, or was before; and a cascade's other precision."""
    entry = find_entry(settings.model, settings.cache_dir)
    weights, path = _weights(entry, settings)
    engine = choose_engine(settings.engine)
    precision = settings.precision if needs_calibration(settings.precision) else INT8
    model = _model_in(precision, entry, weights, engine, path, settings)
    return model, engine.automatic_precision(prepare(model, path, settings.cache_dir))
