"""What the report points out, in sentences: what went wrong, on which figures that rests, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from report.words import counted, duration, percent, signed
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from report.memory import Verdict
    from report.run.figures import RunFigures
    from report.run.processes import ProcessFigures

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
_OTHERS: dict[Kind, str] = {
    "stall": "shorter stall",
    "slow_worker": "more slow process",
    "leak": "more leaking process",
}
#: Which verdict on memory stands for a run.
_GRAVITY: dict[Verdict, int] = {"too short": 0, "steady": 1, "unclear": 2, "leak": 3}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that whoever reads the report should know."""

    kind: Kind
    sentence: str
    advice: str = ""  #: what to do; a command, where there is one


def findings(figures: RunFigures) -> list[Finding]:
    """Return all that is worth pointing out, the gravest first."""
    return [
        *_about_labels(figures),
        *_about_failures(figures),
        *_about_stalls(figures),
        *_about_workers(figures),
    ]


def for_people(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings; of a kind that may come in dozens the worst, and how many more there are."""
    told: list[Finding] = []
    for kind, of_kind in groupby(found, key=lambda one: one.kind):
        own = list(of_kind)
        if kind in _OTHERS and len(own) > _TOLD:
            more = f"{counted(len(own) - _TOLD, _OTHERS[kind])}: --json lists all."
            own[_TOLD:] = [Finding(kind=kind, sentence=more)]
        told += own
    return told


def memory_verdict(figures: RunFigures) -> str:
    """Say whether memory grew, with the figures that this rests on: those of the process that is worst off."""
    processes = figures.stability.processes
    if not processes:
        return "no memory samples"
    worst = max(processes, key=lambda one: (_GRAVITY[one.verdict], one.rss_slope.low if one.rss_slope else 0.0))
    if worst.verdict == "too short":
        seen_s = max(one.watched_s for one in processes)
        return f"too short to tell: {duration(seen_s)} of samples" if seen_s else "too short to tell"
    words = {"steady": "no leak", "leak": f"{worst.name} LEAKS", "unclear": f"{worst.name} may leak"}
    return f"{words[worst.verdict]}: {slope_in_words(worst)}"


def slope_in_words(process: ProcessFigures) -> str:
    """Return `+0.3 MB/h, 95 % confidence interval -0.2 to +0.8, over 7 h 40 min`."""
    rise = process.rss_slope
    if rise is None:
        return "not known"
    return (
        f"{signed(rise.per_hour)} MB/h, 95 % confidence interval {signed(rise.low)} to {signed(rise.high)},"
        f" over {duration(rise.hours * 3600)}"
    )


def _about_labels(figures: RunFigures) -> Iterator[Finding]:
    if figures.run.model.is_random:
        yield Finding(
            kind="random_weights",
            sentence="The weights are RANDOM: these labels mean nothing.",
            advice="Label again with trained weights, in another database.",
        )
    if figures.progress.missing:
        yield _cancelled(figures) if figures.run.state == "cancelled" else _missing(figures)
    if figures.superseded:
        yield Finding(
            kind="taken_over",
            sentence=f"A later run has superseded {counted(figures.superseded, 'outcome')} of this one.",
            advice="Labels, failures and times per image are those of the remaining images.",
        )


def _cancelled(figures: RunFigures) -> Finding:
    state = figures.progress
    return Finding(
        kind="cancelled",
        sentence=f"The run was cancelled: {state.missing:,} of {state.images:,} images have no outcome.",
        advice="The same command starts a new run over what is not labelled yet.",
    )


def _missing(figures: RunFigures) -> Finding:
    """Say how many images are missing, and since when: that tells a run that hangs from one that goes on."""
    state = figures.progress
    rest = f"; at the most recent speed the rest takes {duration(figures.forecast_s)}" if figures.forecast_s else ""
    newest = (
        f" The newest one was stored at {figures.last_done_at:%Y-%m-%d %H:%M} UTC{rest}."
        if figures.last_done_at
        else ""
    )
    return Finding(
        kind="missing",
        sentence=f"{state.missing:,} of {state.images:,} images have no outcome yet.{newest}",
        advice="`nightlabel status` says whether they are in progress. If not, run the same command again.",
    )


def _about_failures(figures: RunFigures) -> Iterator[Finding]:
    failed = sum(failure.images for failure in figures.failures)  # those that no later run labelled
    # Of all that have an outcome: the manifest counts what is retried as missing, though its failure is still here.
    if failed and failed > FAILURE_SHARE * figures.answered:
        most = figures.failures[0].kind
        yield Finding(
            kind="failures",
            sentence=f"{percent(failed / max(failed, figures.answered))} of the images failed, most often as `{most}`.",
            advice=f"Fix the cause, then: nightlabel retry --kind {most}",
        )
    for folder in figures.failing_folders:
        yield Finding(
            kind="failing_folder",
            sentence=f"In {shown(folder.path)}, {folder.failed:,} of {folder.images:,} images failed.",
            advice="Open one of them: is the disk healthy, and are they images at all?",
        )
    if figures.doubtful:
        those = counted(figures.doubtful.images, "partly damaged image")
        yield Finding(
            kind="doubtful",
            sentence=f"{those} got labels, for example {shown(figures.doubtful.example)}: {figures.doubtful.warning}.",
            advice="`results.warning` names the damage of each. Restore them from a backup: changed files are labelled"
            " again.",
        )


def _about_stalls(figures: RunFigures) -> Iterator[Finding]:
    stalls = sorted(figures.stability.stalls, key=lambda stall: -stall.seconds)
    for stall in stalls:
        yield Finding(
            kind="stall",
            sentence=f"From {stall.begin:%Y-%m-%d %H:%M:%S} UTC nothing was labelled for {duration(stall.seconds)},"
            f" though {counted(stall.chunks, 'chunk')} waited.",
            advice="Look into the logs of the workers, the database and the NAS for that time.",
        )
    speed, drift = figures.stability.speed, figures.stability.drift
    if speed and speed.high < 0 and drift is not None and drift < -DRIFT:
        yield Finding(
            kind="drift",
            sentence=f"The speed fell by {percent(-drift)} from the beginning to the end.",
            advice="Larger images, another program, thermal throttling? --html shows which stage became slower.",
        )


def _about_workers(figures: RunFigures) -> Iterator[Finding]:
    for worker in figures.slow_workers:
        yield Finding(
            kind="slow_worker",
            sentence=f"{worker.name} labelled {worker.images_per_second:.1f} images/s while busy, the median process"
            f" {figures.median_speed:.1f}.",
            advice="Does it have slower cores, or does another program use them?",
        )
    leaky = [process for process in figures.stability.processes if process.verdict == "leak"]
    for process in sorted(leaky, key=lambda one: -one.rss_slope.low if one.rss_slope else 0.0):
        yield _leak(process)
    restarts = figures.stability.restarts
    if restarts and figures.progress.extra_starts:
        yield Finding(
            kind="restarts",
            sentence=f"{counted(restarts, 'worker process')} replaced, and chunks retried"
            f" {counted(figures.progress.extra_starts, 'time')}.",
            advice="The workers' log says why. Nothing is lost; one replacement every 2,000 chunks is normal.",
        )


def _leak(process: ProcessFigures) -> Finding:
    workaround = (
        "--memory-limit bounds it: a process beyond it is replaced."
        if process.labels
        else "Restarting the worker frees it."
    )
    return Finding(
        kind="leak",
        sentence=f"The memory of {process.name} grew: {slope_in_words(process)}.",
        advice=f"{workaround} Please report the leak.",
    )
