"""Night: the runs while they go on, their reports afterwards, and a stop in good order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from common.errors import DatabaseError, UsageError
from runner.cancel import cancel
from runner.status import situation_of
from runner.stop import why_not_from_here
from storage import corrections
from storage.runs import get_run
from web.night.chart import chart_of
from web.page import page_of
from web.processes import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from runner.status import Situation
    from storage.database import Database
    from storage.records import Run
    from web.night.situation import Night
    from web.night.watching import Watching
    from web.state import State

#: A report has its scripts within it. It may run them, and reach nothing of ours: its origin is nobody's.
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
)
_EVENTS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would keep them back


async def _page(request: Request) -> Response:
    return page_of(request).render("night.html.j2", **await _values(request))


async def _state(request: Request) -> Response:
    """Return what the script puts in the place of what is there."""
    return page_of(request).render("night_state.html.j2", **await _values(request))


async def _events(request: Request) -> Response:
    """Tell whenever something has changed; what, the page asks then, in its reader's language."""
    watching: Watching = request.app.state.nightlabel.watching
    if watching.is_full:
        raise BusyError

    async def events() -> AsyncIterator[str]:
        yield "retry: 3000\n\n"
        async for is_news in watching.news():
            yield "event: changed\ndata: \n\n" if is_news else ": still here\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers=_EVENTS)


async def _values(request: Request) -> dict[str, Any]:
    night: Night | None = None
    error = None
    try:
        night = await request.app.state.nightlabel.watching.night()
    except DatabaseError as said:
        error = str(said)
    run_id = request.path_params.get("run_id")
    if run_id is not None and night is not None:
        night = await _of_one(request, night, run_id)
    return {"night": night, "error": error, "run_id": run_id, "chart_of": chart_of}


async def _of_one(request: Request, night: Night, run_id: int) -> Night:
    """Return what is known of one run alone."""
    watched = tuple(run for run in night.runs if run.run.id == run_id)
    if not watched:
        one = await request.app.state.nightlabel.watching.one(run_id)
        if one is None:
            raise HTTPException(404)
        watched = (one,)
    return replace(night, runs=watched, ended=())


async def _report(request: Request) -> Response:
    state: State = request.app.state.nightlabel
    page = page_of(request)
    run, newest_word_id = await run_in_threadpool(_asked_run, request)
    try:
        html = await state.reports.report(run, newest_word_id, page.language)
    except TimeoutError:
        return page.render("night_report.html.j2", 202, run=run)
    return HTMLResponse(
        html.encode(errors="backslashreplace"),  # a name may hold what UTF-8 does not
        headers={"Content-Security-Policy": _REPORT_POLICY},
    )


async def _ask_stop(request: Request) -> Response:
    situation = await run_in_threadpool(_situation, request)
    why_not = why_not_from_here(situation.run, situation.now)
    return _question(request, situation, "stop", why_not=why_not)


async def _stop(request: Request) -> Response:
    watching: Watching = request.app.state.nightlabel.watching
    situation = await run_in_threadpool(_situation, request)
    try:
        watching.stopper.stop(situation.run, situation.now)
    except UsageError as error:
        return _question(request, situation, "stop", why_not=str(error), status=409)
    watching.forget()
    return RedirectResponse("/night", 303)


async def _ask_cancel(request: Request) -> Response:
    situation = await run_in_threadpool(_situation, request)
    return _question(request, situation, "cancel", why_not=_why_no_cancel(situation))


async def _cancel(request: Request) -> Response:
    state: State = request.app.state.nightlabel
    situation = await run_in_threadpool(_situation, request)
    if why_not := _why_no_cancel(situation):
        return _question(request, situation, "cancel", why_not=why_not, status=409)
    await run_in_threadpool(cancel, state.settings, situation.run.id)
    state.watching.forget()
    return RedirectResponse("/night", 303)


def _why_no_cancel(situation: Situation) -> str | None:
    run = situation.run
    return f"Run {run.id} is {run.state} already." if run.is_over else None


def _asked_run(request: Request) -> tuple[Run, int | None]:
    with request.app.state.nightlabel.database() as database:
        return _run_in(database, request), corrections.newest_word_id(database)


def _run_in(database: Database, request: Request) -> Run:
    run = get_run(database, request.path_params["run_id"])
    if run is None:
        raise HTTPException(404)
    return run


def _situation(request: Request) -> Situation:
    state: State = request.app.state.nightlabel
    with state.database() as database:
        return situation_of(state.settings, database, _run_in(database, request), None, database.clock())


def _question(
    request: Request, situation: Situation, action: str, *, why_not: str | None, status: int = 200
) -> Response:
    return page_of(request).render(
        "night_question.html.j2", status, situation=situation, action=action, why_not=why_not
    )


ROUTES = [
    Route("/night", _page),
    Route("/night/state", _state),
    Route("/night/events", _events),
    Route("/night/{run_id:row}", _page),
    Route("/night/{run_id:row}/state", _state),
    Route("/night/{run_id:row}/report", _report),
    Route("/night/{run_id:row}/stop", _ask_stop, methods=["GET"]),
    Route("/night/{run_id:row}/stop", _stop, methods=["POST"]),
    Route("/night/{run_id:row}/cancel", _ask_cancel, methods=["GET"]),
    Route("/night/{run_id:row}/cancel", _cancel, methods=["POST"]),
]
