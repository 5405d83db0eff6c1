"""Pictures that are sent to be labelled: kept in a folder of our own for as long as that takes.

What a sender calls a file is text to be shown. It is never part of a path, and says nothing of what the file is.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from common.errors import NightlabelError
from host.private_folder import private_folder
from vocabulary.languages import translatable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

#: Pictures of one request. More of them are another request's, so that others have their turn.
MOST_FILES = 20
#: What a form may hold besides files.
_MOST_FIELDS, _FIELD_BYTES = 20, 4_000
_MULTIPART = "multipart/form-data"
#: What programs call a body of which they know nothing. The last one is what curl says of `--data-binary`.
_ANYTHING = ("application/octet-stream", "application/x-www-form-urlencoded")


class UploadError(NightlabelError):
    """What was sent cannot be kept."""


@dataclass(frozen=True)
class Upload:
    """A picture that was sent."""

    name: str | None  #: what its sender calls it; None: the request was nothing but the picture
    path: str  #: where it lies


class Uploads:
    """A folder of our own, which only this user can enter, for as long as the server runs."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self._folder: Path | None = None

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[list[Upload]]:
        """Yield the pictures that a request brings, as files of this block: one to `MOST_FILES` of them.

        Raises:
            HTTPException: there are none, too many, or they cannot be told apart.
            NightlabelError: there is no room for them.

        """
        self._folder = self._folder or self._cleanup.enter_context(private_folder())
        try:
            with TemporaryDirectory(dir=self._folder) as folder:
                yield await _received(request, folder)
        except ClientDisconnect:
            raise HTTPException(400, "The request ended before the pictures were there.") from None
        except OSError as error:
            raise UploadError(f"The pictures cannot be kept while they are labelled: {error.strerror}.") from None

    def close(self) -> None:
        """Remove the folder."""
        self._cleanup.close()


async def _received(request: Request, folder: str) -> list[Upload]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _MULTIPART:
        return await _of_a_form(request, folder)
    if kind.startswith("image/") or kind in _ANYTHING:
        return [await _of_the_body(request, folder)]
    raise HTTPException(
        415, f"Send pictures as files of a form ({_MULTIPART}), or one picture as it is, as image/jpeg or the like."
    )


async def _of_a_form(request: Request, folder: str) -> list[Upload]:
    # The files are spooled to disk under no name, and end with this block.
    async with request.form(max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES) as form:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        files = [
            file for file in files if file.filename or file.size
        ]  # nothing chosen is sent as a file without a name
        if not files:
            raise HTTPException(400, translatable("There is no picture in this form."))
        if len(files) > MOST_FILES:
            raise HTTPException(413, f"These are {len(files)} files; at most {MOST_FILES} are labelled at a time.")
        uploads = [
            Upload(file.filename or None, os.path.join(folder, str(number))) for number, file in enumerate(files)
        ]
        for file, upload in zip(files, uploads, strict=True):
            await run_in_threadpool(_copy, file, upload.path)
        return uploads


def _copy(file: UploadFile, path: str) -> None:
    with open(path, "xb") as copy:
        shutil.copyfileobj(file.file, copy)


async def _of_the_body(request: Request, folder: str) -> Upload:
    path = os.path.join(folder, "0")
    with await run_in_threadpool(open, path, "xb") as file:
        async for data in request.stream():
            await run_in_threadpool(file.write, data)
    return Upload(None, path)
