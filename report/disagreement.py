"""Where two models give an image another best label, for people and for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.records import Disagreement, JsonObject


def disagreement_as_json(pair: Disagreement) -> JsonObject:
    """Return where two models disagree as what `json.dumps` takes."""
    return {
        "first": pair.first,
        "second": pair.second,
        "images": pair.images,
        "different": pair.different,
        "share": pair.share,
        "examples": [{"path": path, "first": first, "second": second} for path, first, second in pair.examples],
    }


def example_in_words(example: tuple[str, str, str]) -> str:
    """Return `/photos/1.jpg: tabby vs. tiger cat`."""
    path, first, second = example
    return f"{path}: {first} vs. {second}"
