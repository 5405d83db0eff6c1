"""Counts of a whole archive by what indexes have of it: of a million images, in a tenth of a second each."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from storage.gallery.conditions import has_words, indexed_path, nanoseconds
from storage.gallery.counts import child_of, common_folder, instant_of
from storage.gallery.rows import standing_words, what_stands
from storage.records import shown
from storage.tables import FAILED, OK, images, outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, Connection

    from storage.gallery.conditions import Circumstances

#: Folders, days or years that are told apart, each with two queries. Of more, none is counted.
_MOST_STEPS = 200


class CountsOfAll(NamedTuple):
    """Counts where one model labelled all, by the names of facets. None: too much would have to be told apart."""

    connection: Connection
    known: Circumstances
    folder: str | None  #: of which the folders are counted; None: of the deepest that holds all images
    images: int  #: how many have an outcome

    def kind(self) -> Counter[str | None]:
        found = self._by(outcomes.c.kind)
        if self.known.has_corrections:
            query = select(outcomes.c.content, outcomes.c.label_1, outcomes.c.kind).where(has_words())
            corrected = self.connection.execute(query).all()
            words = standing_words(self.connection, {row.content for row in corrected}, self.known)
            for row in corrected:
                found[row.kind] -= 1
                found[what_stands(row.label_1, row.kind, words[row.content])[1]] += 1
        return found

    def model(self) -> Counter[int]:
        return Counter(dict.fromkeys(self.known.model_ids, self.images))

    def run(self) -> Counter[int]:
        run_ids = self.connection.execute(select(runs.c.id)).scalars().all()
        if len(run_ids) > _MOST_STEPS:
            return self._by(outcomes.c.run_id)
        return Counter({run_id: self._count(outcomes.c.run_id == run_id) for run_id in run_ids})

    def status(self) -> Counter[str]:
        failed = self._count(outcomes.c.error_kind.is_not(None))
        return Counter({OK: self.images - failed, FAILED: failed})

    def error_kind(self) -> Counter[str]:
        return self._by(outcomes.c.error_kind, outcomes.c.error_kind.is_not(None))

    def warning(self) -> Counter[bool]:
        warned = self._count(outcomes.c.warning.is_not(None))
        return Counter({True: warned, False: self.images - warned})

    def corrected(self) -> Counter[bool]:
        corrected = self._count(has_words()) if self.known.has_corrections else 0
        return Counter({True: corrected, False: self.images - corrected})

    def modified(self) -> Counter[str] | None:
        """Count by the year of the file's mtime, by the clock of this host."""
        if not self._all_have_outcomes():
            return None
        found: Counter[str] = Counter()
        place = self._next(images.c.mtime_ns, -(2**63))
        while place is not None:
            year = instant_of(place).astimezone().year
            after = nanoseconds(datetime(year + 1, 1, 1).astimezone())
            found[f"{year:04}"] = self._count_images(images.c.mtime_ns >= place, images.c.mtime_ns < after)
            place = self._next(images.c.mtime_ns, after)
        return found

    def labelled(self) -> Counter[str] | None:
        """Count by the day on which images were labelled, by the clock of this host."""
        found: Counter[str] = Counter()
        at = outcomes.c.labelled_at
        newest = self.connection.execute(select(func.max(at))).scalar_one()
        while newest is not None:
            if len(found) == _MOST_STEPS:
                return None
            local = newest.astimezone()
            day = datetime(local.year, local.month, local.day).astimezone()
            found[f"{day:%Y-%m-%d}"] = self._count(at >= day, at <= newest)
            newest = self.connection.execute(select(func.max(at)).where(at < day)).scalar_one()
        return found

    def folders(self) -> Counter[str] | None:
        """Count by the folders that lie in one; None, too, where an image lies among them."""
        if not self._all_have_outcomes():
            return None
        path = indexed_path(self.known)
        top = self._top(path) if self.folder is None else shown(self.folder)
        start = top.rstrip("/") + "/"
        found: Counter[str] = Counter()
        place = self._next(path, start)
        while place is not None and place.startswith(start):
            folder = child_of(place, top)
            if len(found) == _MOST_STEPS or folder is None:
                return None
            after = folder + "0"  # which follows the slash, as a character
            found[folder] = self._count_images(path >= folder + "/", path < after)
            place = self._next(path, after)
        return found

    def _top(self, path: ColumnElement[str]) -> str:
        ends = (self.connection.execute(select(end(path)).select_from(images)).scalar() for end in (func.min, func.max))
        return common_folder([end for end in ends if end is not None])

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(outcomes).where(*conditions)
        return int(self.connection.execute(query).scalar_one())

    def _count_images(self, *conditions: ColumnElement[bool]) -> int:
        return int(self.connection.execute(select(func.count()).select_from(images).where(*conditions)).scalar_one())

    def _by(self, column: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Counter[Any]:
        query = select(column, func.count()).select_from(outcomes).where(*conditions).group_by(column)
        found: Counter[Any] = Counter()
        for value, count in self.connection.execute(query):
            found[value] = count
        return found

    def _next(self, column: ColumnElement[Any], value: Any) -> Any:  # noqa: ANN401 - of the column
        """Return the smallest value from one on; None: there is none."""
        found = select(column).select_from(images).where(column >= value).order_by(column).limit(1)
        return self.connection.execute(found).scalar()

    def _all_have_outcomes(self) -> bool:
        """Tell whether images can be counted in place of their outcomes, of which each has one at most."""
        return self._count_images() == self.images


#: By the facet's name: each is asked for with no filter but the facet's own.
BY_NAME: Mapping[str, Callable[[CountsOfAll], Counter[Any] | None]] = {
    "kind": CountsOfAll.kind,
    "model": CountsOfAll.model,
    "run": CountsOfAll.run,
    "status": CountsOfAll.status,
    "error_kind": CountsOfAll.error_kind,
    "warning": CountsOfAll.warning,
    "corrected": CountsOfAll.corrected,
    "modified": CountsOfAll.modified,
    "labelled": CountsOfAll.labelled,
    "folder": CountsOfAll.folders,
}
