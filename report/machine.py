"""The report for machines: one JSON object, whose keys stay (`report.schema.json`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from report.findings import findings, memory_verdict
from storage.records import shown

if TYPE_CHECKING:
    from datetime import datetime

    from report.night import NightFigures
    from report.stability import ProcessFigures
    from storage.records import Disagreement, JsonObject


def as_json(night: NightFigures) -> JsonObject:
    """Return the figures as what `json.dumps` takes."""
    run = night.run
    return {
        "run": {
            "id": run.id,
            "state": run.state,
            "roots": [shown(root) for root in run.roots],
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
            "doubtful": night.doubtful.images if night.doubtful else 0,
            "failed": night.progress.failed,
            "missing": night.progress.missing,
            "taken_over": night.taken_over,
            "already_labelled": run.skipped,
            "not_images": run.ignored,
        },
        "throughput": _throughput(night),
        "stages_ms": {stage: asdict(figures) for stage, figures in night.stages.items()},
        "stages_over_time": [
            {
                "begin": _instant(part.begin),
                "end": _instant(part.end),
                "stages_ms": {stage: asdict(figures) for stage, figures in part.stages.items()},
            }
            for part in night.parts
        ],
        "stability": _stability(night),
        "outcomes": asdict(night.outcomes),
        "failures": [asdict(failure) for failure in night.failures],
        "failing_folders": [asdict(folder) | {"path": shown(folder.path)} for folder in night.failing_folders],
        "workers": [
            asdict(worker) | {"busy_share": worker.busy_share, "images_per_second": worker.images_per_second}
            for worker in night.workers
        ],
        "extra_starts": night.progress.extra_starts,
        "findings": [asdict(finding) for finding in findings(night)],
    }


def disagreement_as_json(pair: Disagreement) -> JsonObject:
    """Return where two models differ as what `json.dumps` takes."""
    return {
        "first": pair.first,
        "second": pair.second,
        "images": pair.images,
        "different": pair.different,
        "share": pair.share,
        "examples": [{"path": path, "first": first, "second": second} for path, first, second in pair.examples],
    }


def _throughput(night: NightFigures) -> JsonObject:
    workers, share = night.efficiency or (None, None)
    return {
        "images_per_second": night.images_per_second,
        "labelling_s": night.labelling_s,
        "pauses_s": night.pauses_s,
        "by_minute": [
            {"minute": _instant(minute.minute), "images": minute.images, "whole": minute.is_whole}
            for minute in night.minutes
        ],
        "forecast_s": night.forecast_s,
        "shares_of_time": asdict(night.shares) if night.shares else None,
        "by_workers": [
            {"workers": count, "images_per_second": speed} for count, speed in night.speed_by_workers.items()
        ],
        "efficiency": {"workers": workers, "share": share} if workers else None,
    }


def _stability(night: NightFigures) -> JsonObject:
    steady = night.stability
    return {
        "variation": steady.variation,
        "drift": steady.drift,
        "stalls": [asdict(stall) | {"begin": _instant(stall.begin)} for stall in steady.stalls],
        "published_again": steady.published_again,
        "restarts": steady.restarts,
        "memory": memory_verdict(night),
        "processes": [_process(process) for process in steady.processes],
    }


def _process(process: ProcessFigures) -> dict[str, Any]:
    rise = process.rss_slope
    return {
        "name": process.name,
        "processes": process.pids,
        "verdict": process.verdict,
        "mb_an_hour": {"slope": rise.per_hour, "low": rise.low, "high": rise.high, "hours": rise.hours}
        if rise
        else None,
        "cpu_share": process.cpu_share,
        "store_s": process.store_s,
        "over_time": [
            {"at": _instant(point.at), "rss_mb": point.rss_mb, "cpu_share": point.cpu} for point in process.curve
        ],
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
