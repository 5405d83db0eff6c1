"""The report for other programs: one JSON object, whose keys stay (`report.schema.json`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from report.run.findings import findings, memory_verdict
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from report.run.accuracy import Accuracy, Share
    from report.run.distribution import Percentiles
    from report.run.figures import RunFigures
    from report.run.processes import ProcessFigures
    from storage.records import JsonObject


def as_json(figures: RunFigures) -> JsonObject:
    """Return the figures as what `json.dumps` takes."""
    return {
        "run": _run(figures),
        "images": _images(figures),
        "throughput": _throughput(figures),
        "stages_ms": _stages(figures.stages),
        "stages_over_time": [
            {"begin": _instant(part.begin), "end": _instant(part.end), "stages_ms": _stages(part.stages)}
            for part in figures.parts
        ],
        "stability": _stability(figures),
        "outcomes": asdict(figures.outcomes),
        "accuracy": _accuracy(figures.accuracy),
        "failures": [asdict(failure) for failure in figures.failures],
        "failing_folders": [asdict(folder) | {"path": shown(folder.path)} for folder in figures.failing_folders],
        "workers": [
            asdict(worker) | {"busy_share": worker.busy_share, "images_per_second": worker.images_per_second}
            for worker in figures.workers
        ],
        "extra_starts": figures.progress.extra_starts,
        "findings": [asdict(finding) for finding in findings(figures)],
    }


def _run(figures: RunFigures) -> JsonObject:
    run = figures.run
    return {
        "id": run.id,
        "state": run.state,
        "roots": [shown(root) for root in run.roots],
        "created_at": _instant(run.created_at),
        "finished_at": _instant(figures.last_done_at) if run.state == "finished" else None,
        "engine": run.engine,
        "model": {
            "name": run.model.architecture,
            "recipe": run.model.recipe,
            "precision": run.model.precision,
            "weights": run.model.weights,
            "random_weights": run.model.is_random,
        },
    }


def _images(figures: RunFigures) -> JsonObject:
    return {
        "total": figures.progress.images,
        "ok": figures.progress.ok,
        "doubtful": figures.doubtful.images if figures.doubtful else 0,
        "failed": figures.progress.failed,
        "missing": figures.progress.missing,
        "copied": figures.copied,
        "taken_over": figures.superseded,
        "already_labelled": figures.run.skipped,
        "not_images": figures.run.ignored,
    }


def _throughput(figures: RunFigures) -> JsonObject:
    workers, share = figures.efficiency or (None, None)
    return {
        "images_per_second": figures.images_per_second,
        "labelling_s": figures.labelling_s,
        "pauses_s": figures.pauses_s,
        "by_minute": [
            {"minute": _instant(minute.minute), "images": minute.images, "whole": minute.is_whole}
            for minute in figures.minutes
        ],
        "forecast_s": figures.forecast_s,
        "shares_of_time": asdict(figures.shares) if figures.shares else None,
        "by_workers": [
            {"workers": count, "images_per_second": speed} for count, speed in figures.speed_by_workers.items()
        ],
        "efficiency": {"workers": workers, "share": share} if workers else None,
    }


def _accuracy(found: Accuracy | None) -> JsonObject | None:
    if found is None:
        return None
    return {
        "label": _share(found.label),
        "kind": _share(found.kind) if found.kind else None,
        "by_kind": [{"kind": kind, **_share(share)} for kind, share in found.by_kind],
    }


def _share(share: Share) -> JsonObject:
    return {**asdict(share), "share": share.share}


def _stages(stages: Mapping[str, Percentiles]) -> JsonObject:
    return {stage: asdict(percentiles) for stage, percentiles in stages.items()}


def _stability(figures: RunFigures) -> JsonObject:
    stability = figures.stability
    return {
        "variation": stability.variation,
        "drift": stability.drift,
        "stalls": [asdict(stall) | {"begin": _instant(stall.begin)} for stall in stability.stalls],
        "published_again": stability.republished,
        "restarts": stability.restarts,
        "memory": memory_verdict(figures),
        "processes": [_process(process) for process in stability.processes],
    }


def _process(process: ProcessFigures) -> JsonObject:
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
