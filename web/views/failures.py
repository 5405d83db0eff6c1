"""`/failures`: which images have no labels, why, and what to do; and another try, after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse
from starlette.routing import Route

from archive.failures import EXPLANATIONS, FailureKind
from common.errors import QueryTimeoutError, UsageError
from runner.status import is_followed
from storage.failures import FailureFilter, failing_folders, failure_page, failure_sums
from storage.runs import unfinished_runs
from web.failure_query import read_failure_query
from web.page import page_of
from web.values import given_values, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from web.state import State

T = TypeVar("T")

#: Seconds that each part of the view may take. Without the folders, it still says why images failed.
_EACH_S = 2.0
#: Files of a page, and folders.
_FILES, _FOLDERS = 50, 10


async def _failures(request: Request) -> Response:
    return page_of(request).render("failures.html.j2", **await run_in_threadpool(_values, request))


def _values(request: Request) -> dict[str, Any]:
    state: State = request.app.state.nightlabel
    query = read_failure_query(request.query_params)
    chosen = query.chosen
    with state.database() as database:
        sums = _in_time(lambda: failure_sums(database, chosen, time_limit_s=_EACH_S))
        folders = _in_time(lambda: failing_folders(database, chosen, _FOLDERS, time_limit_s=_EACH_S)) if sums else None
        # One more than a page has: it tells whether there is another.
        files = _in_time(lambda: failure_page(database, chosen, _FILES + 1, query.after, time_limit_s=_EACH_S))
    return {
        "query": query,
        "sums": sums,
        "folders": folders,
        "files": files and files[:_FILES],
        "next": f"{files[_FILES - 1].image_id}-{files[_FILES - 1].model_id}" if files and files[_FILES:] else None,
        "explanations": EXPLANATIONS,
        "most_folders": _FOLDERS,
        "retry": state.retry,
    }


def _in_time(find: Callable[[], T]) -> T | None:
    """Return what is found, or None if that takes too long."""
    try:
        return find()
    except QueryTimeoutError:
        return None


async def _ask(request: Request) -> Response:
    """Ask whether to try again: how many images, and what will happen."""
    kind = _kind(request.query_params)
    values = await run_in_threadpool(_question_values, request.app.state.nightlabel, kind)
    return page_of(request).render("failures_retry.html.j2", kind=kind, problem=None, **values)


async def _retry(request: Request) -> Response:
    """Begin the other try, which Night shows."""
    state: State = request.app.state.nightlabel
    kind = _kind({name: str(value) for name, value in (await request.form()).items()})
    try:
        await run_in_threadpool(state.retry.start, [kind] if kind else [])
    except UsageError as error:  # somebody was quicker
        page = page_of(request)
        values = await run_in_threadpool(_question_values, state, kind)
        return page.render("failures_retry.html.j2", 409, kind=kind, problem=page.translate(str(error)), **values)
    return RedirectResponse("/night", 303)


def _kind(given: Mapping[str, str]) -> FailureKind | None:
    """Return the kind of failures that are meant; None: all.

    Raises:
        UsageError: there is no such kind.

    """
    kind: FailureKind | None = one_of(given_values(given, ("kind",)), "kind", tuple(FailureKind))
    return kind


def _question_values(state: State, kind: FailureKind | None) -> dict[str, Any]:
    with state.database() as database:
        sums = _in_time(lambda: failure_sums(database, FailureFilter(kind=kind), time_limit_s=_EACH_S))
        now = database.clock()
        followed = [run.id for run in unfinished_runs(database) if is_followed(run, now)]
    return {
        "images": None if sums is None else sum(one.images for one in sums),
        "followed": followed,
        "is_elsewhere": state.settings.broker_url is not None,
        "retry": state.retry,
    }


ROUTES = [
    Route("/failures", _failures),
    Route("/failures/retry", _ask),
    Route("/failures/retry", _retry, methods=["POST"]),
]
