"""Reviews: random samples of what a model labelled, of which a person is asked whether the labels are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, func, insert, or_, select

from common.errors import DatabaseError
from storage.correction_tables import corrections, review_images, reviews
from storage.runs import newest_run
from storage.tables import models, outcomes

if TYPE_CHECKING:
    from random import Random

    from sqlalchemy import ColumnElement, Connection, Select

    from storage.database import Database
    from storage.records import Run

#: Contents that are in memory at a time while a sample is drawn.
_PAGE_ROWS = 20_000
#: What a person is asked for, and can go back to.
_ANSWERS = ("right", "wrong", "label", "skip")
#: After each id that there is.
_LAST = 2**62


@dataclass(frozen=True, kw_only=True)
class Review:
    """A sample, as it stands."""

    id: int
    model_id: int
    is_new: bool  #: False: it was begun before, and goes on
    contents: tuple[str, ...]  #: of its pictures, in the order in which they are asked about
    settled: frozenset[str]  #: those that have an answer, were skipped, or which the model says nothing of any more


class ReviewAnswer(NamedTuple):
    """What a person said of a picture of a random sample, and what the model had said."""

    model_label: str
    model_kind: str | None  #: None: its labels have no kinds
    answer: str  #: `right`, `wrong` or `label`
    label: str | None  #: what it is; None: the person did not say


def reviewed_run(database: Database, model: str | None = None) -> Run:
    """Return the newest run, or the newest one of a model: its model is what a review is about.

    Raises:
        DatabaseError: there is none.

    """
    run = newest_run(database, model)
    if run is None:
        of = f" of {model}" if model else ""
        raise DatabaseError(f"There is no run{of} in {database.shown}. `nightlabel run PATH` makes one.")
    return run


def open_review(database: Database, model_id: int, sample: int, dice: Random) -> Review:
    """Return the model's review that is not finished, or a new one.

    Its sample is simple random and without replacement: of the pictures that the model labelled and that no review of
    it asked about before, each set of so many is as likely as another. Files of the same bytes are one picture.

    Args:
        database: where.
        model_id: of the model whose labels are reviewed.
        sample: how many pictures of a new one; all, where there are no more.
        dice: what draws them.

    Raises:
        DatabaseError: there is nothing to draw from.

    """
    unfinished = unfinished_review(database, model_id)
    if unfinished:
        return unfinished
    drawn = _draw(database, model_id, sample, dice)
    if not drawn:
        raise DatabaseError(
            f"There is nothing to review in {database.shown}: every picture that this model labelled was in a review"
            " before, or an earlier version labelled it, which did not note contents (`nightlabel run --relabel` does)."
        )
    with database.write() as connection:
        # Of two commands that draw at once, the second one waits here, and takes the first one's sample.
        connection.execute(select(models.c.id).where(models.c.id == model_id).with_for_update())
        return _unfinished(connection, model_id) or _insert(database, connection, model_id, drawn)


def unfinished_review(database: Database, model_id: int) -> Review | None:
    """Return the model's newest review of which a picture was not asked about yet; None: there is none."""
    with database.read() as connection:
        return _unfinished(connection, model_id)


def is_asked(database: Database, review_id: int, model_id: int, content: str) -> bool:
    """Tell whether a review of a model asks about a picture."""
    query = (
        select(reviews.c.id)
        .join(review_images, review_images.c.review_id == reviews.c.id)
        .where(reviews.c.id == review_id, reviews.c.model_id == model_id, review_images.c.content == content)
    )
    with database.read() as connection:
        return connection.execute(query).first() is not None


