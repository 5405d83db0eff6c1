"""`/images/ID/`: one image, what models and people say of it, and a form to say more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from common.errors import QueryTimeoutError, UsageError
from storage import corrections
from storage.class_names import class_called, denials
from storage.gallery.paging import Neighbours, neighbours
from storage.gallery.picture import read_picture
from web.gallery.query import read_query
from web.page import page_of

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response

    from storage.corrections import Word
    from storage.database import Database
    from storage.gallery.picture import Picture
    from web.state import State

_NONE = Neighbours(None, None)


async def _picture(request: Request) -> Response:
    values = await run_in_threadpool(_values, request, request.path_params["image_id"])
    return page_of(request).render("picture.html.j2", **values)


async def _correct(request: Request) -> Response:
    """Keep what a person says, and show the image again."""
    form, image_id = await request.form(), request.path_params["image_id"]
    try:
        await run_in_threadpool(_say, request.app.state.nightlabel, image_id, form)
    except UsageError as error:
        values = await run_in_threadpool(_values, request, image_id)
        return page_of(request).render("picture.html.j2", 400, **values | {"problem": str(error)})
    query = request.url.query
    return RedirectResponse(f"/images/{image_id}/{'?' if query else ''}{query}", 303)


def _values(request: Request, image_id: int) -> dict[str, Any]:
    state: State = request.app.state.nightlabel
    with state.database() as database:
        query = read_query(database, request.query_params)
        found = _found(database, image_id)
        try:
            beside = _NONE if query.unknown else neighbours(database, query.filters, query.sort, image_id)
        except (QueryTimeoutError, UsageError):  # as of an image that a correction took out of what is looked for
            beside = _NONE
    return {"query": query, "picture": found, "beside": beside, "problem": None}


def _found(database: Database, image_id: int) -> Picture:
    found = read_picture(database, image_id)
    if found is None:
        raise HTTPException(404, "There is no such image.")
    return found


def _say(state: State, image_id: int, form: FormData) -> None:
    """Add a person's words on what they saw.

    Raises:
        UsageError: it is another picture now, has no label, or nothing is called so.

    """
    with state.database() as database:
        seen = corrections.find_picture(database, _found(database, image_id).newest.path)
        if form.get("content") != seen.content:
            raise UsageError("This image was labelled anew meanwhile, as another picture: look at it again.")
        answer, name = str(form.get("answer", "")), str(form.get("name", "")).strip()
        if answer == "undo":
            corrections.take_back(database, [seen])
        else:
            corrections.say(database, [(seen, word) for word in _words(database, seen, answer, name)])


def _words(database: Database, seen: corrections.Picture, answer: str, name: str) -> tuple[Word, ...]:
    match answer:
        case "right":
            return (corrections.right(seen),)
        case "wrong":
            return (corrections.wrong(seen),)
        case "label":
            return (corrections.is_label(seen, class_called(database, seen.model_id, name)),)
        case "not":
            return denials(database, name)
    raise UsageError("Say that the label is right or wrong, what the picture shows, or what it does not.")


ROUTES = [
    Route("/images/{image_id:row}/", _picture),
    Route("/images/{image_id:row}/correction", _correct, methods=["POST"]),
]
