"""Where a command's figures go: to people, to a page, to other programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nightlabel.screen import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from storage.records import JsonObject

AsJson = Annotated[bool, typer.Option("--json", help="For other programs.")]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write one HTML file with charts, which needs no network.")
]


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the options of a command ask for. A page and JSON can be had together; else a page stands for the screen."""

    console: Console
    html: Path | None
    as_json: bool

    def show(self, what: str, document: Callable[[], JsonObject], on_screen: Callable[[Console], None]) -> None:
        """Print the figures as they are asked for, and say where the page is that was written."""
        if self.html:
            from storage.records import shown

            say(f"{what} is in {shown(str(self.html))}.", err=self.as_json)
        if self.as_json:
            self.console.out(json.dumps(document(), indent=2), highlight=False)
        elif not self.html:
            on_screen(self.console)
