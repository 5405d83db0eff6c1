"""What the address of Failures says: which failures, and from where on. And such addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from archive.failures import FailureKind
from storage.failures import FailureFilter
from web.values import folder_path, given_values, one_of, parsed, row_id

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The names in an address that say which failures; each may be missing or empty.
NAMES = ("kind", "folder", "model", "run")


@dataclass(frozen=True)
class FailureQuery:
    """Which failures are shown, as it is written."""

    given: Mapping[str, str]  #: by the names of `NAMES`; nothing is empty
    chosen: FailureFilter
    after: tuple[int, int] | None  #: the ids of the image and the model that the page before ended with

    def address(self, **changed: object) -> str:
        """Return the address of other failures: with other values, or, where one is None, without it."""
        return self._address("/failures", {**self.given, **changed})

    def gallery(self, kind: str | None = None) -> str:
        """Return the address of the same images in the gallery, which tells models by their ids, or of one kind."""
        given = {name: value for name, value in self.given.items() if name in ("folder", "run")}
        return self._address("/gallery", {"status": "failed", "error": kind or self.given.get("kind"), **given})

    def _address(self, path: str, values: Mapping[str, object]) -> str:
        query = urlencode({name: value for name, value in values.items() if value is not None})
        return f"{path}?{query}" if query else path


def read_failure_query(given: Mapping[str, str]) -> FailureQuery:
    """Return what an address asks for.

    Raises:
        UsageError: a value makes no sense.

    """
    values = given_values(given, (*NAMES, "after"))
    chosen = FailureFilter(
        run_id=parsed(values, "run", row_id),
        kind=one_of(values, "kind", tuple(FailureKind)),
        folder=parsed(values, "folder", folder_path),
        model=values.get("model"),
    )
    after = parsed(values, "after", _pair)
    return FailureQuery({name: values[name] for name in NAMES if name in values}, chosen, after)


def _pair(value: str) -> tuple[int, int]:
    image, _, model = value.partition("-")
    return row_id(image), row_id(model)
