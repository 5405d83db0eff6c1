"""Make runs, follow them, and look after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel.library.arguments import loaded, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common.settings import Settings
    from nightlabel.library.arguments import AnyPath
    from runner.cancel import Cancelled
    from runner.display import Display, RunEnd
    from runner.status import Status
    from runner.status_check import Problem


def label(
    paths: AnyPath | Iterable[AnyPath], settings: Settings | None = None, display: Display | None = None
) -> RunEnd:
    """Label everything under these paths on this machine; the same call resumes, or labels what is new or changed.

    Example:
        end = nightlabel.label("photos", nightlabel.load_settings(database_url="labels.db"))
        print(end.progress.ok, "labelled,", end.progress.failed, "failed")

    Args:
        paths: folders, or image files.
        settings: what can be set.
        display: who is told how it goes (`runner.display.Display`); None: nobody.

    Returns:
        The run: finished, or `stopped` where the settings `until`, `max_duration` or `max_images` said so. Its labels
        are in the database: tables `results` and `labels`.

    Raises:
        ArchiveError: a path is missing or unreadable, there is no image, or the archive is gone amid the run.
        ModelError: no such model, or its weights are missing or damaged.
        DatabaseError: out of reach, or of another version.
        FollowedError: another process follows the run over these paths.
        CancelledError: the run was cancelled.
        WorkersError: the workers end again and again.
        BrokerError: Redis is out of reach.
        KeyboardInterrupt: Ctrl-C; what is labelled by then stays.

    """
    from runner.display import SILENT
    from runner.run import label as label_paths

    return label_paths(loaded(settings), names_of(paths), display or SILENT)


def enqueue(
    paths: AnyPath | Iterable[AnyPath],
    settings: Settings | None = None,
    display: Display | None = None,
    *,
    wait: bool = False,
) -> RunEnd:
    """Put everything under these paths on the queue of workers that run elsewhere.

    Example:
        end = nightlabel.enqueue("photos", settings)  # with a broker_url
        print(end.progress.images, "images in", end.progress.chunks, "chunks")

    Args:
        paths: folders, or image files.
        settings: what can be set, a broker among it.
        display: who is told how it goes; None: nobody.
        wait: follow the run to its end, and publish again what gets lost.

    Raises:
        BrokerError: no broker is set, or Redis is out of reach.
        NightlabelError: as `label` does.

    """
    from runner.display import SILENT
    from runner.run import enqueue as enqueue_paths

    return enqueue_paths(loaded(settings), names_of(paths), display or SILENT, wait=wait)


def work(settings: Settings | None = None) -> int:
    """Label what is on the queue, until this process is told to stop (SIGTERM); return its exit status.

    Example:
        raise SystemExit(nightlabel.work(settings))  # with a broker_url

    It forks, and takes over the signals and the logging of the process.

    Raises:
        WorkersError: no process pool can be made on this machine.
        BrokerError: no broker is set.

    """
    from worker.service import serve

    return serve(loaded(settings))


def status(settings: Settings | None = None) -> Status:
    """Say what is done, in flight, waiting, failed and stalled, and which workers live.

    Example:
        for one in nightlabel.status(settings).situations:
            print(one.run.id, one.progress.labelled, "of", one.progress.images)

    Raises:
        DatabaseError: there is no such database, or it is out of reach.
        BrokerError: Redis is out of reach.

    """
    from runner.status import status as look

    return look(loaded(settings))


def problems(status: Status, *, looks_at_archive: bool = True) -> list[Problem]:
    """Return what keeps runs from getting on, the worst first; none: all is well.

    Example:
        for problem in nightlabel.problems(nightlabel.status(settings)):
            print(problem.run_id, problem.kind, problem.text)

    Args:
        status: as it is now.
        looks_at_archive: whether this machine sees the archive, and so can tell that it is gone.

    """
    from runner.status_check import problems as find

    return find(status, looks_at_archive=looks_at_archive)


def raise_if_no_worker_here(settings: Settings | None = None) -> None:
    """Check that a worker of this host answers over Redis; it does so also while the database is out of reach.

    Example:
        try:
            nightlabel.raise_if_no_worker_here(settings)  # with a broker_url
        except nightlabel.NightlabelError as error:
            print(error)

    Raises:
        WorkersError: Redis answers, and no worker of this host does.
        BrokerError: no broker is set, or Redis is out of reach, so that nobody can tell.

    """
    from runner.status_check import raise_if_no_worker_here as check

    check(loaded(settings))


def cancel(run_id: int, settings: Settings | None = None) -> Cancelled:
    """Give up a run that is not finished: it is not labelled any further. What it labelled stays.

    Example:
        nightlabel.cancel(1, settings)

    Raises:
        DatabaseError: there is no such run, or the database is out of reach.

    """
    from runner.cancel import cancel as cancel_run

    return cancel_run(loaded(settings), run_id)


def retry(kinds: Iterable[str] = (), settings: Settings | None = None, display: Display | None = None) -> list[RunEnd]:
    """Label the failed images again: with a broker set, by its workers, else here and now.

    Example:
        for end in nightlabel.retry(["unreadable"], settings):
            print(end.progress.ok, "of", end.progress.images)

    Args:
        kinds: only failures of these kinds; none: of any.
        settings: what can be set.
        display: who is told how it goes; None: nobody.

    Returns:
        What became of each run that was made for it; none: no image failed.

    Raises:
        UsageError: there is no such kind of failure.
        NightlabelError: as `label` does.

    """
    from runner.display import SILENT
    from runner.retry_failures import retry as retry_kinds

    return retry_kinds(loaded(settings), list(kinds), display or SILENT)
