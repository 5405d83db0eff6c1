"""The report for machines: one JSON object, whose keys stay (`docs/commands.md`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from report.night import NightFigures
    from storage.records import JsonObject


def as_json(night: NightFigures) -> JsonObject:
    """Return the figures as what `json.dumps` takes."""
    run = night.run
    return {
        "run": {
            "id": run.id,
            "state": run.state,
            "roots": list(run.roots),
            "created_at": _instant(run.created_at),
            "finished_at": _instant(night.last_done_at) if run.state == "finished" else None,
            "engine": run.engine,
            "model": {
                "name": run.model.architecture,
                "recipe": run.model.recipe,
                "precision": run.model.precision,
                "weights": run.model.weights,
                "random_weights": run.model.is_random,
            },
        },
        "images": {
            "total": night.progress.images,
            "ok": night.progress.ok,
            "failed": night.progress.failed,
            "missing": night.progress.missing,
            "already_labelled": run.skipped,
            "not_images": run.ignored,
        },
        "throughput": {
            "images_per_second": night.images_per_second,
            "labelling_s": night.labelling_s,
            "pauses_s": night.pauses_s,
            "by_minute": [{"minute": _instant(minute.minute), "images": minute.images} for minute in night.minutes],
        },
        "stages_ms": {stage: asdict(figures) for stage, figures in night.stages.items()},
        "failures": [asdict(failure) for failure in night.failures],
        "workers": [asdict(worker) for worker in night.workers],
        "extra_starts": night.progress.extra_starts,
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
