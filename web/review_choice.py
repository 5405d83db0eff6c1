"""Which picture a review shows: the one that its address names, or the next one of its way of choosing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from common.errors import UsageError
from report.reviews.questions import open_places
from storage.review_choices import disagreed, least_sure, least_sure_of
from storage.reviews import is_asked, unfinished_review
from storage.things import things_in

if TYPE_CHECKING:
    from storage.database import Database
    from web.review_query import ReviewQuery

#: To look for two models' next disagreement: a million pictures on which they agree take 2 to 3 s.
_TIME_LIMIT_S = 10.0


class Choice(NamedTuple):
    """A picture that a person is asked about."""

    content: str  #: as in `outcomes.content`
    review_id: int | None = None  #: the random sample that it is of
    number: int | None = None  #: which picture of the sample, from 1
    pictures: int | None = None  #: of the sample
    open: int | None = None  #: of these, without an answer
    next_content: str | None = None  #: the one after it, which a browser may load already


def chosen(database: Database, query: ReviewQuery) -> Choice | None:
    """Return the picture to ask about; None: there is none, or nobody has said yet of what.

    Raises:
        UsageError: nothing is called so, or there is one model only; or the sample asks nothing of the picture.
        QueryTimeoutError: two models agree nearly everywhere.

    """
    if query.mode == "sample":
        return _of_sample(database, query)
    content = query.content or _next(database, query)
    return Choice(content) if content else None


def _of_sample(database: Database, query: ReviewQuery) -> Choice | None:
    review = unfinished_review(database, query.model_id)
    if query.content and query.review_id is not None:
        if not is_asked(database, query.review_id, query.model_id, query.content):
            raise UsageError(f"Review {query.review_id} does not ask about this picture.")
        if review is None or review.id != query.review_id:
            return Choice(query.content, query.review_id)
    if review is None:
        return None
    places = open_places(review)
    if not places:
        return None
    place = review.contents.index(query.content) if query.content in review.contents else places[0]
    further = [one for one in places if one != place]
    return Choice(
        review.contents[place],
        review.id,
        place + 1,
        len(review.contents),
        len(places),
        review.contents[further[0]] if further else None,
    )


def _next(database: Database, query: ReviewQuery) -> str | None:
    if query.mode == "least-sure":
        return least_sure(database, query.model_id, time_limit_s=_TIME_LIMIT_S)
    if query.mode == "thing":
        if not query.thing:
            return None
        return least_sure_of(database, query.model_id, things_in(database, query.thing), time_limit_s=_TIME_LIMIT_S)
    if query.other_id is None:
        raise UsageError("Only one model has labelled this archive: nightlabel run --model NAME labels with another.")
    return disagreed(
        database,
        (query.model_id, query.other_id),
        by_kind=query.by_kind,
        after=query.after,
        time_limit_s=_TIME_LIMIT_S,
    )
