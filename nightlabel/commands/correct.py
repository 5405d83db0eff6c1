"""`nightlabel correct`: a person's word on a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel import library
from nightlabel.options import takes_settings
from nightlabel.screen import say

if TYPE_CHECKING:
    from common.settings import Settings
    from nightlabel.library.corrections import Corrected

Files = Annotated[list[str], typer.Argument(metavar="PATH...", help="Image files that are in the database.")]


@takes_settings("db", "language")
def correct(
    path: Files,
    settings: Settings,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="What they show: a class, by its name in any language.")
    ] = None,
    right: Annotated[bool, typer.Option("--right", help="The model's label is right.")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="It is wrong.")] = False,
    not_a: Annotated[
        str | None, typer.Option("--not", metavar="NAME", help="What they do not show: a class or a kind.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back all that stands.")] = False,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose label is meant, where several labelled them; else the last one's."),
    ] = None,
) -> None:
    """Say that a label is right or wrong, or what a picture shows. It holds for the file wherever it moves.

    Example: nightlabel correct cat.jpg --label tabby
    """
    corrected = library.correct(
        path, label, right=right, wrong=wrong, not_a=not_a, undo=undo, model=model, settings=settings
    )
    for one in corrected:
        say(_in_words(one, settings.language))


def _in_words(corrected: Corrected, language: str | None) -> str:
    """Return what stands of a picture, in a line."""
    from storage.records import shown
    from vocabulary.languages import chosen_language
    from vocabulary.names import kind_names, label_name

    spoken = chosen_language(language)
    picture = corrected.picture
    if corrected.label is None:
        stands = f"no label ({picture.model} says {label_name(picture.label, spoken)})"
    elif corrected.by_person:
        stands = f"{label_name(corrected.label, spoken)}, as a person says"
    else:
        stands = f"{label_name(picture.label, spoken)}, as {picture.model} says ({picture.score:.1%})"
    nots = (kind_names(spoken).get(denied) or label_name(denied, spoken) for denied in corrected.denied)
    return f"{shown(picture.path)}: {stands}{''.join(f'; not {name}' for name in nots)}"
