"""The worker as a Celery program: its app, what it checks before it starts, and how it runs."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from billiard import get_context
from celery.platforms import EX_OK
from celery.signals import (
    after_setup_logger,
    after_setup_task_logger,
    celeryd_init,
    worker_process_init,
    worker_ready,
)
from celery.worker import state

from broker.app import LABEL_CHUNK, make_app, use_database_queue
from broker.queue import check_broker
from common.child_process import die_with_parent
from common.errors import (
    TRY_AGAIN_EXIT_STATUS,
    BrokerBusyError,
    DatabaseBusyError,
    DatabaseError,
    NightlabelError,
    WorkersError,
)
from host.machine import limits_in_words, worker_count
from host.private_folder import private_folder
from host.process import host_name
from models.resolve import check_configured, resolve_recorded
from storage.database import Database
from storage.identity import database_identity
from storage.runs import run_to_serve
from storage.schema_version import ensure_schema
from worker import task
from worker.chunk_log import ChunkLog
from worker.chunk_middleware import MiddlewareStack
from worker.database_queue import queue_step
from worker.json_log import log_warnings, use_log_format
from worker.process import DATABASE_FAILED, WorkerProcess
from worker.request import request_class
from worker.samples import ProcessSampler
from worker.single_thread import use_single_thread

if TYPE_CHECKING:
    from celery import Celery

    from common.settings import Settings
    from worker.chunk_errors import ReplaceProcess

logger = logging.getLogger(__name__)

#: Seconds that SIGQUIT gives the chunks in work; what is not done by then is published again, as after a kill.
QUIT_S = 10
#: Times in a row that a labelling process may be replaced, none of which got an answer from its engine, before the
#: worker ends; for each process that it has.
MAX_REPLACEMENTS = 8


def make_worker_app(settings: Settings) -> Celery:
    """Return the Celery app of a worker: the task, and what happens when its processes start."""
    app = make_app(settings)
    app.set_current()
    app.conf.worker_concurrency = worker_count(settings)
    use_single_thread()
    main_pid = os.getpid()

    @cache  # one, made after the fork
    def this_process() -> tuple[WorkerProcess, MiddlewareStack]:
        process = WorkerProcess(settings, main_pid)
        return process, middleware_of(process, main_pid)

    request = request_class(settings, Replacements(worker_count(settings)).count)

    @app.task(name=LABEL_CHUNK, Request=request)  # type: ignore[untyped-decorator]  # Celery has no types
    def label_chunk(database: str, chunk_id: int, attempt: int) -> None:
        task.label_chunk(*this_process(), database, chunk_id, attempt)

    for logger_is_there in (after_setup_logger, after_setup_task_logger):
        logger_is_there.connect(lambda logger, **_: use_log_format(settings, logger, host_name()), weak=False)
    celeryd_init.connect(lambda **_: _prepare_main_process(app, settings), weak=False)
    worker_ready.connect(lambda **_: _install_signal_handlers(), weak=False)
    worker_process_init.connect(lambda **_: _init_process(this_process()[0], main_pid), weak=False)
    app.steps["consumer"].add(queue_step(settings))
    return app


def middleware_of(process: WorkerProcess, main_pid: int) -> MiddlewareStack:
    """Return what hangs beside each chunk of a labelling process: the one place that names it."""
    return MiddlewareStack(ChunkLog(), ProcessSampler(process.name, main_pid))


class Replacements:
    """Counts the processes that were replaced one after the other, in none of which the model had answered."""

    def __init__(self, processes: int = 1) -> None:
        self._limit = MAX_REPLACEMENTS * processes
        self._count = 0

    def count(self, replaced: ReplaceProcess) -> None:
        """End the worker where process after process fails: then neither an image nor one process is to blame."""
        self._count = 0 if replaced.has_answered else self._count + 1
        if self._count >= self._limit:
            logger.critical(
                "The worker ends: in %d processes in a row, the model answered for no picture. The last one said: %s",
                self._count,
                replaced.reason,
                extra={"action": "worker_ends", "error": replaced.reason},
            )
            state.should_stop = WorkersError.exit_status


def _prepare_main_process(app: Celery, settings: Settings) -> None:
    """Do what comes before the first fork, however the worker was started."""
    try:
        _use_private_folder()
        _check_broker(app)
        identity = check_start(settings)
    except NightlabelError as error:  # Celery would log it as an error of a signal handler, and go on
        print(f"nightlabel worker: {error}", file=sys.stderr)  # noqa: T201 - for people
        is_transient = isinstance(error, DatabaseBusyError)
        raise SystemExit(TRY_AGAIN_EXIT_STATUS if is_transient else error.exit_status) from error
    use_database_queue(app, identity)
    gc.freeze()  # what is there stays: no child need look through it, and write to pages that it shares


def _use_private_folder() -> None:
    """Have temporary files of the worker and of its children lie in a folder that is removed after them.

    Multiprocessing leaves `pymp-…` where a process is killed, and nothing in it says whose it is. The folder around it
    does, and the next nightlabel removes it.
    """
    stack = ExitStack()
    folder = stack.enter_context(private_folder())
    # It goes last: multiprocessing removes its own folder with priority -100. Source: CPython, multiprocessing/util.py
    Finalize(None, stack.close, exitpriority=-101)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)


def _check_broker(app: Celery) -> None:
    try:
        warning = check_broker(app)
    except BrokerBusyError as error:  # Celery waits for it
        warning = f"{error} The worker waits for it."
    if warning:
        print(f"nightlabel worker: {warning}", file=sys.stderr)  # noqa: T201 - for people


def _install_signal_handlers() -> None:
    """End with the status of a database error when a child reports one that waiting does not cure; and soon on SIGQUIT.

    Source of what is replaced: celery 5.7.0, celery/apps/worker.py, `install_worker_term_hard_handler`.
    """

    def end(*_: object) -> None:
        state.should_stop = DatabaseError.exit_status  # Celery ends with it once its chunks in work are done

    def end_soon(*_: object) -> None:
        # Celery's own handler shuts down from within the signal handler: amid the hand-over of a chunk to a child, it
        # waits for that chunk for ever, as warm shutdowns did (https://github.com/celery/celery/pull/7339). This one
        # leaves the end to the event loop, and beyond it to the kernel.
        state.should_stop = EX_OK
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, QUIT_S)

    signal.signal(DATABASE_FAILED, end)
    signal.signal(signal.SIGQUIT, end_soon)


def _init_process(process: WorkerProcess, main_pid: int) -> None:
    """Prepare a labelling process, right after the fork; with Celery's solo pool, that is the main process."""
    if os.getpid() != main_pid:
        die_with_parent(main_pid)  # a worker that is killed leaves no children behind
    process.apply_limits()
    try:
        process.warm_up()
    except NightlabelError as error:
        logger.error(  # noqa: TRY400 - each task will try, and say so
            "The model is not loaded yet. %s", error, extra={"action": "model_not_loaded", "error": str(error)}
        )
    process.limit_to_memory_share()


