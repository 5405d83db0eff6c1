"""What people say of images: add it, take it back, and what of it stands.

It is kept by the bytes of a file (`outcomes.content`): it outlives relabelling, other models, and a file that moves.
What was said is never deleted; a later word ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqlalchemy import func, insert, select, update

from common.errors import DatabaseError, UsageError
from storage.correction_tables import corrections
from storage.manifest import find_image, path_of
from storage.records import shown
from storage.tables import images, models, outcomes
from vocabulary.kinds import things_of_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from storage.database import Database

Answer = Literal["right", "wrong", "label", "not", "skip", "undo"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image that has labels, with what a model says of it."""

    image_id: int
    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    content: str  #: of the file that was labelled: blake2b of its bytes, 128 bits in hexadecimal
    model_id: int
    model: str  #: its architecture
    label: str
    score: float  #: 0…1
    kind: str | None  #: None: the model's labels have no kinds
    kind_score: float | None


class Word(NamedTuple):
    """What a person says of a picture."""

    answer: Answer
    label: str | None = None  #: what it is
    not_label: str | None = None  #: what it is not: a class, by its label
    not_thing: str | None = None  #: or a kind

    def contradicts(self, earlier: Word) -> bool:
        """Tell whether an earlier word cannot stand beside this one.

        What a picture is says all of it; `wrong` is the newest word on what it is. Of what it is not, much may be said.
        """
        if self.answer != "not":
            return True
        return self == earlier if earlier.label is None else self.denies(earlier.label)

    def denies(self, label: str) -> bool:
        """Tell whether it says that a picture does not show this class."""
        return self.not_label == label or self.not_thing in things_of_labels().get(label, ())


def right(picture: Picture) -> Word:
    """Return the word that the model's label is right."""
    return Word("right", label=picture.label)


def wrong(picture: Picture) -> Word:
    """Return the word that the model's label is wrong, without one what it is."""
    return Word("wrong", not_label=picture.label)


def is_label(picture: Picture, label: str) -> Word:
    """Return the word that it shows a class; that the model is right, where it said so."""
    return right(picture) if label == picture.label else Word("label", label=label)


def find_picture(database: Database, path: str, model: str | None = None) -> Picture:
    """Return what was last said of an image that is in the database.

    Args:
        database: where.
        path: absolute, as `os` gives it.
        model: the architecture of the model that is meant; None: the one that labelled it last.

    Raises:
        DatabaseError: it is not there.
        UsageError: it has no labels, by this model; or they are an earlier version's, which noted no contents.

    """
    with database.read() as connection:
        image_id = find_image(database, connection, path)
        if image_id is None:
            raise DatabaseError(
                f"{shown(path)} is not in {database.shown}. `nightlabel run` labels it; what was said of the"
                " same file in another place then holds for it, too."
            )
        of_image = _pictures().where(outcomes.c.image_id == image_id)
        rows = connection.execute(of_image.order_by(outcomes.c.labelled_at.desc(), outcomes.c.model_id.desc())).all()
    meant = [row for row in rows if model in (None, row.model)]
    if rows and not meant:
        others = ", ".join(sorted({row.model for row in rows}))
        raise UsageError(f"{shown(path)} was not labelled by {model}, but by {others}.")
    labelled = next((row for row in meant if row.label_1 is not None), None)
    if labelled is None:
        why = f": it failed ({meant[0].error_kind})" if meant else " yet"
        raise UsageError(f"{shown(path)} has no label{why}. `nightlabel retry` labels again what failed.")
    if labelled.content is None:
        raise UsageError(
            f"{shown(path)} was labelled by an earlier version, which did not note what is in a file; what you say"
            " would not find it again. Label it once more: nightlabel run PATH --relabel"
        )
    return _picture(labelled)


def labelled_with(database: Database, model_id: int, content: str) -> Picture | None:
    """Return the file of these bytes that a model labelled last; None: it says nothing of them any more."""
    same = (outcomes.c.content == content, outcomes.c.model_id == model_id, outcomes.c.label_1.is_not(None))
    newest = _pictures().where(*same).order_by(outcomes.c.labelled_at.desc(), outcomes.c.image_id.desc()).limit(1)
    with database.read() as connection:
        row = connection.execute(newest).one_or_none()
    return None if row is None else _picture(row)


