"""What the gallery shows, in which order, and where in it a page begins: values that travel."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from common.errors import UsageError
from storage.column_types import LARGEST_ID

if TYPE_CHECKING:
    from vocabulary.names import Thing

#: `unknown`: the picture's size is not known, as of one that could not be decoded.
Orientation = Literal["landscape", "portrait", "square", "unknown"]
Status = Literal["ok", "failed"]

#: The longest text of a cursor. A time, a number and a direction take about 80 characters.
_CURSOR_CHARACTERS = 200


class Sort(StrEnum):
    """In which order images come; those that are equal in it by their ids."""

    LABELLED = "labelled"  #: the newest labels first
    SCORE = "score"  #: what people said first, then the highest scores; only of what is looked for
    NEWEST = "newest"  #: by the file's mtime, as the newest scan saw it
    OLDEST = "oldest"
    PATH = "path"  #: by code points

    @property
    def is_descending(self) -> bool:
        return self not in (Sort.OLDEST, Sort.PATH)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which images are shown: those for which all of this holds. None, or nothing: it does not matter."""

    things: tuple[Thing, ...] = ()  #: kinds or classes: one of them, among the image's labels or as people say
    min_score: float | None = None  #: of the things; without things, of the best label. 0…1
    kind: str | None = None  #: the one that an image is called, by people or else by the model
    folder: str | None = None  #: below this absolute path
    modified_from: datetime | None = None  #: the file's mtime, as the newest scan saw it
    modified_until: datetime | None = None  #: before it
    labelled_from: datetime | None = None
    labelled_until: datetime | None = None  #: before it
    model_id: int | None = None  #: what this model says, in place of the one that labelled an image last
    run_id: int | None = None  #: what this run's model said in it
    status: Status | None = None
    error_kind: str | None = None
    has_warning: bool | None = None
    corrected: bool | None = None  #: a person said something of it that stands
    orientation: Orientation | None = None

    @property
    def is_everything(self) -> bool:
        return all(getattr(self, field.name) in (None, ()) for field in fields(self))


class Cursor(NamedTuple):
    """A place between two images of the gallery, in one order."""

    sort: Sort
    #: The last image's own: when it was labelled, its score, its mtime in nanoseconds. None: its path, by its id.
    value: datetime | float | int | None
    image_id: int
    is_backward: bool = False  #: what comes before that image, and not what comes after it

    def __str__(self) -> str:
        """Return it as text for a URL: letters, digits, `-` and `_`."""
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        plain = json.dumps([self.sort.value, value, self.image_id, self.is_backward], separators=(",", ":"))
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor of a text, whoever wrote it.

        Raises:
            UsageError: it is no cursor.

        """
        try:
            plain = base64.b64decode(text[:_CURSOR_CHARACTERS] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            name, value, image_id, is_backward = json.loads(plain)
            return cls(Sort(name), _value(Sort(name), value), _checked_id(image_id), _checked_flag(is_backward))
        except (ValueError, TypeError, RecursionError, OverflowError, binascii.Error):
            raise UsageError("There is no such page of the gallery: its address was cut or changed.") from None


def _checked_id(value: object) -> int:
    if type(value) is int and 0 <= value <= LARGEST_ID:
        return value
    raise ValueError(value)


def _checked_flag(value: object) -> bool:
    if type(value) is bool:
        return value
    raise ValueError(value)


def _value(sort: Sort, value: object) -> datetime | float | int | None:
    """Return what a cursor of this order holds.

    Raises:
        ValueError, TypeError: it is nothing of the kind.

    """
    match sort, value:
        case Sort.LABELLED, str():
            return datetime.fromisoformat(value).astimezone(UTC)
        case Sort.SCORE, float() if math.isfinite(value):
            return value
        case ((Sort.NEWEST | Sort.OLDEST), int()) if (
            not isinstance(value, bool) and -LARGEST_ID - 1 <= value <= LARGEST_ID
        ):
            return value
        case Sort.PATH, None:
            return None
    raise ValueError(value)
