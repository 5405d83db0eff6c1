"""What a failure means is told in the same words by the page and by the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from archive.failures import EXPLANATIONS, FailureKind

FORMATS = Path(__file__).parents[3] / "docs" / "formats.md"


def test_each_kind_is_explained_as_the_documentation_does() -> None:
    section = FORMATS.read_text().partition("\n## Why an image fails\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section, re.MULTILINE)
    documented = {kind: (without_links(meaning), without_links(to_do)) for kind, meaning, to_do in rows}
    assert documented == {kind.value: tuple(EXPLANATIONS[kind]) for kind in FailureKind}


def without_links(markdown: str) -> str:
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", markdown)