def standing(database: Database, content: str) -> tuple[Word, ...]:
    """Return what people said of a file's bytes and nothing has ended, the oldest first."""
    with database.read() as connection:
        return tuple(word for _, word in _standing(connection, content))


def newest_word_id(database: Database) -> int | None:
    """Return the id of what was said last; None: nobody has said anything."""
    with database.read() as connection:
        newest: int | None = connection.execute(select(func.max(corrections.c.id))).scalar()
    return newest


def say(database: Database, said: Sequence[tuple[Picture, Word]], review_id: int | None = None) -> None:
    """Add what a person says of pictures, all of it or nothing, and end what it contradicts.

    Args:
        database: where.
        said: pictures, and of each what is said of it. `skip` changes nothing of what stands.
        review_id: the review that asked.

    """
    with database.write() as connection:
        for picture, word in said:
            _lock(connection, picture.content)
            now = database.now(connection)
            if word.answer != "skip":
                _end(connection, picture.content, word, now)
            _add(connection, picture, word, now, review_id)


def take_back(database: Database, pictures: Sequence[Picture]) -> None:
    """End all that stands for pictures. What it had ended stays so.

    Raises:
        UsageError: of one of them nothing stands; nothing is changed.

    """
    with database.write() as connection:
        for picture in {one.content: one for one in pictures}.values():
            _lock(connection, picture.content)
            if not _standing(connection, picture.content):
                raise UsageError(f"Nothing to undo: nobody said anything of {shown(picture.path)} that stands.")
            now = database.now(connection)
            undo = Word("undo")
            _end(connection, picture.content, undo, now)
            _add(connection, picture, undo, now, None)


def _standing(connection: Connection, content: str) -> list[tuple[int, Word]]:
    columns = (corrections.c[name] for name in ("id", *Word._fields))
    query = select(*columns).where(corrections.c.content == content, corrections.c.ended_at.is_(None))
    return [(number, Word(*word)) for number, *word in connection.execute(query.order_by(corrections.c.id))]


def _end(connection: Connection, content: str, word: Word, now: datetime) -> None:
    ended = [number for number, earlier in _standing(connection, content) if word.contradicts(earlier)]
    connection.execute(update(corrections).where(corrections.c.id.in_(ended)).values(ended_at=now))


def _add(connection: Connection, picture: Picture, word: Word, now: datetime, review_id: int | None) -> None:
    connection.execute(
        insert(corrections).values(
            image_id=picture.image_id,
            content=picture.content,
            model_id=picture.model_id,
            model_label=picture.label,
            model_score=picture.score,
            model_kind=picture.kind,
            **word._asdict(),
            review_id=review_id,
            made_at=now,
            ended_at=now if word.answer in ("skip", "undo") else None,
        )
    )


def _lock(connection: Connection, content: str) -> None:
    """Have of two who speak of the same bytes at once one after the other; on SQLite, BEGIN IMMEDIATE did it."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"nightlabel correction {content}"))))


def _pictures() -> Select[tuple[object, ...]]:
    names = ("image_id", "content", "model_id", "label_1", "score_1", "kind", "kind_score", "error_kind")
    return (
        select(
            images.c.path, images.c.path_hex, models.c.architecture.label("model"), *(outcomes.c[one] for one in names)
        )
        .join(outcomes, outcomes.c.image_id == images.c.id)
        .join(models, models.c.id == outcomes.c.model_id)
    )


def _picture(row: Row[tuple[object, ...]]) -> Picture:
    return Picture(
        image_id=row.image_id,
        path=path_of(row.path, row.path_hex),
        content=row.content,
        model_id=row.model_id,
        model=row.model,
        label=row.label_1,
        score=row.score_1,
        kind=row.kind,
        kind_score=row.kind_score,
    )
