"""Try: send pictures, and see what the model finds in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route

from archive.sniff import IMAGE_SUFFIXES
from common.errors import NightlabelError
from web.answers import label_uploads
from web.page import page_of
from web.uploads import MOST_FILES
from web.warm_model import PREPARING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from web.answers import Answers

#: What a browser offers to choose; the first has a phone offer its camera. It is a help, and checked by nothing.
_CHOOSABLE = ",".join(("image/*", *IMAGE_SUFFIXES))


async def _page(request: Request) -> Response:
    model = request.app.state.nightlabel.model
    if model.found.error:  # what was missing may be there by now
        model.warm_up()
    return _rendered(request)


async def _label(request: Request) -> Response:
    """Label what the form brings: a page, or, where a script asks, what it puts into the one that is there."""
    if "cards" in request.query_params:
        answers = await label_uploads(request, with_preview=True)
        return page_of(request).render("try_cards.html.j2", answers=answers)
    try:
        answers = await label_uploads(request, with_preview=True)
    except HTTPException as error:
        return _rendered(request, error.status_code, problem=error.detail)
    except NightlabelError as error:
        return _rendered(request, 503, problem=str(error))
    return _rendered(request, answers=answers)


def _rendered(
    request: Request, status: int = 200, answers: Answers | None = None, problem: str | None = None
) -> Response:
    state, page = request.app.state.nightlabel, page_of(request)
    return page.render(
        "try_it.html.j2",
        status,
        answers=answers,
        problem=problem and page.translate(problem),
        found=state.model.found,
        preparing=page.translate(PREPARING),
        choosable=_CHOOSABLE,
        most_files=MOST_FILES,
        most_mb=state.settings.web_upload_mb,
    )


ROUTES = [Route("/try", _page), Route("/try", _label, methods=["POST"])]
