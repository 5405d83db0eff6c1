"""Which precision to take for an archive, from what was measured here: what is gained, and what it costs in labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import ModelError
from models.calibrate import can_quantise
from models.engines import find_engine, needs_calibration
from models.precisions import CASCADE, FP32
from models.resolve import find_calibrated_for
from report.words import duration
from runner.calibration import calibrate_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from common.settings import Settings
    from models.calibrated import Calibrated
    from models.ready_model import ReadyModel

#: A gain below it is not worth another setting: the next measurement may not find it.
LEAST_GAIN = 1.1


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The cascade beside the precision that is used else."""

    usual: str  #: the other precision
    gain: float  #: images a second with the cascade, over those with the other one
    agreement: float  #: share of images, not calibrated on, with the same best label as in fp32
    measured_on: int  #: how many those are

    @property
    def precision(self) -> str:
        """The precision to take."""
        return CASCADE if self.gain >= LEAST_GAIN else self.usual

    def __str__(self) -> str:
        """Return the advice as a sentence."""
        if self.precision != CASCADE:
            return f"Keep {self.usual}: on these images and this CPU the cascade is {self.gain:.2f} × as fast."
        return (
            f"Take --precision {CASCADE}: {self.gain:.1f} × as fast as {self.usual}, {self.agreement:.1%} the same"
            f" labels as {FP32} (of {self.measured_on:,} images that it was not calibrated on)."
        )

    def with_times(self, images: int, usual_s: float) -> str:
        """Return how long so many images take, either way, of which the usual one takes so many seconds."""
        return (
            f"{images:,} images take about {duration(usual_s)} in {self.usual}, and {duration(usual_s / self.gain)}"
            f" with --precision {CASCADE}, which gives {self.agreement:.1%} of images the same label as {FP32}."
        )


def advise(usual: str, usual_ms: float, cascade_ms: float, calibrated: Calibrated) -> Advice:
    """Return the advice for images that take so many milliseconds in the one precision, and in the cascade."""
    return Advice(
        usual=usual,
        gain=usual_ms / cascade_ms,
        agreement=calibrated.quality.agreement,
        measured_on=calibrated.quality.measured_on,
    )


def has_choice(ready: ReadyModel) -> bool:
    """Tell whether the model could run as a cascade, and runs in what a cascade is measured against."""
    return CASCADE in find_engine(ready.engine).precisions and not needs_calibration(ready.model.precision)


def cascade_for(
    ready: ReadyModel, settings: Settings, paths: Sequence[str], say: Callable[[str], None]
) -> Calibrated | None:
    """Return the model as a cascade, calibrated on the archive if it is not yet; None: that is no choice here.

    Args:
        ready: the model, in the configured precision.
        settings: the model.
        paths: the archive.
        say: who is told the cascade's figures, or why it cannot be had.

    """
    if not has_choice(ready):
        return None
    own = settings.model_copy(update={"precision": CASCADE})
    try:
        found = find_calibrated_for(own)
        if found is None:
            if not can_quantise():
                return None
            found = calibrate_on(own, paths)
    except ModelError as error:
        say(f"The cascade is left out: {error}")
        return None
    say(f"{settings.model}: {found}.")
    return found
