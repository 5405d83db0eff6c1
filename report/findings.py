"""What the report points out, in sentences: what went wrong, on which figures that rests, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from report.words import counted, duration, percent, signed
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from report.night import NightFigures
    from report.stability import ProcessFigures, Verdict

Kind = Literal[
    "random_weights",
    "missing",
    "cancelled",
    "taken_over",
    "failures",
    "failing_folder",
    "doubtful",
    "stall",
    "drift",
    "slow_worker",
    "leak",
    "restarts",
]
#: Change of the speed over a run that is worth a sentence.
DRIFT = 0.1
#: Share of failed images that is worth more than the table of failures.
FAILURE_SHARE = 0.05
#: Of one kind, people are told the worst so many; and what the others are called.
_TOLD = 3
_OTHERS: dict[Kind, str] = {"stall": "shorter stall", "slow_worker": "more slow process", "leak": "more leaky process"}
#: Which verdict on memory stands for a run.
_GRAVITY: dict[Verdict, int] = {"too short": 0, "steady": 1, "unclear": 2, "leak": 3}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that whoever reads the report should know."""

    kind: Kind
    sentence: str
    advice: str = ""  #: what to do; a command, where there is one


def findings(night: NightFigures) -> list[Finding]:
    """Return all that is worth pointing out, the gravest first."""
    return [
        *_about_labels(night),
        *_about_failures(night),
        *_about_stalls(night),
        *_about_workers(night),
    ]


def for_people(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings; of a kind that may come in dozens the worst, and how many more there are."""
    told: list[Finding] = []
    for kind, of_kind in groupby(found, key=lambda one: one.kind):
        own = list(of_kind)
        if kind in _OTHERS and len(own) > _TOLD:
            more = f"{counted(len(own) - _TOLD, _OTHERS[kind])}: --json names all."
            own[_TOLD:] = [Finding(kind=kind, sentence=more)]
        told += own
    return told


def memory_verdict(night: NightFigures) -> str:
    """Say whether memory grew, with the figures that this rests on: those of the process that is worst off."""
    processes = night.stability.processes
    if not processes:
        return "no process left samples"
    worst = max(processes, key=lambda one: (_GRAVITY[one.verdict], one.rss_slope.low if one.rss_slope else 0.0))
    if worst.verdict == "too short":
        seen_s = max(one.watched_s for one in processes)
        return f"too short to tell: {duration(seen_s)} of samples" if seen_s else "too short to tell"
    words = {"steady": "no leak", "leak": f"{worst.name} LEAKS", "unclear": f"{worst.name} may leak"}
    return f"{words[worst.verdict]}: {slope_in_words(worst)}"


def slope_in_words(process: ProcessFigures) -> str:
    """Return `+0.3 MB/h, 95 % interval -0.2 to +0.8, over 7 h 40 min`."""
    rise = process.rss_slope
    if rise is None:
        return "not known"
    return (
        f"{signed(rise.per_hour)} MB/h, 95 % interval {signed(rise.low)} to {signed(rise.high)},"
        f" over {duration(rise.hours * 3600)}"
    )


def _about_labels(night: NightFigures) -> Iterator[Finding]:
    run, state = night.run, night.progress
    if run.model.is_random:
        yield Finding(
            kind="random_weights",
            sentence="The weights are RANDOM: these labels mean nothing.",
            advice="Label again with trained weights, in another database.",
        )
    if state.missing and run.state == "cancelled":
        yield Finding(
            kind="cancelled",
            sentence=f"The run was cancelled: {state.missing:,} of {state.images:,} images have no outcome of it.",
            advice="The same command begins a new run, over what has no labels yet.",
        )
    elif state.missing:
        # When the last one came tells a run that hangs from one that goes on.
        left = f"; at the speed until then the rest takes {duration(night.forecast_s)}" if night.forecast_s else ""
        last = f" The last one came at {night.last_done_at:%Y-%m-%d %H:%M} UTC{left}." if night.last_done_at else ""
        yield Finding(
            kind="missing",
            sentence=f"{state.missing:,} of {state.images:,} images have no outcome yet.{last}",
            advice="`nightlabel status` says whether they are in work. If not, the same command goes on with them.",
        )
    if night.taken_over:
        yield Finding(
            kind="taken_over",
            sentence=f"A later run has labelled {counted(night.taken_over, 'image')} of this one again.",
            advice="Labels, failures and times an image are those of the rest.",
        )


def _about_failures(night: NightFigures) -> Iterator[Finding]:
    failed = sum(failure.images for failure in night.failures)  # those that no later run labelled
    # Of all that have an outcome: the manifest counts what is tried again as missing, though its failure is still here.
    if failed and failed > FAILURE_SHARE * night.answered:
        most = night.failures[0].kind
        yield Finding(
            kind="failures",
            sentence=f"{percent(failed / max(failed, night.answered))} of the images failed, most often as `{most}`.",
            advice=f"Mend what is wrong, then: nightlabel retry --kind {most}",
        )
    for folder in night.failing_folders:
        yield Finding(
            kind="failing_folder",
            sentence=f"In {shown(folder.path)}, {folder.failed:,} of {folder.images:,} images failed.",
            advice="Look at one of them: is the disk well, are they images?",
        )
    if night.doubtful:
        those = counted(night.doubtful.images, "image")
        yield Finding(
            kind="doubtful",
            sentence=f"{those} got labels though damaged in part, as {shown(night.doubtful.example)}:"
            f" {night.doubtful.warning}.",
            advice="`results.warning` says so of each. Restore them from a backup: what has changed is labelled again.",
        )


def _about_stalls(night: NightFigures) -> Iterator[Finding]:
    stalls = sorted(night.stability.stalls, key=lambda stall: -stall.seconds)
    for stall in stalls:
        yield Finding(
            kind="stall",
            sentence=f"From {stall.begin:%Y-%m-%d %H:%M:%S} UTC nothing was labelled for {duration(stall.seconds)},"
            f" though {counted(stall.chunks, 'chunk')} waited.",
            advice="What happened then? The workers' log may know, or the database's, or the NAS.",
        )
    speed, drift = night.stability.speed, night.stability.drift
    if speed and speed.high < 0 and drift is not None and drift < -DRIFT:
        yield Finding(
            kind="drift",
            sentence=f"The speed fell by {percent(-drift)} from the beginning to the end.",
            advice="Larger images, another program, heat? --html shows which stage became slower.",
        )


def _about_workers(night: NightFigures) -> Iterator[Finding]:
    for worker in night.slow_workers:
        yield Finding(
            kind="slow_worker",
            sentence=f"{worker.name} labelled {worker.images_per_second:.1f} images a second while it had work;"
            f" usual were {night.usual_speed:.1f}.",
            advice="Has it slower cores, or does another program use them?",
        )
    leaky = [process for process in night.stability.processes if process.verdict == "leak"]
    for process in sorted(leaky, key=lambda one: -one.rss_slope.low if one.rss_slope else 0.0):
        yield Finding(
            kind="leak",
            sentence=f"The memory of {process.name} grew: {slope_in_words(process)}.",
            advice="--memory-limit bounds it meanwhile: a process beyond it is replaced. Please report it."
            if process.labels
            else "Starting the worker again frees it meanwhile. Please report it.",
        )
    restarts = night.stability.restarts
    if restarts and night.progress.extra_starts:
        yield Finding(
            kind="restarts",
            sentence=f"{counted(restarts, 'worker process')} replaced, and chunks begun again"
            f" {counted(night.progress.extra_starts, 'time')}.",
            advice="The workers' log says why. Nothing is lost; a replacement every 2,000 chunks is planned.",
        )
