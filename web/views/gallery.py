"""`/gallery`: the archive as pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from storage.gallery.models import labelling_models
from storage.gallery.paging import page, selection
from storage.gallery.suggestions import suggestions
from web.gallery.downloads import FORMATS
from web.gallery.query import SORTS, dates_of, read_cursor, read_query
from web.page import page_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from storage.gallery.rows import GalleryImage
    from web.gallery.query import Query
    from web.state import State

#: Characters of a name that is typed.
_MOST_TYPED = 100


async def _gallery(request: Request) -> Response:
    """Answer with a page of pictures; its counts are there where a script cannot ask for them later."""
    values = await run_in_threadpool(_page_values, request)
    return page_of(request).render("gallery.html.j2", **values)


async def _tiles(request: Request) -> Response:
    """Answer with the pictures alone, and the link to further ones."""
    values = await run_in_threadpool(_page_values, request)
    return page_of(request).render("gallery_tiles.html.j2", **values)


async def _counts(request: Request) -> Response:
    return page_of(request).render("gallery_counts.html.j2", **await run_in_threadpool(_count_values, request))


async def _suggestions(request: Request) -> Response:
    def found(state: State) -> list[dict[str, Any]]:
        with state.database() as database:
            typed = request.query_params.get("q", "")[:_MOST_TYPED]
            return [{"name": one.matched, "images": one.images} for one in suggestions(database, typed)]

    return JSONResponse(await run_in_threadpool(found, request.app.state.nightlabel))


async def _download(request: Request) -> Response:
    """Answer with all of the selection, in the gallery's order."""
    ending = request.path_params["ending"]
    if ending not in FORMATS:
        raise HTTPException(404, "A selection is downloaded as txt, csv or zip.")
    make, media_type = FORMATS[ending]
    state: State = request.app.state.nightlabel
    query = await run_in_threadpool(_query, request)
    if query.unknown:
        raise HTTPException(400, query.unknown)

    def pages() -> Iterator[list[GalleryImage]]:
        with state.database() as database:
            yield from selection(database, query.filters, query.sort)

    name = f"nightlabel-{datetime.now(UTC).astimezone():%Y-%m-%d}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(iterate_in_threadpool(make(pages())), headers=headers, media_type=media_type)


def _query(request: Request) -> Query:
    with request.app.state.nightlabel.database() as database:
        return read_query(database, request.query_params)


def _page_values(request: Request) -> dict[str, Any]:
    state: State = request.app.state.nightlabel
    with state.database() as database:
        query = read_query(database, request.query_params)
        found = None
        if not query.unknown:
            found = page(database, query.filters, query.sort, read_cursor(request.query_params))
        counts = state.counted.counts(database, query.filters) if "counts" in request.query_params else None
        models = labelling_models(database)
    return {"query": query, "found": found, "sorts": SORTS, "counts": counts, "models": models, "dates_of": dates_of}


def _count_values(request: Request) -> dict[str, Any]:
    state: State = request.app.state.nightlabel
    with state.database() as database:
        query = read_query(database, request.query_params)
        at_leisure = "leisure" in request.query_params
        counts = None if query.unknown else state.counted.counts(database, query.filters, at_leisure=at_leisure)
        models = labelling_models(database)
    return {"query": query, "counts": counts, "models": models, "dates_of": dates_of}


ROUTES = [
    Route("/gallery", _gallery),
    Route("/gallery/tiles", _tiles),
    Route("/gallery/counts", _counts),
    Route("/gallery/suggestions", _suggestions),
    Route("/gallery/selection.{ending}", _download),
]
