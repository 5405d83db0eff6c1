"""A middleware that samples what the labelling process and the main process hold and use."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING

import psutil

from host.memory import peak_rss_bytes
from host.process import host_name, process_identity
from storage.records import ProcessSample, WorkerSample
from worker.chunk_middleware import ChunkMiddleware

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.chunk_claims import Claim
    from storage.samples import ChunkRow
    from worker.chunk_middleware import ChunkResult

#: Seconds between two samples that are kept.
SAMPLE_EVERY_S = 5.0


class ProcessSampler(ChunkMiddleware):
    """Has this process's memory and CPU time stored with its chunks.

    Its newest state goes with each chunk (table `workers`); every `SAMPLE_EVERY_S` a sample is kept (table `samples`).
    """

    def __init__(self, name: str, main_pid: int) -> None:
        self._name = name
        self._main_pid = main_pid
        self._started_at = datetime.now(UTC)
        self._sampled_at = 0.0
        self._store_s = 0.0

    def rows(self, claimed: Claim) -> Sequence[ChunkRow]:  # noqa: ARG002 - the contract's
        return [self.newest(), *self.kept()]

    def after(self, claimed: Claim, result: ChunkResult) -> None:  # noqa: ARG002 - the contract's
        self._store_s += result.store_s

    def newest(self) -> WorkerSample:
        """Return this process's memory, now."""
        return WorkerSample(
            name=self._name,
            host=host_name(),
            pid=os.getpid(),
            process=self._identity,
            started_at=self._started_at,
            rss_bytes=self._process.memory_info().rss,
            peak_rss_bytes=peak_rss_bytes(),
        )

    def kept(self) -> list[ProcessSample]:
        """Return the samples to be kept now: none, if the last ones are younger than `SAMPLE_EVERY_S`.

        The first labelling process of a worker speaks for the main process too.
        """
        if monotonic() - self._sampled_at < SAMPLE_EVERY_S:
            return []
        self._sampled_at = monotonic()
        now = datetime.now(UTC)
        samples = [_sample(self._process, self._name, now, self._store_s)]
        if self._name.endswith("/1") and os.getpid() != self._main_pid:
            with suppress(psutil.Error):  # where a child outlives it for a moment
                samples.append(_sample(self._main, self._name.removesuffix("/1"), now))
        return samples

    @cached_property
    def _identity(self) -> str:
        return process_identity(os.getpid())

    @cached_property
    def _process(self) -> psutil.Process:
        return psutil.Process()

    @cached_property
    def _main(self) -> psutil.Process:
        return psutil.Process(self._main_pid)


def _sample(process: psutil.Process, name: str, now: datetime, store_s: float | None = None) -> ProcessSample:
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
