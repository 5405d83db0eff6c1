"""A run on the terminal: what is going to happen, how far it is, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel.progress import make_progress
from nightlabel.screen import Screen, say
from report.words import counted
from storage.records import shown

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from common.settings import Settings
    from runner.display import RunEnd, RunStart
    from storage.records import Progress


class TerminalDisplay:
    """Progress on standard error, and what became of the run on standard output."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._console = Screen(stderr=True)
        self._progress = make_progress(self._console)

    def begin(self, start: RunStart) -> None:
        run = start.run
        if start.retried_run is None:
            what = f"{'Labelling' if start.is_new else 'Resuming'} {', '.join(map(shown, run.roots))}"
        else:
            what = f"Retrying the failed images of run {start.retried_run}"
        self.note(f"{what} (run {run.id})")
        self.note(f"with {run.model}, on {run.engine}")
        if start.limits:
            self.note(start.limits)
        if start.workers > start.cpus:
            self.note(f"{start.workers} workers on {counted(start.cpus, 'CPU')} take turns: that is no faster.")

    def live(self) -> AbstractContextManager[object]:
        self._progress = make_progress(self._console)
        return self._progress

    def update(self, progress: Progress, *, scanning: bool) -> None:
        self._progress.update(progress, scanning=scanning)

    def note(self, sentence: str) -> None:
        self._console.out(sentence, highlight=False)

    def interrupted(self, progress: Progress) -> None:
        say(
            f"Interrupted: {progress.labelled:,} of {progress.images:,} images have their outcome."
            " The same command resumes from there.",
            err=True,
        )

    def end(self, end: RunEnd) -> None:
        if end.is_over or end.stopped:
            self._show_report(end)
            if end.stopped:
                say(f"{end.stopped}")
            return
        skipped = end.enqueued.up_to_date
        say(
            f"Run {end.run.id}: {counted(end.progress.images, 'image')} in {counted(end.progress.chunks, 'chunk')}"
            f"{f'; {skipped:,} more had their labels already' if skipped else ''}."
            " `nightlabel status` shows how far it is."
        )

    def _show_report(self, end: RunEnd) -> None:
        from contextlib import closing

        from report.run.figures import run_figures
        from report.run.terminal import print_report
        from storage.database import Database
        from vocabulary.languages import chosen_language

        with closing(Database(self._settings.database_url)) as database:
            print_report(run_figures(database, end.run), Screen(), chosen_language(self._settings.language))
            say()
            if end.progress.failed:
                query = f"select path, error_kind, error from results where run_id = {end.run.id} and status = 'failed'"  # noqa: S608 - shown, not run
                client = "sqlite3 {}" if database.is_sqlite else "psql {} -c"
                say(f'What failed:  {client.format(database.shell_word)} "{query}"')
            say(f"The labels are in {database.shown}: tables `results` and `labels`.")
