"""Which images have failed, of all runs or of one: counted by kind and by folder, and listed page by page."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select

from storage.folders import below
from storage.tables import images, models, outcomes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from storage.database import Database

#: Rows that are in memory at a time while folders are counted.
_PAGE_ROWS = 5_000


@dataclass(frozen=True, kw_only=True)
class FailureFilter:
    """Which failures are meant; what is None limits nothing."""

    run_id: int | None = None  #: left by this run, and by no later one labelled
    kind: str | None = None
    folder: str | None = None  #: an absolute path: images in it or below
    model: str | None = None  #: its architecture


class FailureSum(NamedTuple):
    """How many images failed for one reason, with the first of them."""

    kind: str
    images: int
    image_id: int
    path: str  #: for people
    error: str  #: what was said of it


class FailedImage(NamedTuple):
    """An image that has no labels of a model, and why."""

    image_id: int
    model_id: int
    path: str  #: for people
    kind: str
    error: str
    model: str  #: its architecture
    run_id: int


def failure_sums(database: Database, chosen: FailureFilter, *, time_limit_s: float | None = None) -> list[FailureSum]:
    """Count failed images by kind, the most frequent first.

    Raises:
        QueryTimeoutError: it took longer than the limit.

    """
    counts = (
        _failed(chosen, outcomes.c.error_kind, func.count().label("images"), func.min(outcomes.c.image_id).label("id"))
        .group_by(outcomes.c.error_kind)
        .subquery()
    )
    query = (
        select(counts.c.error_kind, counts.c.images, counts.c.id, images.c.path, func.max(outcomes.c.error))
        .join(images, images.c.id == counts.c.id)
        .join(outcomes, and_(outcomes.c.image_id == counts.c.id, outcomes.c.error_kind == counts.c.error_kind))
        .group_by(counts.c.error_kind, counts.c.images, counts.c.id, images.c.path)
        .order_by(counts.c.images.desc(), counts.c.error_kind)
    )
    with database.read(time_limit_s=time_limit_s) as connection:
        return [
            FailureSum(kind, int(count), image_id, path, error or "")
            for kind, count, image_id, path, error in connection.execute(query)
        ]


def failing_folders(
    database: Database, chosen: FailureFilter, count: int, *, time_limit_s: float | None = None
) -> list[tuple[str, int]]:
    """Return the folders in which most images failed themselves, not below, and how many did.

    Raises:
        QueryTimeoutError: it took longer than the limit.

    """
    query = _failed(chosen, images.c.path)
    if chosen.folder is None:
        query = _with_images(query)
    found: Counter[str] = Counter()
    with database.read(time_limit_s=time_limit_s) as connection:
        for paths in connection.execution_options(yield_per=_PAGE_ROWS).execute(query).scalars().partitions():
            found.update(map(posixpath.dirname, paths))
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:count]


def failure_page(
    database: Database,
    chosen: FailureFilter,
    count: int,
    after: tuple[int, int] | None = None,
    *,
    time_limit_s: float | None = None,
) -> list[FailedImage]:
    """Return failed images by their ids, and of one image by the models'.

    Args:
        database: where.
        chosen: which.
        count: how many at most.
        after: the ids of the image and of the model with which the page before ended.
        time_limit_s: seconds that it may take.

    Raises:
        QueryTimeoutError: it took longer than the limit.

    """
    image_id, model_id = outcomes.c.image_id, outcomes.c.model_id
    # Sorted from the index of failures: in the order of the ids, SQLite would go through all images to find the failed.
    place = image_id + 0, model_id + 0
    page = _failed(chosen, image_id, model_id).order_by(*place).limit(count)
    if after:
        page = page.where(or_(place[0] > after[0], and_(place[0] == after[0], place[1] > after[1])))
    keys = page.subquery()
    query = (
        select(
            image_id,
            model_id,
            images.c.path,
            outcomes.c.error_kind,
            func.coalesce(outcomes.c.error, ""),
            models.c.architecture,
            outcomes.c.run_id,
        )
        .select_from(keys)
        .join(outcomes, and_(image_id == keys.c.image_id, model_id == keys.c.model_id))
        .join(images, images.c.id == keys.c.image_id)
        .join(models, models.c.id == keys.c.model_id)
        .order_by(image_id, model_id)
    )
    with database.read(time_limit_s=time_limit_s) as connection:
        return [FailedImage(*row) for row in connection.execute(query)]


def _failed(chosen: FailureFilter, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select from the chosen failures, by the index of failures alone: it is small where all goes well."""
    query = select(*columns).where(outcomes.c.error_kind.is_not(None))
    if chosen.kind is not None:
        query = query.where(outcomes.c.error_kind == chosen.kind)
    if chosen.run_id is not None:
        query = query.where(outcomes.c.run_id + 0 == chosen.run_id)
    if chosen.model is not None:
        of_model = select(models.c.id).where(models.c.architecture == chosen.model)
        query = query.where((outcomes.c.model_id + 0).in_(of_model))
    if chosen.folder is not None:
        query = _with_images(query).where(below(chosen.folder))
    return query


def _with_images(query: Select[Any]) -> Select[Any]:
    return query.join_from(outcomes, images, images.c.id == outcomes.c.image_id)
