"""The metrics that come from the tables: names, what they mean, and few labels, however large the archive is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from archive.failures import FailureKind
from runner.status import Situation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from prometheus_client import Metric

    from storage.measures import Measures, RunMeasures
    from storage.records import WorkerSample


def table_families(measures: Measures, stall: timedelta) -> Iterator[Metric]:
    """Yield what was measured as metrics.

    Args:
        measures: of the tables.
        stall: without any outcome for as long, a run with work has stalled.

    """
    yield GaugeMetricFamily(
        "nightlabel_runs_unfinished", "Runs with images that may still miss their outcome.", measures.unfinished
    )
    yield from _runs(measures, stall)
    yield _failures(measures.failures)
    if measures.newest_outcome_at is not None:
        age_s = (measures.now - measures.newest_outcome_at).total_seconds()
        yield GaugeMetricFamily(
            "nightlabel_last_outcome_age_seconds",
            "How long ago the newest outcome of any run was stored.",
            max(age_s, 0.0),  # whose clock was ahead, has stored it just now
        )
    yield from _workers(measures.workers)


def _runs(measures: Measures, stall: timedelta) -> Iterator[Metric]:
    """Yield the metrics of the newest runs: their numbers are labels, so that there are few."""
    info = GaugeMetricFamily(
        "nightlabel_run_info", "Always 1; labels say what a run is.", labels=["run", "model", "precision", "state"]
    )
    images = GaugeMetricFamily("nightlabel_run_images", "Images in the run's manifest so far.", labels=["run"])
    done = GaugeMetricFamily(
        "nightlabel_run_outcomes", "The run's images that have an outcome, by its status.", labels=["run", "status"]
    )
    speed = GaugeMetricFamily(
        "nightlabel_run_images_per_second", "Images labelled a second, over the last minute.", labels=["run"]
    )
    stalled = GaugeMetricFamily(
        "nightlabel_run_stalled",
        "Whether nothing has moved for NIGHTLABEL_STALL_S or longer though chunks are published.",
        labels=["run"],
    )
    followed = GaugeMetricFamily("nightlabel_run_followed", "Whether a command follows the run.", labels=["run"])
    for one in measures.runs:
        run, number, situation = one.run, str(one.run.id), _situation(one, measures, stall)
        info.add_metric([number, run.model.architecture, run.model.precision, run.state], 1)
        images.add_metric([number], one.progress.images)
        done.add_metric([number, "ok"], one.progress.ok)
        done.add_metric([number, "failed"], one.progress.failed)
        speed.add_metric([number], situation.images_per_second)
        stalled.add_metric([number], not run.is_over and situation.stalled_for is not None)
        followed.add_metric([number], not run.is_over and situation.is_followed)
    yield from (info, images, done, speed, stalled, followed)


def _situation(one: RunMeasures, measures: Measures, stall: timedelta) -> Situation:
    return Situation(
        run=one.run, now=measures.now, progress=one.progress, pace=one.pace, failures=(), queue=None, stall=stall
    )


def _failures(found: Mapping[str, int]) -> Metric:
    failures = GaugeMetricFamily(
        "nightlabel_failures", "Outcomes of all runs that are failures, by kind (docs/formats.md).", labels=["kind"]
    )
    for kind, images in {**dict.fromkeys(map(str, FailureKind), 0), **found}.items():
        failures.add_metric([kind], images)
    return failures


def _workers(samples: Sequence[WorkerSample]) -> Iterator[Metric]:
    """Yield the metrics of workers by host: their own names change with each start."""
    hosts: dict[str, list[WorkerSample]] = defaultdict(list)
    for sample in samples:
        hosts[sample.host].append(sample)
    count = GaugeMetricFamily(
        "nightlabel_workers", "Worker processes that have stored a chunk in the last 10 minutes.", labels=["host"]
    )
    held = GaugeMetricFamily("nightlabel_workers_resident_memory_bytes", "What they hold together.", labels=["host"])
    peak = GaugeMetricFamily(
        "nightlabel_workers_peak_resident_memory_bytes", "The most that one of them has held.", labels=["host"]
    )
    for host, processes in hosts.items():
        count.add_metric([host], len(processes))
        held.add_metric([host], sum(one.rss_bytes for one in processes))
        peak.add_metric([host], max(one.peak_rss_bytes for one in processes))
    yield from (count, held, peak)
