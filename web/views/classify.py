"""`POST /api/classify`: label pictures, for programs. Its answers are what `classify.schema.json` describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import Route

from web.answers import label_uploads
from web.page import page_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def _classify(request: Request) -> JSONResponse:
    answers = await label_uploads(request)
    return JSONResponse(answers.as_json(page_of(request).language), answers.status)


ROUTES = [Route("/api/classify", _classify, methods=["POST"])]
