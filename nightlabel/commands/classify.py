"""`nightlabel classify`: a few files, here and now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import ArchiveError
from nightlabel import library
from nightlabel.options import MODEL, takes_settings
from nightlabel.output import AsJson
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings
    from worker.classify import Answer

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Image files.")]


@takes_settings(*MODEL)
def classify(files: Files, settings: Settings, as_json: AsJson = False) -> None:
    """Label a few files here and now: no queue, no database.

    Example: nightlabel classify cat.jpg dog.heic
    """
    answers = library.classify(files, settings)
    if as_json:
        say(json.dumps([answer.as_json() for answer in answers], indent=2))
    else:
        for answer in answers:
            say("\n".join(_lines(answer)))
    failed = sum(not answer.labels for answer in answers)
    if failed:
        raise ArchiveError(f"{failed} of {len(answers)} files could not be labelled.")


def _lines(answer: Answer) -> list[str]:
    from storage.records import shown

    if not answer.labels:
        return [shown(answer.path), f"   failed ({answer.error_kind}): {answer.error}"]
    warnings = ["   RANDOM WEIGHTS: these labels mean nothing"] if answer.random_weights else []
    warnings += [f"   warning: damaged in part: {answer.warning}"] if answer.warning else []
    return [shown(answer.path), *warnings, *(f"{score:7.1%}  {label}" for label, score in answer.labels)]
