"""`/thumbnails/ID`: a small picture of all of an image, of the bytes that were labelled and of no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from pictures.thumbnail import WHOLE_THUMBNAIL_VERSION
from storage.image_files import labelled_file
from web.page import page_of
from web.requests import has_already, while_connected
from web.thumbnails.making import CHANGED, NoThumbnail
from web.thumbnails.placeholder import placeholder
from web.thumbnails.service import SIZES

if TYPE_CHECKING:
    from starlette.requests import Request

    from storage.image_files import LabelledFile
    from web.state import State

_CONTENT = re.compile(r"[0-9a-f]{0,32}")
#: Says why a placeholder stands for a picture.
_WHY = "Nightlabel-No-Thumbnail"
#: Seconds that a browser keeps a picture whose address names its content: a week.
_KEEP = "private, max-age=604800, immutable"
_ASK_AGAIN = "private, no-cache"


async def _thumbnail(request: Request) -> Response:
    state: State = request.app.state.nightlabel
    image_id, size = request.path_params["image_id"], request.query_params.get("size", "small")
    content = request.query_params.get("c", "")
    if size not in SIZES or not _CONTENT.fullmatch(content):
        raise HTTPException(400, f"A thumbnail's size is one of {', '.join(SIZES)}, and its content hexadecimal.")
    file = await run_in_threadpool(_find, state, image_id, content)
    if file is None:
        raise HTTPException(404, "There is no such image.")
    if isinstance(file, NoThumbnail):
        return _placeholder(request, file)
    headers = {"Cache-Control": _KEEP if content else _ASK_AGAIN}
    if file.content:
        headers["ETag"] = f'"{file.content}-{size}-{WHOLE_THUMBNAIL_VERSION}"'
        if has_already(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
    try:
        made = await while_connected(request, state.thumbnails.thumbnail(file, size))
    except ClientDisconnect:
        return Response(status_code=204)  # nobody reads it
    if isinstance(made, NoThumbnail):
        return _placeholder(request, made)
    return Response(made, headers=headers, media_type="image/jpeg")


def _find(state: State, image_id: int, content: str) -> LabelledFile | NoThumbnail | None:
    with state.database() as database:
        file = labelled_file(database, image_id, content)
        if file is None and content and labelled_file(database, image_id):
            return NoThumbnail(CHANGED, "it was labelled anew, with other bytes")
        return file


def _placeholder(request: Request, none: NoThumbnail) -> Response:
    """Answer with a picture that says why there is none, to be asked for again the next time.

    With 200: browsers show it with an error's status, too, and complain of each on their console.
    """
    svg = placeholder(none.why, page_of(request).translate)
    return Response(svg, headers={_WHY: none.why, "Cache-Control": "no-store"}, media_type="image/svg+xml")


ROUTES = [Route("/thumbnails/{image_id:row}", _thumbnail)]
