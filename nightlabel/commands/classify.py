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


@takes_settings(*MODEL, "language")
def classify(files: Files, settings: Settings, as_json: AsJson = False) -> None:
    """Label a few files here and now: no queue, no database.

    Example: nightlabel classify cat.jpg dog.heic
    """
    from vocabulary.languages import chosen_language

    answers = library.classify(files, settings)
    language = chosen_language(settings.language)
    if as_json:
        say(json.dumps([answer.as_json(language) for answer in answers], indent=2))
    else:
        for answer in answers:
            say("\n".join(_lines(answer, language)))
    failed = sum(not answer.labels for answer in answers)
    if failed:
        raise ArchiveError(f"{failed} of {len(answers)} files could not be labelled.")


def _lines(answer: Answer, language: str) -> list[str]:
    from storage.records import shown
    from vocabulary.names import kind_name, label_name

    if not answer.labels:
        return [shown(answer.path), f"   failed ({answer.error_kind}): {answer.error}"]
    warnings = ["   RANDOM WEIGHTS: these labels mean nothing"] if answer.random_weights else []
    warnings += [f"   warning: damaged in part: {answer.warning}"] if answer.warning else []
    labels = [f"{score:7.1%}  {label_name(label, language)}" for label, score in answer.labels]
    kind = [f"{answer.kind_score:7.1%}  in all: {kind_name(answer.kind, language)}"] if answer.kind else []
    return [shown(answer.path), *warnings, *labels, *kind]
