"""Pictures that are sent to a page, as programs send them."""

from __future__ import annotations

import json
import os
import socket
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema

if TYPE_CHECKING:
    import httpx2

    from tests.unit.web.serving import Served

SCHEMA = json.loads((files("web") / "classify.schema.json").read_text())


def classify(page: Served, *sent: tuple[str, bytes], **given: Any) -> httpx2.Response:
    """Send pictures as a program does; the answer must be what the schema says."""
    answer = page.post("/api/classify", files=[("files", picture) for picture in sent], **given)
    jsonschema.validate(answer.json(), SCHEMA)
    return answer


def connected(page: Served) -> socket.socket:
    """Return a connection of which each byte is the test's."""
    host, port = page.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def kept_files(page: Served) -> list[str]:
    """Return what of the requests still lies on disk."""
    folder = page.state.uploads._folder
    assert folder
    return [name for name in os.listdir(folder) if name != "owner.lock"]
