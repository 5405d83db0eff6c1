"""What one labelling process holds, made after the fork: its database connection and its warm models."""

from __future__ import annotations

import logging
import os
import signal
from collections import OrderedDict
from typing import TYPE_CHECKING

from billiard.process import current_process

from common.errors import ModelError
from host.machine import memory_limit_mb
from host.memory import limit_memory, limit_memory_once_loaded
from host.process import host_name
from models.resolve import resolve, resolve_recorded
from storage.database import Database
from storage.runs import run_to_serve

if TYPE_CHECKING:
    from common.errors import DatabaseError
    from common.settings import Settings
    from models.ready_model import ReadyModel
    from storage.records import Run
    from worker.labelling import Labeller

logger = logging.getLogger(__name__)

#: How a child tells the main process to end, since the database fails in a way that waiting does not cure.
DATABASE_FAILED = signal.SIGUSR2

#: Models that a process keeps warm; one is the rule, two while one run follows another.
_WARM_MODELS = 2


class WorkerProcess:
    """One labelling process: a name, a database connection, and warm models."""

    def __init__(self, settings: Settings, main_pid: int) -> None:
        self._main_pid = main_pid
        self.settings = settings
        self.database = Database(settings.database_url, must_exist=True)
        self.name = _process_name()
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
        """Return the model that a run asks for, loaded if it is not yet.

        Raises:
            ModelError: this machine cannot load it.

        """
        key = (run.model.key, run.engine)
        if key not in self._labellers:
            self._keep(key, resolve_recorded(run.model, run.engine, self.settings))
        self._labellers.move_to_end(key)
        return self._labellers[key]

    def apply_limits(self) -> None:
        """Apply the niceness and the memory limit that are set."""
        if self.settings.nice:
            os.nice(self.settings.nice)
        if self.settings.memory_limit_mb:
            limit_memory(self.settings.memory_limit_mb)

    def limit_to_memory_share(self) -> None:
        """Where no memory limit is set, apply this process's share of the machine's or container's memory.

        Call it once the model is warm. A picture that needs more fails; without a limit, the kernel would kill a
        process when memory is short, and that may be any. The limit always leaves room for the model itself and for an
        ordinary picture.
        """
        share = memory_limit_mb(self.settings)
        if share and not self.settings.memory_limit_mb:
            limit_memory_once_loaded(share)

    def shut_down_worker(self, error: DatabaseError) -> None:
        """Have the worker's main process end, with the error's exit status.

        For an error that waiting does not cure, like a full disk: taking more chunks would serve nobody, and whoever
        keeps the worker alive learns from the status what is the matter.
        """
        logger.critical("The worker ends. %s", error, extra={"action": "worker_ends", "error": str(error)})
        os.kill(self._main_pid, DATABASE_FAILED)

    def _keep(self, key: tuple[str, str], ready: ReadyModel) -> None:
        from worker.labelling import Labeller

        try:
            self._labellers[key] = Labeller(ready, self.settings)
        except (RuntimeError, OSError) as error:  # what OpenVINO and torch raise where a device fails them
            raise ModelError(f"{ready.model} cannot be loaded on {ready.engine}: {error}") from error
        if len(self._labellers) > _WARM_MODELS:
            self._labellers.popitem(last=False)
        logger.info(
            "%s is loaded on %s",
            ready.model,
            ready.engine,
            extra={"action": "model_loaded", "model": str(ready.model), "engine": ready.engine},
        )


def _process_name() -> str:
    """Return `host-PID/N`: the N-th process of the worker with that PID; a replacement takes over its name."""
    index = getattr(current_process(), "index", 0)
    return f"{host_name()}-{os.getppid()}/{index + 1}"
