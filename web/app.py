"""The application: which views there are, and what stands before them."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from common.errors import DatabaseError, NightlabelError, UsageError
from web import static_files
from web.page import page_of
from web.processes import BusyError
from web.security.body_limit import BodyLimit
from web.security.guard import Guard
from web.security.headers import SecurityHeaders
from web.security.hosts import AllowedHosts
from web.views import (
    classify,
    failures,
    gallery,
    health,
    images,
    metrics,
    night,
    picture,
    review,
    sql,
    thumbnails,
    try_it,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from web.state import State

logger = logging.getLogger(__name__)

#: Bytes of a form: a query, a name, an answer.
_FORM_BYTES = 64_000
#: Seconds in which a request must have come, uploads too.
_BODY_S = 120.0
#: Where pictures are sent to.
_UPLOADS = ("/try", "/api/classify")


def make_app(state: State, *, warms_up: bool = False) -> Starlette:
    """Return the application on what its views share.

    Args:
        state: what they share.
        warms_up: whether the model is loaded when the server starts, and not when somebody asks for it.

    """
    settings = state.settings

    def max_bytes(path: str) -> int:
        return settings.web_upload_mb * 1_000_000 if path in _UPLOADS else _FORM_BYTES

    hosts = AllowedHosts(settings.web_host, settings.web_allowed_hosts)
    app = Starlette(
        routes=[
            Route("/", _start),
            *failures.ROUTES,
            *gallery.ROUTES,
            *health.ROUTES,
            *images.ROUTES,
            *metrics.ROUTES,
            *night.ROUTES,
            *picture.ROUTES,
            *try_it.ROUTES,
            *classify.ROUTES,
            *review.ROUTES,
            *sql.ROUTES,
            *static_files.ROUTES,
            *thumbnails.ROUTES,
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Guard, hosts=hosts, token=settings.web_token),
            Middleware(BodyLimit, max_bytes=max_bytes, max_seconds=_BODY_S),
            # Pictures are as small as they get: those of other formats than browsers show, too.
            Middleware(
                GZipMiddleware,
                compresslevel=5,
                exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/*", "application/octet-stream"),
            ),
        ],
        exception_handlers={
            BusyError: _busy,
            NightlabelError: _expected_error,
            HTTPException: _http_error,
            Exception: _unexpected_error,
        },
        lifespan=partial(_lifespan, warms_up=warms_up),
    )
    app.state.nightlabel = state
    return app


@asynccontextmanager
async def _lifespan(app: Starlette, *, warms_up: bool) -> AsyncIterator[None]:
    if warms_up:
        app.state.nightlabel.model.warm_up()
    yield
    await run_in_threadpool(app.state.nightlabel.close)


def _start(request: Request) -> Response:
    """Go where most people want to: to the pictures, or, before there are any, to try the model."""
    try:
        with request.app.state.nightlabel.database():
            return RedirectResponse("/gallery", 303)
    except DatabaseError:
        return RedirectResponse("/try", 303)


def _expected_error(request: Request, error: Exception) -> Response:
    status = 400 if isinstance(error, UsageError) else 503
    return error_answer(request, status, str(error))


def _busy(request: Request, error: Exception) -> Response:
    answer = error_answer(request, 503, str(error))
    answer.headers["Retry-After"] = "1"
    return answer


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_answer(request, error.status_code, error.detail, error.headers)


def _unexpected_error(request: Request, error: Exception) -> Response:
    logger.error("%s failed", request.url.path, exc_info=error)
    return error_answer(request, 500, "Something went wrong that nobody foresaw; the server's log has the details.")


def error_answer(request: Request, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error for people, or, below `/api/`, for programs."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": sentence}, status, headers)
    page = page_of(request)
    return page.render("error.html.j2", status, headers, sentence=page.translate(sentence))
