"""`/review`: one picture after the other, of which a person says whether the model's label is right."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse
from starlette.routing import Route

from common.errors import QueryTimeoutError, UsageError
from report.reviews.answers import Asked, answer
from report.reviews.questions import question_about
from report.run.accuracy import accuracy
from storage.corrections import labelled_with
from storage.reviews import asked_before, open_review, review_answers
from web.page import page_of
from web.review_choice import chosen
from web.review_query import MODES, read_review_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response

    from report.reviews.questions import Question
    from storage.database import Database
    from web.review_choice import Choice
    from web.review_query import ReviewQuery
    from web.state import State

#: Pictures that a new review draws: the accuracy is then known to ± 10 percentage points.
SAMPLE = 50
_MOST_SAMPLED = 10_000
#: What the buttons send, as `report.reviews.answers` reads it.
_REPLIES = {"right": "y", "wrong": "n", "skip": "s"}


async def _page(request: Request) -> Response:
    values = await run_in_threadpool(_values, request.app.state.nightlabel, request.query_params)
    return page_of(request).render("review.html.j2", 400 if values["problem"] else 200, **values)


async def _answer(request: Request) -> Response:
    """Store an answer, and go on; or tell why it was not stored, beside the picture as it is now."""
    state, form = request.app.state.nightlabel, await request.form()
    given = {name: str(value) for name, value in form.items()}
    try:
        return RedirectResponse(await run_in_threadpool(_stored, state, given), 303)
    except UsageError as error:
        values = await run_in_threadpool(_values, state, given)
        return page_of(request).render("review.html.j2", 400, **values | {"problem": str(error)})


async def _start(request: Request) -> Response:
    """Draw a random sample, or go on with the one that is not finished."""
    form = await request.form()
    address = await run_in_threadpool(_drawn, request.app.state.nightlabel, form)
    return RedirectResponse(address, 303)


def _values(state: State, given: Mapping[str, str]) -> dict[str, Any]:
    with state.database() as database:
        query = read_review_query(database, given)
        choice, problem = None, None
        try:
            choice = chosen(database, query)
        except (UsageError, QueryTimeoutError) as error:
            problem = str(error)
        shown = choice and _question(database, query, choice)
        counts = query.mode == MODES[0]
        review_id = choice.review_id if choice else query.review_id if counts else None
        return {
            "query": query,
            "modes": MODES,
            "choice": choice,
            "question": shown,
            "other": shown and _other(database, query, shown),
            "next_picture": choice
            and choice.next_content
            and labelled_with(database, query.model_id, choice.next_content),
            "back": _back(database, query, shown, review_id),
            "accuracy": accuracy(review_answers(database, query.model_id)) if counts else None,
            "sample": SAMPLE,
            "most_sampled": _MOST_SAMPLED,
            "problem": problem,
        }


def _question(database: Database, query: ReviewQuery, choice: Choice) -> Question | None:
    return question_about(database, query.model_id, choice.content, choice.review_id)


def _other(database: Database, query: ReviewQuery, question: Question) -> Any:  # noqa: ANN401 - a picture, or None
    """Return what the second model says of the picture, where two are compared."""
    if query.mode != "disagree" or query.other_id is None:
        return None
    return labelled_with(database, query.other_id, question.picture.content)


def _back(database: Database, query: ReviewQuery, question: Question | None, review_id: int | None) -> str | None:
    """Return the address of the picture that was answered before, if there is one."""
    if query.mode == MODES[0] and review_id is None:
        return None
    content = question.picture.content if question else None
    before = asked_before(database, query.model_id, review_id, content)
    return before and query.address(content=before, review=review_id)


def _stored(state: State, given: Mapping[str, str]) -> str:
    """Store an answer, and return the address of the next question."""
    with state.database() as database:
        query = read_review_query(database, given)
        reply = _REPLIES.get(given.get("answer", ""), f"= {given.get('name', '')}")
        content = query.content or ""
        answer(database, Asked(query.review_id, query.model_id, content, given.get("label", "")), reply)
        return query.address(review=query.review_id, after=content if query.mode == "disagree" else None)


def _drawn(state: State, form: FormData) -> str:
    size = str(form.get("sample", SAMPLE))
    if not (size.isascii() and size.isdigit() and len(size) < 6 and 0 < int(size) <= _MOST_SAMPLED):  # noqa: PLR2004 - digits
        raise UsageError(f"A sample has from 1 to {_MOST_SAMPLED:,} pictures.")
    with state.database() as database:
        query = read_review_query(database, {name: str(value) for name, value in form.items()})
        review = open_review(database, query.model_id, int(size), SystemRandom())
        return query.address(review=review.id)


ROUTES = [
    Route("/review", _page),
    Route("/review", _answer, methods=["POST"]),
    Route("/review/sample", _start, methods=["POST"]),
]
