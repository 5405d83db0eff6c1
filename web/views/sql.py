"""`/sql`: a box for one query, which may read and nothing else; its answer as a table, and as a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from common.errors import DatabaseError, UsageError
from export.writers import write_csv
from storage.documented_queries import DOCUMENTED_QUERIES
from web.page import page_of
from web.processes import BusyError
from web.queries import TIME_LIMIT_S
from web.spreadsheet import as_text

if TYPE_CHECKING:
    from starlette.requests import Request

    from storage.answered import Answered
    from web.state import State

#: Of a table that a browser shows at once, and of a file.
PAGE_ROWS, FILE_ROWS = 500, 100_000
_PAGE_BYTES, _FILE_BYTES = 2_000_000, 50_000_000
#: A query of so many characters is part of the page's address, so that it can be kept and sent to others.
_MOST_IN_ADDRESS = 4_000


async def _page(request: Request) -> Response:
    """Answer with the box, and with what the query in the address comes to."""
    return await _answered(request, request.query_params.get("q", ""))


async def _ask(request: Request) -> Response:
    """Ask what the box holds: by the page's address, where it is not too long for one."""
    sql = str((await request.form()).get("q", ""))
    if len(sql) <= _MOST_IN_ADDRESS:
        return RedirectResponse(f"/sql?{urlencode({'q': sql}, errors='surrogatepass')}", 303)
    return await _answered(request, sql)


async def _answered(request: Request, sql: str) -> Response:
    answered, problem, status = None, None, 200
    if sql.strip():
        try:
            answered = await run_in_threadpool(_said, request.app.state.nightlabel, sql, PAGE_ROWS, _PAGE_BYTES)
        except (UsageError, DatabaseError, BusyError) as error:
            problem, status = str(error), 400 if isinstance(error, UsageError) else 503
    return page_of(request).render(
        "sql.html.j2",
        status,
        sql=sql,
        answered=answered,
        problem=problem,
        topics=DOCUMENTED_QUERIES,
        time_limit_s=TIME_LIMIT_S,
        most_rows=PAGE_ROWS,
        is_long=len(sql) > _MOST_IN_ADDRESS,
    )


async def _file(request: Request) -> Response:
    """Answer with a query's rows as CSV; its name says so where they are not all."""
    sent = await request.form() if request.method == "POST" else request.query_params
    answered = await run_in_threadpool(
        _said, request.app.state.nightlabel, str(sent.get("q", "")), FILE_ROWS, _FILE_BYTES
    )
    part = f"-first-{len(answered.rows)}-rows" if answered.is_cut else ""
    file = io.BytesIO()
    rows = [[as_text(value) for value in row] for row in answered.rows]
    await run_in_threadpool(write_csv, answered.columns, [rows], file)
    headers = {"Content-Disposition": f'attachment; filename="nightlabel-query{part}.csv"'}
    return Response(file.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def _said(state: State, sql: str, max_rows: int, max_bytes: int) -> Answered:
    with state.database() as database:
        return state.queries.ask(database, sql, max_rows=max_rows, max_bytes=max_bytes)


ROUTES = [
    Route("/sql", _page),
    Route("/sql", _ask, methods=["POST"]),
    Route("/sql.csv", _file, methods=["GET", "POST"]),
]