def asked_before(database: Database, model_id: int, review_id: int | None, content: str | None) -> str | None:
    """Return the picture that a person answered or skipped before another one; None: there is none.

    Each picture counts where it was answered last, so that going back again and again ends.

    Args:
        database: where.
        model_id: whose labels are reviewed.
        review_id: of which review; None: of the pictures that are in none.
        content: the other picture; None, or one without an answer: the last of all.

    """
    last = func.max(corrections.c.id).label("last")
    of_review = corrections.c.review_id == review_id if review_id else corrections.c.review_id.is_(None)
    answered = (
        select(corrections.c.content, last)
        .where(corrections.c.model_id == model_id, of_review, corrections.c.answer.in_(_ANSWERS))
        .group_by(corrections.c.content)
        .subquery()
    )
    here = select(answered.c.last).where(answered.c.content == content).scalar_subquery()
    earlier = answered.c.last < func.coalesce(here, _LAST)
    query = select(answered.c.content).where(earlier).order_by(answered.c.last.desc()).limit(1)
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def review_answers(database: Database, model_id: int) -> list[ReviewAnswer]:
    """Return the newest answer to each question of the model's reviews, but for those that were taken back.

    Nothing that a person said of a picture of their own choice is among them.
    """
    later, undone = corrections.alias("later"), corrections.alias("undone")
    same_question = (later.c.review_id == corrections.c.review_id, later.c.content == corrections.c.content)
    taken_back = (undone.c.content == corrections.c.content, undone.c.answer == "undo")
    query = (
        select(corrections.c.model_label, corrections.c.model_kind, corrections.c.answer, corrections.c.label)
        .join(reviews, reviews.c.id == corrections.c.review_id)
        .where(
            reviews.c.model_id == model_id,
            corrections.c.answer != "skip",
            ~exists().where(*same_question, later.c.id > corrections.c.id),
            ~exists().where(*taken_back, undone.c.id > corrections.c.id),
        )
        .order_by(corrections.c.id)
    )
    with database.read() as connection:
        return [ReviewAnswer(*row) for row in connection.execute(query)]


def _unfinished(connection: Connection, model_id: int) -> Review | None:
    """Return the newest review of which a picture was not asked about yet."""
    open_ones = (
        select(func.max(reviews.c.id))
        .join(review_images, review_images.c.review_id == reviews.c.id)
        .where(reviews.c.model_id == model_id, ~_is_settled(model_id))
    )
    review_id = connection.execute(open_ones).scalar_one()
    if review_id is None:
        return None
    query = (
        select(review_images.c.content, _is_settled(model_id).label("settled"))
        .where(review_images.c.review_id == review_id)
        .order_by(review_images.c.place)
    )
    rows = connection.execute(query).all()
    return Review(
        id=review_id,
        model_id=model_id,
        is_new=False,
        contents=tuple(row.content for row in rows),
        settled=frozenset(row.content for row in rows if row.settled),
    )


def _is_settled(model_id: int) -> ColumnElement[bool]:
    """Say that a picture of a review was asked about, or cannot be any more: its file changed, and was relabelled."""
    asked = exists().where(
        corrections.c.review_id == review_images.c.review_id, corrections.c.content == review_images.c.content
    )
    labelled = exists().where(
        outcomes.c.content == review_images.c.content,
        outcomes.c.model_id == model_id,
        outcomes.c.label_1.is_not(None),
    )
    return or_(asked, ~labelled)


def _draw(database: Database, model_id: int, sample: int, dice: Random) -> list[str]:
    """Return contents, drawn without replacement, in random order; in memory that does not grow with the archive."""
    contents = _population(model_id)
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(contents.subquery())).scalar_one()
    places = dice.sample(range(count), min(sample, count))
    wanted = iter(sorted(places))
    place, first, found = next(wanted, None), 0, {}
    for (page,) in database.pages(contents.order_by(outcomes.c.content), _PAGE_ROWS):
        while place is not None and place < first + len(page):
            found[place] = page[place - first]
            place = next(wanted, None)
        first += len(page)
        if place is None:
            break
    return [found[place] for place in places if place in found]  # fewer, where images were relabelled meanwhile


def _population(model_id: int) -> Select[tuple[str]]:
    """Select the contents that a model labelled, but for those that a review of it asked about; in a fixed order."""
    asked = select(review_images.c.content).join(reviews).where(reviews.c.model_id == model_id)
    return (
        select(outcomes.c.content)
        .where(
            outcomes.c.model_id == model_id,
            outcomes.c.label_1.is_not(None),
            outcomes.c.content.is_not(None),
            outcomes.c.content.not_in(asked),
        )
        .distinct()
    )


def _insert(database: Database, connection: Connection, model_id: int, drawn: list[str]) -> Review:
    review_id = connection.execute(
        insert(reviews).values(model_id=model_id, created_at=database.now(connection))
    ).inserted_primary_key[0]  # type: ignore[index]
    rows = [{"review_id": review_id, "place": place, "content": content} for place, content in enumerate(drawn)]
    connection.execute(insert(review_images), rows)
    return Review(id=review_id, model_id=model_id, is_new=True, contents=tuple(drawn), settled=frozenset())
