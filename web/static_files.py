"""Our own scripts and styles: their addresses change with what is in them, so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

_FOLDER = Path(str(files("web"))) / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@lru_cache
def _files() -> dict[str, Path]:
    """Return what is served, by its name: nothing else is, whatever an address says."""
    return {file.name: file for file in _FOLDER.iterdir() if file.suffix in _KINDS}


@lru_cache
def _version() -> str:
    """Return what changes whenever any of the files does: they import each other."""
    contents = hashlib.sha256()
    for _, file in sorted(_files().items()):
        contents.update(file.read_bytes())
    return contents.hexdigest()[:12]


def static_url(name: str) -> str:
    """Return the address of one of our files."""
    return f"/static/{_version()}/{_files()[name].name}"


def _static_file(request: Request) -> FileResponse:
    file = _files().get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    # Of another version, as of a page that was open while the server changed: shown, and not kept.
    headers = _FOR_EVER if request.path_params["version"] == _version() else {}
    return FileResponse(file, headers=headers, media_type=_KINDS[file.suffix])


ROUTES = [Route("/static/{version}/{name}", _static_file)]
