"""The worker as a Celery program: its app, what it checks before it starts, and how it runs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from billiard import get_context
from celery.platforms import EX_OK
from celery.signals import celeryd_init, worker_process_init, worker_ready
from celery.worker import state

from broker.app import LABEL_CHUNK, make_app, serve_database
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
from storage.identity import identity_of
from storage.runs import run_to_serve
from storage.schema import ensure_schema
from worker import task
from worker.own_queue import queue_step
from worker.process import DATABASE_TROUBLE, WorkerProcess
from worker.request import request_class
from worker.single_thread import keep_to_one_core

if TYPE_CHECKING:
    from celery import Celery

    from common.settings import Settings
    from worker.task import ReplaceProcess

logger = logging.getLogger(__name__)

#: Seconds that SIGQUIT gives the chunks in work; what is not done by then is published again, as after a kill.
QUIT_S = 10
#: Processes in each process' place that may end themselves one after the other, none of which has had an answer of its
#: engine, before the worker ends.
MAX_REPLACEMENTS = 8


def make_worker_app(settings: Settings) -> Celery:
    """Return the Celery app of a worker: the task, and what happens when its processes start."""
    app = make_app(settings)
    app.set_current()
    app.conf.worker_concurrency = worker_count(settings)
    keep_to_one_core()
    main_pid = os.getpid()
    processes: list[WorkerProcess] = []  # one, made after the fork

    def this_process() -> WorkerProcess:
        if not processes:
            processes.append(WorkerProcess(settings, main_pid))
        return processes[0]

    request = request_class(settings, Replacements(worker_count(settings)).note)

    @app.task(name=LABEL_CHUNK, Request=request)  # type: ignore[untyped-decorator]  # Celery has no types
    def label_chunk(database: str, chunk_id: int, attempt: int) -> None:
        task.label_chunk(this_process(), database, chunk_id, attempt)

    celeryd_init.connect(lambda **_: serve_database(app, _check_or_exit(app, settings)), weak=False)
    worker_ready.connect(lambda **_: _listen(), weak=False)
    worker_process_init.connect(lambda **_: _begin(this_process(), main_pid), weak=False)
    app.steps["consumer"].add(queue_step(settings))
    return app


class Replacements:
    """Counts the labelling processes that ended themselves one after the other before any had labelled an image."""

    def __init__(self, processes: int = 1) -> None:
        self._limit = MAX_REPLACEMENTS * processes
        self._count = 0

    def note(self, replaced: ReplaceProcess) -> None:
        """End the worker where process after process fails: then it is neither an image nor the process."""
        self._count = 0 if replaced.has_answered else self._count + 1
        if self._count >= self._limit:
            logger.critical(
                "The worker ends: %d processes in a row could not label a single image. The last one said: %s",
                self._count,
                replaced.reason,
            )
            state.should_stop = WorkersError.exit_status


def _check_or_exit(app: Celery, settings: Settings) -> str:
    try:
        _check_broker(app)
        return check_start(settings)
    except NightlabelError as error:
        print(f"nightlabel worker: {error}", file=sys.stderr)  # noqa: T201 - for people
        passes = isinstance(error, DatabaseBusyError)
        raise SystemExit(TRY_AGAIN_EXIT_STATUS if passes else error.exit_status) from error


def _check_broker(app: Celery) -> None:
    try:
        warning = check_broker(app)
    except BrokerBusyError as error:  # Celery waits for it
        warning = f"{error} The worker waits for it."
    if warning:
        print(f"nightlabel worker: {warning}", file=sys.stderr)  # noqa: T201 - for people


def _listen() -> None:
    """End with the status of a database error when a child says that there is one which lasts; and soon on SIGQUIT."""

    def end(*_: object) -> None:
        state.should_stop = DatabaseError.exit_status  # Celery ends with it once its chunks in work are done

    def end_soon(*_: object) -> None:
        # Celery's own handler does its work where the signal meets it: amid the hand-over of a chunk to a child, it
        # waits for that chunk for ever. This one leaves the end to the event loop, and beyond it to the kernel.
        state.should_stop = EX_OK
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, QUIT_S)

    signal.signal(DATABASE_TROUBLE, end)
    signal.signal(signal.SIGQUIT, end_soon)


def _begin(process: WorkerProcess, main_pid: int) -> None:
    """Prepare a labelling process, right after the fork; with Celery's solo pool, that is the main process."""
    if os.getpid() != main_pid:
        die_with_parent(main_pid)  # a worker that is killed leaves no children behind
    process.limit()
    try:
        process.warm_up()
    except NightlabelError as error:
        logger.error("Not warm yet. %s", error)  # noqa: TRY400 - each task will try, and say so
    process.keep_to_its_share()


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
        identity = identity_of(database)
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

    SIGTERM and Ctrl-C let the chunks in work end first, SIGQUIT if they do within `QUIT_S`.
    """
    stack = ExitStack()
    # What Celery's processes leave where they are killed (`pymp-*`) goes with the folder. It goes last: multiprocessing
    # removes its own folder with priority -100. Source: CPython, multiprocessing/util.py
    folder = stack.enter_context(private_folder())
    Finalize(None, stack.close, exitpriority=-101)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    check_semaphores()
    return _serve(settings)


def check_semaphores() -> None:
    """Refuse a machine on which no process pool can be made.

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
    if limits := limits_in_words(settings):
        print(f"nightlabel worker: {limits}", file=sys.stderr)  # noqa: T201 - for people
    worker = make_worker_app(settings).Worker(
        hostname=f"nightlabel-{os.getpid()}@{host_name()}",
        loglevel=settings.log_level.upper(),
        pool="prefork",
        # Workers need not know each other, and asking for neighbours takes a second at the start.
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
