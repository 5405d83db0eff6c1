"""What the pictures of a request show."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.records import storable
from web.requests import while_connected

if TYPE_CHECKING:
    from starlette.requests import Request

    from models.ready_model import ReadyModel
    from web.model_process import Labelled
    from web.uploads import Upload
    from worker.classify import Answer


@dataclass(frozen=True)
class UploadAnswer:
    """What one picture shows."""

    name: str | None  #: what its sender calls it
    labelled: Labelled

    @property
    def answer(self) -> Answer:
        return self.labelled.answer

    @property
    def preview_url(self) -> str | None:
        """The small copy, as an address that holds all of it: none is kept here."""
        preview = self.labelled.preview
        return None if preview is None else f"data:image/jpeg;base64,{base64.b64encode(preview).decode()}"


@dataclass(frozen=True)
class Answers:
    """What the pictures of a request show, in their order, and the model that says so."""

    ready: ReadyModel
    uploads: tuple[UploadAnswer, ...]

    @property
    def status(self) -> int:
        """As HTTP has it: one picture that is labelled makes the request a good one."""
        return 200 if any(upload.answer.labels for upload in self.uploads) else 422

    def as_json(self, language: str) -> dict[str, Any]:
        """Return the document that `classify.schema.json` describes."""
        model = self.ready.model
        return {
            "model": model.architecture,
            "recipe": model.recipe,
            "weights": model.weights,
            "precision": model.precision,
            "engine": self.ready.engine,
            "random_weights": model.is_random,
            "results": [
                {"file": upload.name and storable(upload.name), **upload.answer.found_as_json(language)}
                for upload in self.uploads
            ],
        }


async def label_uploads(request: Request, *, with_preview: bool = False) -> Answers:
    """Label what a request brings.

    Raises:
        BusyError: too many requests are being answered.
        HTTPException: it brings no pictures, or too many.
        ModelError: the model cannot be loaded.
        PreparingError: it is not loaded yet.

    """
    state = request.app.state.nightlabel
    with state.model.turn():
        ready = await state.model.ready()
        async with state.uploads.received(request) as uploads:
            paths = [upload.path for upload in uploads]
            labelling = state.model.label(paths, ready, with_preview=with_preview)
            labelled = await while_connected(request, labelling)
            return _answers(ready, uploads, labelled)


def _answers(ready: ReadyModel, uploads: list[Upload], labelled: list[Labelled]) -> Answers:
    return Answers(ready, tuple(UploadAnswer(upload.name, one) for upload, one in zip(uploads, labelled, strict=True)))
