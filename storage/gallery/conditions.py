"""What each filter of the gallery says in SQL, of a row of `outcomes` that is joined with its image.

On SQLite, which keeps no statistics, none of this is to choose an index: where a query begins is chosen by how few
images a filter leaves (`narrowing`), and else it is the order in which images come.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal, not_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from storage.correction_tables import corrections
from storage.path_keys import PATH_HEAD_CHARACTERS, path_head
from storage.records import shown
from storage.said_of_things import denies_kind, denies_label, labels_of
from storage.tables import FAILED, OK, image_things, images, models, outcomes
from storage.vocabulary_tables import class_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from storage.gallery.filters import Filters
    from vocabulary.names import Thing


class Circumstances(NamedTuple):
    """What need not be asked of each row."""

    is_sqlite: bool
    model_ids: tuple[int, ...]  #: of one alone, an image has one outcome at most
    has_corrections: bool  #: that stand


def circumstances(connection: Connection) -> Circumstances:
    """Look what of the database makes a query simpler."""
    standing = select(corrections.c.id).where(corrections.c.ended_at.is_(None)).limit(1)
    return Circumstances(
        is_sqlite=connection.dialect.name == "sqlite",
        model_ids=tuple(connection.execute(select(models.c.id).order_by(models.c.id)).scalars()),
        has_corrections=connection.execute(standing).first() is not None,
    )


class _Unindexed(FunctionElement[Any]):
    """A column by which SQLite looks for no index. https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_"""

    inherit_cache = True


@compiles(_Unindexed)
def _as_it_is(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - of SQLAlchemy
    return str(compiler.process(element.clauses, **options))


@compiles(_Unindexed, "sqlite")
def _with_plus(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - of SQLAlchemy
    return f"+{compiler.process(element.clauses, **options)}"


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the same value, which chooses no index on SQLite."""
    element = _Unindexed(column)
    element.type = column.type
    return element


def conditions(filters: Filters, known: Circumstances) -> list[ColumnElement[bool]]:
    """Return what must hold of an outcome, and of its image where `needs_images` says so."""
    return [*_chosen(filters, known), *_of_outcome(filters, known), *_of_image(filters, known)]


def needs_images(filters: Filters) -> bool:
    """Tell whether the conditions speak of an image's own columns."""
    return any(given is not None for given in (filters.folder, filters.modified_from, filters.modified_until))


def _chosen(filters: Filters, known: Circumstances) -> Iterator[ColumnElement[bool]]:
    """Choose one outcome per image: that of the filtered run or model, or else the newest one."""
    if filters.run_id is not None:
        yield unindexed(outcomes.c.run_id) == filters.run_id
    if filters.model_id is not None:
        yield unindexed(outcomes.c.model_id) == filters.model_id
    if filters.run_id is None and filters.model_id is None and len(known.model_ids) > 1:
        later = outcomes.alias("later")
        is_later = or_(
            later.c.labelled_at > outcomes.c.labelled_at,
            and_(later.c.labelled_at == outcomes.c.labelled_at, later.c.model_id > outcomes.c.model_id),
        )
        # By the primary key: an image has as many as there are models.
        yield (
            ~select(later.c.image_id)
            .where(later.c.image_id == outcomes.c.image_id, is_later)
            .correlate(outcomes)
            .exists()
        )


def _of_outcome(filters: Filters, known: Circumstances) -> Iterator[ColumnElement[bool]]:
    if filters.things:
        yield shows(filters.things, filters.min_score, known)
    elif filters.min_score is not None:
        is_sure = unindexed(outcomes.c.score_1) >= filters.min_score
        yield or_(is_sure, is_said(known)) if known.has_corrections else is_sure
    if filters.kind is not None:
        yield is_called(filters.kind, known)
    if filters.labelled_from is not None:
        yield unindexed(outcomes.c.labelled_at) >= filters.labelled_from
    if filters.labelled_until is not None:
        yield unindexed(outcomes.c.labelled_at) < filters.labelled_until
    if filters.status is not None:
        yield unindexed(outcomes.c.status) == {"ok": OK, "failed": FAILED}[filters.status]
    if filters.error_kind is not None:
        yield unindexed(outcomes.c.error_kind) == filters.error_kind
    if filters.orientation is not None:
        yield orientation() == filters.orientation
    yield from _of_words(filters)


def _of_words(filters: Filters) -> Iterator[ColumnElement[bool]]:
    """Yield what must hold of warnings and corrections."""
    if filters.has_warning is not None:
        warning = unindexed(outcomes.c.warning)
        yield warning.is_not(None) if filters.has_warning else warning.is_(None)
    if filters.corrected is not None:
        yield has_words() if filters.corrected else not_(has_words())


def _of_image(filters: Filters, known: Circumstances) -> Iterator[ColumnElement[bool]]:
    mtime_ns = unindexed(images.c.mtime_ns)
    if filters.folder is not None:
        yield below(filters.folder, unindexed(indexed_path(known)))
    if filters.modified_from is not None:
        yield mtime_ns >= nanoseconds(filters.modified_from)
    if filters.modified_until is not None:
        yield mtime_ns < nanoseconds(filters.modified_until)


