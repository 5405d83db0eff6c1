"""`nightlabel db`: the database's schema, and what an older one lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say
from report.words import counted

if TYPE_CHECKING:
    from common.settings import Settings


@takes_settings("db")
def upgrade(settings: Settings) -> None:
    """Bring the database to this program's schema. Stop the workers first.

    Example: nightlabel db upgrade --db postgresql://nas/photos
    """
    upgraded = library.upgrade_database(settings)
    if upgraded.before == upgraded.after:
        change = f"is at schema {upgraded.after} already"
    else:
        change = f"went from schema {upgraded.before or 'none'} to {upgraded.after}"
    say(f"{upgraded.database} {change}.")
    if upgraded.without_kinds:
        say(
            f"{counted(upgraded.without_kinds, 'result')} without kinds, by which `find` looks. `nightlabel db kinds`"
            " adds them up from each one's three labels, in minutes; `nightlabel run PATH --relabel` from all classes,"
            " which is exact, and takes as long as labelling did."
        )


@takes_settings("db")
def kinds(settings: Settings) -> None:
    """Give kinds to what was labelled before there were any: from its three labels, so scores may be a little low.

    May be interrupted, and run while workers label. What `--relabel` labels again gets the exact sums.

    Example: nightlabel db kinds --db postgresql://nas/photos
    """
    from nightlabel.progress import make_progress
    from nightlabel.screen import Screen
    from storage.records import Progress

    with make_progress(Screen(stderr=True)) as bar:
        filled = library.fill_kinds(
            settings, lambda done, total: bar.update(Progress(images=total, ok=done), scanning=False)
        )
    if filled.results:
        say(f"{counted(filled.results, 'result')} got kinds, from three labels each.")
    else:
        say("Nothing lacks kinds that could have them.")
    if filled.without:
        say(f"{counted(filled.without, 'result')} of models whose labels are not ImageNet's: those have no kinds.")
