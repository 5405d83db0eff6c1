"""What a review's address says: whose labels, which pictures, and which of them is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from common.errors import UsageError
from storage.gallery.models import labelling_models
from storage.reviews import reviewed_run
from web.values import row_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.database import Database

#: How pictures are chosen: by chance; the smallest scores first; the same of one thing; where two models disagree.
MODES = ("sample", "least-sure", "thing", "disagree")


@dataclass(frozen=True, kw_only=True)
class ReviewQuery:
    """How a person reviews."""

    mode: str  #: one of `MODES`
    model_id: int
    models: Mapping[int, str]  #: what each model is called
    other_id: int | None  #: of `disagree`: the second model; None: there is only one
    by_kind: bool  #: of `disagree`: only different kinds
    thing: str  #: of `thing`: its name, as it was typed; may be empty
    review_id: int | None  #: of `sample`: the review that was answered last
    content: str | None  #: the picture that is shown again; None: the next one
    after: str  #: of `disagree`: the picture that was answered last

    def address(self, **values: object) -> str:
        """Return the address of this review with other values; those that are None or empty are left out.

        What says where in the review one is does not stay, unless it is among the values.
        """
        own = {
            "mode": self.mode,
            "model": self.model_id,
            "other": self.other_id if self.mode == "disagree" else None,
            "by_kind": "1" if self.by_kind and self.mode == "disagree" else None,
            "thing": self.thing if self.mode == "thing" else None,
        }
        given = {name: value for name, value in (own | values).items() if value not in (None, "")}
        return f"/review?{urlencode(given)}"


def read_review_query(database: Database, given: Mapping[str, str]) -> ReviewQuery:
    """Return what an address or a form says.

    Raises:
        UsageError: it names what there is not.
        DatabaseError: nothing was labelled yet.

    """
    mode, models = given.get("mode") or MODES[0], labelling_models(database)
    if mode not in MODES:
        raise UsageError(f"There is no way of reviewing called {mode!r}: it is one of {', '.join(MODES)}.")
    model_id = _id(given.get("model")) or reviewed_run(database).model_id
    others = [number for number in models if number != model_id]
    other_id = _id(given.get("other")) or (others[-1] if others else None)
    if model_id not in models or other_id not in (None, *others):
        raise UsageError("There is no such model in this database, or it is the same one twice.")
    return ReviewQuery(
        mode=mode,
        model_id=model_id,
        models=models,
        other_id=other_id,
        by_kind=given.get("by_kind") == "1",
        thing=given.get("thing", "").strip(),
        review_id=_id(given.get("review")),
        content=given.get("content") or None,
        after=given.get("after", ""),
    )


def _id(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return row_id(text)
    except ValueError:
        raise UsageError(f"{text!r} is the number of nothing here.") from None
