"""Pictures that a person is asked about because of what models say of them, and not by chance.

Where a model is wrong more often, an hour of answers corrects more. What it finds says nothing of the rest: only the
random samples of `storage.reviews` count for a model's accuracy. Pictures of which a person has said something are left
out, and those that were skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, or_, select

from storage.correction_tables import corrections
from storage.tables import categories, outcomes
from storage.vocabulary_tables import kind_parents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, FromClause, Select

    from storage.database import Database
    from vocabulary.names import Thing


def least_sure(database: Database, model_id: int, *, time_limit_s: float | None = None) -> str | None:
    """Return the picture whose best label has the smallest score, of those that nobody spoke of; None: there is none.

    The score, and not its distance to the second one: where three breeds share a dog, the distance is small though the
    picture is a plain one; and the score is what the gallery and the report show.
    """
    groups = select(categories.c.label.label("name")).where(categories.c.model_id == model_id).subquery()
    return _first(database, _smallest(groups, model_id, outcomes.c.label_1, outcomes.c.score_1), time_limit_s)


def least_sure_of(
    database: Database, model_id: int, things: Sequence[Thing], *, time_limit_s: float | None = None
) -> str | None:
    """Return the picture that shows one of these things, as the model says, with the smallest score of it.

    A kind is looked for where it, or one below it, is the best kind; a class where it is the best label.
    """
    kinds = [thing.key for thing in things if thing.is_kind]
    labels = [thing.key for thing in things if not thing.is_kind]
    below = select(kind_parents.c.kind.label("name")).where(kind_parents.c.thing.in_(kinds)).distinct().subquery()
    called = (
        select(categories.c.label.label("name"))
        .where(categories.c.model_id == model_id, categories.c.label.in_(labels))
        .distinct()
        .subquery()
    )
    for groups, name, score in (
        (below, outcomes.c.kind, outcomes.c.kind_score),
        (called, outcomes.c.label_1, outcomes.c.score_1),
    ):
        found = _first(database, _smallest(groups, model_id, name, score), time_limit_s)
        if found is not None:
            return found
    return None


def disagreed(
    database: Database,
    model_ids: tuple[int, int],
    *,
    by_kind: bool = False,
    after: str = "",
    time_limit_s: float | None = None,
) -> str | None:
    """Return a picture that two models give different labels; None: there is none.

    They come in the order of their contents, which are hashes: that is by chance, and the same each time.

    Args:
        database: where.
        model_ids: of the two.
        by_kind: only different kinds: breeds that are mistaken for each other are left out.
        after: the picture that was asked about last, so that those before it are not gone through again.
        time_limit_s: seconds that it may take; two models that nearly always agree take long.

    Raises:
        QueryTimeoutError: it took longer.

    """
    found = _first(database, _different(model_ids, after, by_kind=by_kind), time_limit_s)
    if found is None and after:
        return _first(database, _different(model_ids, "", by_kind=by_kind), time_limit_s)
    return found


def _smallest(
    groups: FromClause, model_id: int, name: ColumnElement[str], score: ColumnElement[float]
) -> Select[tuple[str]]:
    """Select the content of the smallest score, by way of the smallest one of each group.

    An index is in the order of scores within a label or a kind: so each of these is one look into it, and none is
    needed that is in the order of all scores.
    """
    first = (
        select(outcomes.c.image_id)
        .where(name == groups.c.name, outcomes.c.model_id == model_id, *_open_to_question(outcomes))
        .order_by(score)
        .limit(1)
        .correlate(groups)
        .scalar_subquery()
    )
    firsts = select(first.label("image_id")).select_from(groups).subquery()
    return (
        select(outcomes.c.content)
        .join(firsts, firsts.c.image_id == outcomes.c.image_id)
        .where(outcomes.c.model_id == model_id)
        .order_by(score, outcomes.c.image_id)
        .limit(1)
    )


def _different(model_ids: tuple[int, int], after: str, *, by_kind: bool) -> Select[tuple[str]]:
    one, other = outcomes.alias("one"), outcomes.alias("other")
    differ = one.c.kind != other.c.kind if by_kind else one.c.label_1 != other.c.label_1
    # Postgres has statistics of two columns, takes them for independent, and would expect one row: it would then join
    # all that there is, where a walk along the index finds the first row soon. Of a case, it has none.
    same_bytes = case((other.c.content == one.c.content, 1), else_=0) == 1
    return (
        select(one.c.content)
        .join(other, and_(other.c.image_id == one.c.image_id, same_bytes))
        .where(
            one.c.model_id == model_ids[0],
            other.c.model_id == model_ids[1],
            one.c.content > after,
            differ,
            *_open_to_question(one),
        )
        .order_by(one.c.content)
        .limit(1)
    )


def _open_to_question(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Say that a picture has a label, and that nothing which a person said of it stands, nor was it skipped."""
    spoken_of = (
        select(corrections.c.id)
        .where(
            corrections.c.content == table.c.content,
            or_(corrections.c.ended_at.is_(None), corrections.c.answer == "skip"),
        )
        .exists()
    )
    return table.c.content.is_not(None), table.c.label_1.is_not(None), ~spoken_of


def _first(database: Database, query: Select[tuple[str]], time_limit_s: float | None) -> str | None:
    with database.read(time_limit_s=time_limit_s) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else row.content
