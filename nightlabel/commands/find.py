"""`nightlabel find`: pictures by what they show."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import UsageError
from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.output import AsJson
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings
    from storage.things import FoundImage

Words = Annotated[
    list[str], typer.Argument(metavar="THING...", help="A kind or a class, in any language: dog, Hund, 狗.")
]


@takes_settings("db", "language")
def find(
    thing: Words,
    settings: Settings,
    min_score: Annotated[float, typer.Option(min=0, max=1, metavar="0…1", help="The least score.")] = 0.5,
    folder: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Only pictures below it.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only files modified since: 2026-11-24, or 7d ago.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N.")] = None,
    as_json: AsJson = False,
    paths: Annotated[bool, typer.Option("--paths", help="The paths alone, one a line.")] = False,
    print0: Annotated[
        bool, typer.Option("--print0", help="The paths alone, with a zero byte after each, for xargs -0.")
    ] = False,
) -> None:
    """Find the pictures of a thing: what people said first, then the highest scores.

    Example: nightlabel find dog --min-score 0.8 --since 2026-01-01
    """
    from vocabulary.languages import chosen_language

    if as_json + paths + print0 > 1:
        raise UsageError("--json, --paths and --print0: choose one of them.")
    found = library.find(" ".join(thing), min_score, folder, since, settings, limit, partial(say, err=True))
    language = chosen_language(settings.language)
    if as_json:
        say(json.dumps([_document(image, language) for image in found], indent=2))
    elif print0:
        for image in found:
            sys.stdout.buffer.write(os.fsencode(image.path) + b"\0")
    elif paths:
        for image in found:
            say(_shown(image))
    else:
        for image in found:
            score = "person" if image.by_person else f"{image.score:.1%}"
            say(f"{score:>7}  {_shown(image)}{_called(image, language)}")


def _shown(image: FoundImage) -> str:
    from storage.records import shown

    return shown(image.path)


def _called(image: FoundImage, language: str) -> str:
    from vocabulary.names import label_name

    return f"  ({label_name(image.label, language)})" if image.label else ""


def _document(image: FoundImage, language: str) -> dict[str, object]:
    from vocabulary.names import label_name

    return {
        "path": _shown(image),
        "score": image.score,
        "by_person": image.by_person,
        "label": image.label,
        "name": image.label and label_name(image.label, language),
    }
