"""What people say of labels: of pictures that they choose, and of a random sample, which measures the model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from common.errors import NightlabelError, UsageError
from nightlabel.library.arguments import AnyPath, loaded, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from common.settings import Settings
    from nightlabel.library.review_questions import Question, Reviewed
    from storage.corrections import Picture, Word
    from storage.database import Database


class Corrected(NamedTuple):
    """What people's words on a picture come to now."""

    picture: Picture
    label: str | None  #: what it shows: as people say, or else the model; None: only what it does not is known
    by_person: bool
    denied: tuple[str, ...]  #: the classes and kinds that it is said not to show


def correct(
    paths: AnyPath | Iterable[AnyPath],
    label: str | None = None,
    *,
    right: bool = False,
    wrong: bool = False,
    not_a: str | None = None,
    undo: bool = False,
    model: str | None = None,
    settings: Settings | None = None,
) -> list[Corrected]:
    """Say of pictures that a label is right or wrong, or what they show; return what stands of each then.

    Example:
        for corrected in nightlabel.correct("photos/goldfinch.jpg", "goldfinch", settings=settings):
            print(corrected.picture.path, corrected.label)

    Args:
        paths: files that are in the database. All are changed, or none.
        label: the class that they show, by its name in any language.
        right: the model's label is right.
        wrong: it is wrong.
        not_a: what they do not show, a class or a kind.
        undo: all that stands is taken back.
        model: whose label is meant, where several labelled them; None: that of the one which did so last.
        settings: what can be set.

    Raises:
        UsageError: not one of the five is said; no class is called so; a picture has no label, or is another file now.
        DatabaseError: a file is not in the database; there is no such database.

    """
    from contextlib import closing

    from storage.corrections import say, take_back
    from storage.schema_version import existing_database

    if (label is not None) + right + wrong + (not_a is not None) + undo != 1:
        raise UsageError("Say one thing: --label NAME, --right, --wrong, --not NAME or --undo.")
    with closing(existing_database(loaded(settings).database_url)) as database:
        pictures = [_picture(database, name, model) for name in names_of(paths)]
        if undo:
            take_back(database, pictures)
        else:
            words = [(one, word) for one in pictures for word in _words(database, one, label, not_a, right=right)]
            say(database, words)
        return [_what_stands(database, picture) for picture in pictures]


def review(
    ask: Callable[[Question], str],
    sample: int = 50,
    seed: int | None = None,
    model: str | None = None,
    settings: Settings | None = None,
) -> Reviewed:
    """Ask a person whether the labels of a random sample are right, which tells how right the model is.

    A review that was stopped goes on. `open_report(…).accuracy` has what the answers come to.

    Example:
        reviewed = nightlabel.review(lambda question: "y" if question.label else "q", sample=3, settings=settings)
        print(reviewed.answered, "answered,", reviewed.left, "left")

    Args:
        ask: is given a question, and returns the answer: `y` the label is right, `n` it is wrong, `= NAME` or the name
            alone what it is, `s` skip, `b` back to the question before, `q` stop.
        sample: how many pictures are drawn, where no review goes on.
        seed: the same draws the same from the same; None: chance.
        model: whose labels; None: those of the newest run's.
        settings: what can be set.

    Raises:
        DatabaseError: there is no such database, no run of the model, or nothing that it labelled is left to ask about.

    """
    from contextlib import closing
    from random import Random

    from nightlabel.library.review_questions import Questions
    from storage.reviews import open_review, reviewed_run
    from storage.schema_version import existing_database
    from vocabulary.languages import chosen_language

    chosen = loaded(settings)
    with closing(existing_database(chosen.database_url)) as database:
        run = reviewed_run(database, model)
        opened = open_review(database, run.model_id, sample, Random(seed))  # noqa: S311 - nobody is to be kept out
        return Questions(database, opened, str(run.model), chosen_language(chosen.language), ask).ask_all()


def _picture(database: Database, name: str, model: str | None) -> Picture:
    """Return the picture of a file, whose bytes are still those that were labelled, as far as they are there."""
    from archive.contents import content_now
    from storage.corrections import find_picture
    from storage.records import shown

    picture = _found(database, name, model, find_picture)
    if content_now(picture.path) not in (None, picture.content):
        raise UsageError(
            f"{shown(picture.path)} has changed since it was labelled, and its labels are those of another picture."
            " `nightlabel run` labels it anew."
        )
    return picture


def _found(
    database: Database, name: str, model: str | None, find: Callable[[Database, str, str | None], Picture]
) -> Picture:
    """Find a file by its path as it is written, or by the one that links lead to, which a run has."""
    path = os.path.abspath(name)
    try:
        return find(database, path, model)
    except NightlabelError:
        real = os.path.realpath(path)
        if real == path:
            raise
        return find(database, real, model)


def _words(
    database: Database, picture: Picture, label: str | None, not_a: str | None, *, right: bool
) -> tuple[Word, ...]:
    from storage import corrections
    from storage.class_names import class_called, denials

    if label is not None:
        return (corrections.is_label(picture, class_called(database, picture.model_id, label)),)
    if not_a is not None:
        return denials(database, not_a)
    return (corrections.right(picture) if right else corrections.wrong(picture),)


def _what_stands(database: Database, picture: Picture) -> Corrected:
    from storage.corrections import standing

    words = standing(database, picture.content)
    said = next((word.label for word in words if word.label), None)
    denied = tuple(word.not_label or word.not_thing or "" for word in words if not word.label)
    is_denied = any(word.denies(picture.label) for word in words)
    label = said or (None if is_denied else picture.label)
    return Corrected(picture, label, said is not None or is_denied, denied)
