"""What one worker process holds, made after the fork: its database connection and its warm models."""

from __future__ import annotations

import logging
import os
import signal
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

import psutil
from billiard.process import current_process

from common.errors import ModelError
from common.settings import LEAST_MEMORY_LIMIT_MB
from host.machine import memory_limit_mb
from host.memory import held_mb, limit_memory, peak_rss_bytes
from host.process import host_name, process_identity
from models.resolve import resolve, resolve_recorded
from storage.database import Database
from storage.records import ProcessSample, WorkerSample
from storage.runs import run_to_serve

if TYPE_CHECKING:
    from common.errors import DatabaseError
    from common.settings import Settings
    from models.ready import ReadyModel
    from storage.records import Run
    from worker.labelling import Labeller

logger = logging.getLogger(__name__)

#: How a child tells the main process to end, since the database is in a trouble that lasts.
DATABASE_TROUBLE = signal.SIGUSR2

#: Seconds between two samples that are kept.
SAMPLE_EVERY_S = 5.0
#: Models that a process keeps warm; one is the rule, two while one run follows another.
_WARM_MODELS = 2


class WorkerProcess:
    """One worker process: a name, a database connection, and warm models."""

    def __init__(self, settings: Settings, main_pid: int) -> None:
        self._main_pid = main_pid
        self.settings = settings
        self.database = Database(settings.database_url, was_there=True)
        self.name = _process_name()
        self._started_at = datetime.now(UTC)
        self._sampled_at = 0.0
        self.store_s = 0.0  #: spent so far on storing chunks, most of it waiting for the database
        self._labellers: OrderedDict[tuple[str, str], Labeller] = OrderedDict()

    def warm_up(self) -> None:
        """Load the model of the run that waits for workers; with none, the configured one."""
        run = run_to_serve(self.database)
        if run:
            self.labeller(run)
        else:
            ready = resolve(self.settings)
            self._keep((ready.model.key, ready.engine), ready)

    @property
    def has_answered(self) -> bool:
        """Whether its engines have answered for any picture since the process started."""
        return any(labeller.has_answered for labeller in self._labellers.values())

    def labeller(self, run: Run) -> Labeller:
        """Return the warm model that a run asks for.

        Raises:
            ModelError: this machine cannot load it.

        """
        key = (run.model.key, run.engine)
        if key not in self._labellers:
            self._keep(key, resolve_recorded(run.model, run.engine, self.settings))
        self._labellers.move_to_end(key)
        return self._labellers[key]

    def sample(self) -> WorkerSample:
        """Return this process's memory, now."""
        return WorkerSample(
            name=self.name,
            host=host_name(),
            pid=os.getpid(),
            process=self._identity,
            started_at=self._started_at,
            rss_bytes=self._psutil.memory_info().rss,
            peak_rss_bytes=peak_rss_bytes(),
        )

    def history(self) -> list[ProcessSample]:
        """Return the samples to be kept now: none, if the last ones are younger than `SAMPLE_EVERY_S`.

        The first labelling process of a worker speaks for the main process too.
        """
        if monotonic() - self._sampled_at < SAMPLE_EVERY_S:
            return []
        self._sampled_at = monotonic()
        now = datetime.now(UTC)
        samples = [_process_sample(self._psutil, self.name, now, self.store_s)]
        if self.name.endswith("/1") and os.getpid() != self._main_pid:
            with suppress(psutil.Error):  # where a child outlives it for a moment
                samples.append(_process_sample(self._main, self.name.removesuffix("/1"), now))
        return samples

    def limit(self) -> None:
        """Stand back behind other programs, and hold no more memory than the settings allow."""
        if self.settings.nice:
            os.nice(self.settings.nice)
        if self.settings.memory_limit_mb:
            limit_memory(self.settings.memory_limit_mb)

    def keep_to_its_share(self) -> None:
        """With no limit set, hold no more than this machine or container has for each worker, once it is warm.

        A picture that needs more fails. Without that the kernel would end a process when memory is short, and that may
        be any. What the model itself needs is not refused, nor what an ordinary picture takes.
        """
        share = memory_limit_mb(self.settings)
        if share and not self.settings.memory_limit_mb:
            limit_memory(max(share, held_mb() + LEAST_MEMORY_LIMIT_MB), may_be_lifted=True)

    def end_worker(self, error: DatabaseError) -> None:
        """Have the worker's main process end, with the error's exit status.

        For a trouble that lasts, like a full disk: taking more chunks would serve nobody, and whoever keeps the
        worker alive learns from the status what is the matter.
        """
        logger.critical("The worker ends. %s", error)
        os.kill(self._main_pid, DATABASE_TROUBLE)

    @cached_property
    def _identity(self) -> str:
        return process_identity(os.getpid())

    @cached_property
    def _psutil(self) -> psutil.Process:
        return psutil.Process()

    @cached_property
    def _main(self) -> psutil.Process:
        return psutil.Process(self._main_pid)

    def _keep(self, key: tuple[str, str], ready: ReadyModel) -> None:
        from worker.labelling import Labeller

        try:
            self._labellers[key] = Labeller(ready, self.settings)
        except (RuntimeError, OSError) as error:  # what OpenVINO and torch raise where a device fails them
            raise ModelError(f"{ready.model} cannot be loaded on {ready.engine}: {error}") from error
        if len(self._labellers) > _WARM_MODELS:
            self._labellers.popitem(last=False)
        logger.info("%s is warm on %s", ready.model, ready.engine)


def _process_sample(process: psutil.Process, name: str, now: datetime, store_s: float | None = None) -> ProcessSample:
    with process.oneshot():
        times = process.cpu_times()
        return ProcessSample(
            worker=name,
            sampled_at=now,
            pid=process.pid,
            rss_bytes=process.memory_info().rss,
            cpu_s=times.user + times.system,
            store_s=store_s,
        )


def _process_name() -> str:
    """Return `host-PID/N`: the N-th process of the worker with that PID; a replacement takes its name over."""
    index = getattr(current_process(), "index", 0)
    return f"{host_name()}-{os.getppid()}/{index + 1}"
