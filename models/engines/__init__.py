"""What executes a model: the engines that there are, and which one runs.

Another engine is one more file with its `EngineSpec`, and its entry in `ENGINES`. Settings, command line, `compare` and
`bench` take their names from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import ModelError
from models.engines.openvino_spec import OPENVINO
from models.engines.torch_spec import TORCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from common.settings import Settings
    from models.engines.spec import Engine, EngineSpec
    from models.ready_model import ReadyModel

#: In the order in which help and documentation name them: first what runs on every CPU, then what is for special
#: hardware, which `auto` prefers where it is there.
ENGINES: tuple[EngineSpec, ...] = (OPENVINO, TORCH)

#: What leaves the choice of engine or precision to us.
AUTO = "auto"


def engine_names() -> tuple[str, ...]:
    """Return what the setting `engine` takes."""
    return (AUTO, *(spec.name for spec in ENGINES))


def precision_names() -> tuple[str, ...]:
    """Return what the setting `precision` takes."""
    return (AUTO, *all_precisions())


def all_precisions() -> tuple[str, ...]:
    """Return the precisions that any engine has, in the order in which they are measured."""
    return tuple(dict.fromkeys(precision for spec in ENGINES for precision in spec.precisions))


def needs_calibration(precision: str) -> bool:
    """Tell whether a model has to be calibrated on images of the archive before it runs in this precision."""
    return any(precision in spec.calibrated for spec in ENGINES)


def check_names(settings: Settings) -> None:
    """Check that the engine and the precision of the settings are ones that there are.

    Raises:
        UsageError: naming the setting, and what there is.

    """
    from common.settings import settings_error  # with pydantic, which `--help` does not wait for

    wrong = [
        (setting, value, f"use {_in_words(names)}")
        for setting, value, names in (
            ("engine", settings.engine, engine_names()),
            ("precision", settings.precision, precision_names()),
        )
        if value not in names
    ]
    if wrong:
        raise settings_error(wrong)


def find_engine(name: str) -> EngineSpec:
    """Return the engine of that name.

    Raises:
        ModelError: there is none.

    """
    for spec in ENGINES:
        if spec.name == name:
            return spec
    names = [spec.name for spec in ENGINES]
    raise ModelError(f"There is no engine {name!r} in this version. Use {_in_words(names)}.")


def choose_engine(wanted: str) -> EngineSpec:
    """Return the engine that is wanted; for `auto` torch where there is a CUDA device, OpenVINO on CPUs.

    Raises:
        ModelError: there is no such engine.

    """
    if wanted != AUTO:
        return find_engine(wanted)
    return next(spec for spec in reversed(ENGINES) if spec.is_automatic())


def choose_precision(wanted: str, engine: EngineSpec, prepared: Callable[[], Path | None]) -> str:
    """Return the precision that is wanted; for `auto` bf16 where the hardware is faster in it, else fp32.

    Args:
        wanted: a precision, or `auto`.
        engine: that is to have it.
        prepared: returns the model's folder, where the engine prepares models; asked for `auto` alone.

    Raises:
        ModelError: the engine does not have it, or not on this hardware.

    """
    if wanted == AUTO:
        return engine.automatic_precision(prepared())
    check_precision(wanted, engine)
    if reason := engine.why_not(wanted):
        raise ModelError(reason)
    return wanted


def check_precision(precision: str, engine: EngineSpec) -> None:
    """Check that an engine has a precision, be it on other hardware.

    Raises:
        ModelError: it does not; naming the engines that do.

    """
    if precision in engine.precisions:
        return
    having = [spec.name for spec in ENGINES if precision in spec.precisions]
    others = f"--engine {_in_words(having)}, or " if having else ""
    raise ModelError(
        f"The engine {engine.name} does not run in {precision}. Use {others}--precision {_in_words(engine.precisions)}."
    )


def load_engine(ready: ReadyModel, batch_size: int, threads: int = 1) -> Engine:
    """Load a model into the engine that it was resolved for, for batches of up to `batch_size` images.

    One thread, where there is one process per CPU; all CPUs, where there is one process.

    Raises:
        ModelError: there is no such engine, or it cannot load the model.

    """
    return find_engine(ready.engine).load(ready, batch_size, threads)


def _in_words(names: Sequence[str]) -> str:
    """Return `a, b or c`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
