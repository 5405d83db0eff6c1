"""What `auto` means where a CPU computes in bf16: the faster of two, as measured once for a model on such a CPU."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.engines.openvino import cpu_has_bf16, cpu_name
from models.engines.openvino_race import faster, faster_precision, kept_in
from models.resolve import resolve

if TYPE_CHECKING:
    from common.settings import Settings
    from models.ready_model import ReadyModel

needs_bf16 = pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16")
FP32_WINS, BF16_WINS = {"fp32": 25.0, "bf16": 44.0}, {"fp32": 25.0, "bf16": 12.0}


@pytest.fixture
def prepared(resnet18: ReadyModel, tmp_path: Path) -> Path:
    """A prepared model in a cache of its own, in which nothing was measured yet."""
    assert resnet18.prepared
    return Path(shutil.copytree(resnet18.prepared, tmp_path / resnet18.prepared.name))


def keep(prepared: Path, times: object, cpu: str | None = None) -> None:
    kept_in(prepared).write_text(json.dumps({cpu or cpu_name(): times}))


@pytest.mark.parametrize(
    ("bf16_ms", "chosen"), [(44.0, "fp32"), (25.0, "fp32"), (24.0, "fp32"), (22.0, "bf16"), (8.0, "bf16")]
)
def test_bf16_is_taken_where_it_is_faster_by_more_than_chance(bf16_ms: float, chosen: str) -> None:
    assert faster({"fp32": 25.0, "bf16": bf16_ms}) == chosen


@pytest.mark.parametrize(("times", "chosen"), [(FP32_WINS, "fp32"), (BF16_WINS, "bf16")])
def test_what_was_measured_stands(times: dict[str, float], chosen: str, prepared: Path) -> None:
    keep(prepared, times)

    assert faster_precision(prepared) == chosen


@needs_bf16
@pytest.mark.parametrize("times", [None, "slow", {"fp32": 1.0}, {"fp32": 1.0, "bf16": "?"}])
def test_what_cannot_be_read_is_measured_anew(times: object, prepared: Path) -> None:
    keep(prepared, times)
    chosen = faster_precision(prepared)

    assert chosen == faster(json.loads(kept_in(prepared).read_text())[cpu_name()])


@needs_bf16
def test_another_cpu_that_shares_the_cache_measures_for_itself(prepared: Path) -> None:
    never = {"fp32": 1e9, "bf16": 1e-9}
    keep(prepared, never, "Another CPU")
    chosen = faster_precision(prepared)
    kept = json.loads(kept_in(prepared).read_text())

    assert kept["Another CPU"] == never
    assert chosen == faster(kept[cpu_name()])


@needs_bf16
def test_a_cache_that_is_only_read_costs_a_measurement_and_no_error(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere

    assert faster_precision(prepared) in ("fp32", "bf16")
    assert not kept_in(prepared).exists()


@needs_bf16
@pytest.mark.parametrize(("times", "chosen"), [(FP32_WINS, "fp32"), (BF16_WINS, "bf16")])
def test_auto_runs_in_the_faster_one(
    times: dict[str, float], chosen: str, own_cache: Path, settings: Settings, resnet18: ReadyModel
) -> None:
    assert resnet18.prepared
    keep(own_cache / "models" / resnet18.prepared.name, times)
    ready = resolve(settings.model_copy(update={"precision": "auto", "cache_dir": own_cache}))

    assert ready.model.precision == chosen


@pytest.mark.skipif(cpu_has_bf16(), reason="this CPU has bf16")
def test_without_bf16_auto_is_fp32_and_nothing_is_measured(
    own_cache: Path, settings: Settings, resnet18: ReadyModel
) -> None:
    ready = resolve(settings.model_copy(update={"precision": "auto", "cache_dir": own_cache}))

    assert ready.model.precision == "fp32"
    assert ready.prepared
    assert not kept_in(ready.prepared).exists()