def indexed_path(known: Circumstances) -> ColumnElement[str]:
    """Return what finds a path in an index, and sorts as paths do but for the end of long ones."""
    return images.c.path if known.is_sqlite else path_head(images)


def below(folder: str, head: ColumnElement[str]) -> ColumnElement[bool]:
    """Say that a path, of which this is the head, lies below a folder."""
    prefix = shown(folder).rstrip("/") + "/"
    within = prefix[:PATH_HEAD_CHARACTERS]
    # LIKE ignores case on SQLite, and takes % and _ for more. What follows `/`, as a character, is `0`.
    starts = and_(head >= within, head < within[:-1] + chr(ord(within[-1]) + 1))
    return starts if within == prefix else and_(starts, func.substr(images.c.path, 1, len(prefix)) == prefix)


def nanoseconds(instant: datetime) -> int:
    """Return an instant as `mtime_ns` counts, exactly, as far as 64 bits reach."""
    since = instant.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    exact = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    return max(-(2**63), min(exact, 2**63 - 1))


def orientation() -> ColumnElement[str]:
    """Return which way a picture lies: `landscape`, `portrait`, `square` or `unknown`."""
    width, height = outcomes.c.width, outcomes.c.height
    return case(
        (or_(width.is_(None), height.is_(None)), "unknown"),
        (width > height, "landscape"),
        (width < height, "portrait"),
        else_="square",
    )


def shows(things: Sequence[Thing], min_score: float | None, known: Circumstances) -> ColumnElement[bool]:
    """Say that an image shows one of these things: people say so, or else the model does."""
    least = 0.0 if min_score is None else min_score
    by_model = or_(*(score_of(thing, known) >= least for thing in things))
    if not known.has_corrections:
        return by_model
    return or_(_has_content(said_to_show(things)) & outcomes.c.label_1.is_not(None), not_said(known) & by_model)


def is_called(kind: str, known: Circumstances) -> ColumnElement[bool]:
    """Say that this is the kind of an image: people's, or else the model's, where they do not deny it."""
    by_model = unindexed(outcomes.c.kind) == kind
    if not known.has_corrections:
        return by_model
    of_kind = select(class_kinds.c.label).where(class_kinds.c.kind == kind)
    said = _words().where(corrections.c.label.in_(of_kind))
    other = _words().where(or_(corrections.c.label.is_not(None), denies_kind(kind)))
    return or_(_has_content(said) & outcomes.c.label_1.is_not(None), not_(_has_content(other)) & by_model)


def score_of(thing: Thing, known: Circumstances) -> ColumnElement[float | None]:
    """Return the score that the model gives a thing; NULL: it is not among the labels, or people deny it."""
    if thing.is_kind:
        shown_things = image_things.alias("shown_things")  # the query itself may be of things
        same = shown_things.c.image_id == outcomes.c.image_id, shown_things.c.model_id == outcomes.c.model_id
        by_key = shown_things.c.thing == thing.key
        by_model: Any = select(shown_things.c.score).where(*same, by_key).correlate(outcomes).scalar_subquery()
    else:
        ranks = (1, 2, 3)
        by_model = case(*((outcomes.c[f"label_{rank}"] == thing.key, outcomes.c[f"score_{rank}"]) for rank in ranks))
    if not known.has_corrections:
        return by_model  # type: ignore[no-any-return]
    return case((not_(_has_content(said_not_to_show(thing))), by_model))


def stands_for(thing: Thing, known: Circumstances) -> ColumnElement[bool]:
    """Say that what the model says of a thing stands: nobody said what the image shows, or that it is not this."""
    if not known.has_corrections:
        return literal(value=True)
    return and_(not_said(known), not_(_has_content(said_not_to_show(thing))))


def said_to_show(things: Sequence[Thing]) -> Select[Any]:
    """Select the contents of which people said that they show one of these things."""
    labels = [thing.key for thing in things if not thing.is_kind]
    of_kinds = labels_of([thing.key for thing in things if thing.is_kind])
    return _words().where(or_(corrections.c.label.in_(labels), corrections.c.label.in_(of_kinds)))


def said_not_to_show(thing: Thing) -> Select[Any]:
    """Select the contents of which people said that they do not show a thing, or what it is in turn."""
    return _words().where(denies_kind(thing.key) if thing.is_kind else denies_label(literal(thing.key)))


def has_words() -> ColumnElement[bool]:
    """Say that people said something of an image that stands."""
    return _has_content(_words())


def is_said(known: Circumstances) -> ColumnElement[bool]:
    """Say that people said what an image shows."""
    if not known.has_corrections:
        return literal(value=False)
    return _has_content(_words().where(corrections.c.label.is_not(None)))


def not_said(known: Circumstances) -> ColumnElement[bool]:
    """Say that nobody said what an image shows."""
    return not_(is_said(known))


def _words() -> Select[Any]:
    return select(corrections.c.content).where(corrections.c.ended_at.is_(None))


def _has_content(contents: Select[Any]) -> ColumnElement[bool]:
    """Say that an outcome's file is among these; one without a hash is among none."""
    content = unindexed(outcomes.c.content)
    return and_(content.is_not(None), content.in_(contents))
