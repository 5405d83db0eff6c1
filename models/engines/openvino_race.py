"""Whether fp32 or bf16 is faster for a model on this CPU: measured once, and kept beside the prepared model.

That a CPU computes in bf16 does not make it faster there: a Xeon with AVX512-BF16 whose AMX is not for its guests took
1.7 times as long as in fp32 for ResNet-18, and an EPYC with AVX512-BF16 less than in fp32.

It is a step in a process of its own, `python -P -m models.engines.openvino_race`: networks and threads end with it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np

from common.whole_file import replaced_file
from models.cache import locked
from models.engines.openvino import OpenVinoEngine, cpu_name
from models.precisions import BF16, FP32
from models.subprocess_steps import ask_step, main

#: How much faster bf16 has to be. fp32 is the exact one; and where both take about as long, chance would choose, and
#: another choice labels an archive again.
LEAST_GAIN = 1.1
#: Images of a batch, as workers have them; and how often each precision classifies one, by turns.
_BATCH, _TURNS = 8, 8
#: What is classified: how long that takes does not depend on what a picture shows.
_GREY = 127

#: Milliseconds that an image takes, by precision.
Times = dict[str, float]


def faster_precision(prepared: Path) -> str:
    """Return fp32 or bf16, whichever is the faster one for a prepared model on this CPU, which computes in both.

    Where nobody has measured that on such a CPU, it is measured, in two seconds, and kept if the cache can be written.

    Raises:
        ModelError: the model cannot be loaded.

    """
    kept, cpu = kept_in(prepared), cpu_name()
    return faster(_read(kept).get(cpu) or _measured(prepared, kept, cpu))


def faster(times: Times) -> str:
    """Return fp32 or bf16, by the milliseconds that an image takes in each."""
    return BF16 if times[FP32] >= LEAST_GAIN * times[BF16] else FP32


def kept_in(prepared: Path) -> Path:
    """Return the file that keeps what was measured for a prepared model, by CPU: hosts may share a cache."""
    return prepared.with_name(f"{prepared.name}.race.json")


def _measured(prepared: Path, kept: Path, cpu: str) -> Times:
    measure = partial(ask_step, __spec__.name, prepared=str(prepared))
    if not os.access(kept.parent, os.W_OK):  # it was filled elsewhere, and is only read here
        return measure()  # type: ignore[no-any-return]  # JSON
    with locked(kept.with_suffix(".lock")):
        known = _read(kept)
        if cpu not in known:  # nor has another process measured it meanwhile
            known[cpu] = measure()
            with suppress(OSError), replaced_file(kept) as file:  # a full disk
                file.write(json.dumps(known, indent=1).encode())
        return known[cpu]


def _read(kept: Path) -> dict[str, Times]:
    """Return what was kept that can be read, by CPU."""
    try:
        return {
            str(cpu): {precision: float(times[precision]) for precision in (FP32, BF16)}
            for cpu, times in json.loads(kept.read_bytes()).items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # none yet, or damaged: measured anew


def _step(prepared: str) -> Times:
    """Return the milliseconds of CPU time that an image takes in each precision; the shortest of several, by turns."""
    engines = {precision: OpenVinoEngine(Path(prepared) / "model.xml", precision, _BATCH) for precision in (FP32, BF16)}
    found: dict[str, list[float]] = {precision: [] for precision in engines}
    for _ in range(_TURNS):
        for precision, engine in engines.items():
            batch = np.full((_BATCH, *engine.picture), _GREY, np.uint8)
            begun = process_time()
            engine.classify(batch)
            found[precision].append((process_time() - begun) * 1000 / _BATCH)
    return {precision: min(times) for precision, times in found.items()}


if __name__ == "__main__":
    main(_step)