def check_start(settings: Settings) -> str:
    """Check, before a worker takes anything, the schema and the models that it will need.

    Returns:
        The database's identity.

    The check loads no engine: the processes that are forked next must not inherit its threads.

    Raises:
        DatabaseError: out of reach, or of another version.
        ModelError: weights are missing, damaged, or not those that a run recorded.

    """
    database = Database(settings.database_url)
    try:
        ensure_schema(database)
        identity = database_identity(database)
        run = run_to_serve(database)
    finally:
        database.close()
    if run:
        resolve_recorded(run.model, run.engine, settings)
    else:
        check_configured(settings)
    return identity


def serve(settings: Settings) -> int:
    """Run a worker until it is told to stop; return its exit status.

    SIGTERM and Ctrl-C let the chunks in work end first; SIGQUIT does, if they end within `QUIT_S`.

    Raises:
        WorkersError: this machine can make no process pool.

    """
    raise_if_no_semaphores()
    return _serve(settings)


def raise_if_no_semaphores() -> None:
    """Check that this machine can make a process pool.

    Raises:
        WorkersError: there is no shared memory for semaphores.

    """
    try:
        get_context().Lock()
    except OSError as error:
        raise WorkersError(
            f"The worker's processes need semaphores, which Linux keeps in /dev/shm: {error.strerror}. Mount a tmpfs"
            " there, mode 1777."
        ) from None


def _serve(settings: Settings) -> int:
    log_warnings(settings, host_name())
    if limits := limits_in_words(settings):
        print(f"nightlabel worker: {limits}", file=sys.stderr)  # noqa: T201 - for people
    worker = make_worker_app(settings).Worker(
        hostname=f"nightlabel-{os.getpid()}@{host_name()}",
        loglevel=settings.log_level.upper(),
        pool="prefork",
        # Workers need not know each other, and asking for neighbours takes a second at the start.
        without_gossip=True,
        without_mingle=True,
        quiet=settings.log_format == "json",  # no banner among the lines
    )
    worker.start()
    return int(worker.exitcode or 0)
