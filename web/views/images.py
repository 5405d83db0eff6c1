"""`/images/ID`: the file itself, by the image's id alone, if its bytes are still those that were labelled."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from archive.failures import FailureKind, ImageError
from archive.sniff import has_image_suffix, media_type
from storage.image_files import labelled_file
from storage.records import shown
from web.originals import OriginalResponse
from web.page import page_of
from web.requests import has_already
from web.thumbnails.making import is_labelled_version

if TYPE_CHECKING:
    from starlette.requests import Request

    from archive.reading import ImageFile
    from storage.image_files import LabelledFile
    from web.state import State

#: A picture runs nothing, and is no page of ours. HTML has browsers refuse a sandbox together with an opener policy.
_HARMLESS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Cache-Control": "private, no-cache",
}
#: Characters of a file name that every browser takes as they are.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+-]")
_STATUS = {FailureKind.VANISHED: 410, FailureKind.OUTSIDE: 403, FailureKind.TOO_LARGE: 413, FailureKind.TIMEOUT: 504}
_UNREADABLE = 422


async def _image(request: Request) -> Response:
    state: State = request.app.state.nightlabel
    file = await run_in_threadpool(_find, state, request.path_params["image_id"])
    if file is None:
        raise HTTPException(404, "There is no such image.")
    try:
        read = await state.originals.read(file)
    except ImageError as error:
        raise HTTPException(_STATUS.get(error.kind, _UNREADABLE), f"{shown(file.path)}: {error}.") from None
    answer = None
    try:
        answer = _answer(request, file, read)
        return answer
    finally:
        if not isinstance(answer, OriginalResponse):  # which releases it when it is sent
            state.originals.release()


def _answer(request: Request, file: LabelledFile, read: ImageFile) -> Response:
    etag = f'"{read.content}"'
    if request.query_params.get("changed") != "ok" and not is_labelled_version(read, file):
        return page_of(request).render("image_changed.html.j2", 409, path=file.path)
    if has_already(request, etag):
        return Response(status_code=304, headers={**_HARMLESS, "ETag": etag})
    known = media_type(read.data)
    is_shown = known is not None and "download" not in request.query_params
    headers = {"Content-Disposition": content_disposition(file.path, known, is_shown=is_shown), "ETag": etag}
    release = request.app.state.nightlabel.originals.release
    return OriginalResponse(read.data, _HARMLESS | headers, known or "application/octet-stream", release)


def _find(state: State, image_id: int) -> LabelledFile | None:
    with state.database() as database:
        return labelled_file(database, image_id)


def content_disposition(path: str, kind: str | None, *, is_shown: bool) -> str:
    """Return the header that names a file as it is named on disk, for a browser that shows or keeps it.

    A picture whose name does not say so gets an ending that does: kept as `x.html`, it would be opened as a page.
    Source: RFC 6266, with RFC 5987's encoding for what is not ASCII.
    """
    name = shown(posixpath.basename(path))
    if kind and not has_image_suffix(name):
        name += f".{kind.removeprefix('image/')}"
    how = "inline" if is_shown else "attachment"
    return f"{how}; filename=\"{_NOT_PLAIN.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


ROUTES = [Route("/images/{image_id:row}", _image)]
