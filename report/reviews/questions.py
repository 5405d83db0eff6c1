"""A question of a review: a picture as a person is to see it, with what the model says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archive.contents import content_now
from storage.corrections import labelled_with, standing

if TYPE_CHECKING:
    from storage.corrections import Picture
    from storage.database import Database
    from storage.reviews import Review

#: What became of a picture's file since it was labelled. Of one that is `gone`, nobody knows: it may be elsewhere.
File = Literal["same", "gone", "changed"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether a model's label of a picture is right."""

    review_id: int | None  #: None: the picture was chosen, and is none of a random sample
    picture: Picture
    file: File  #: of one that is `changed`, nobody can be asked: its label is that of another picture
    said: str | None  #: the label that a person gave it before


def question_about(database: Database, model_id: int, content: str, review_id: int | None = None) -> Question | None:
    """Return the question about a picture; None: the model says nothing of it any more.

    Args:
        database: where.
        model_id: whose label.
        content: of the picture, as in `outcomes.content`.
        review_id: the review that asks.

    """
    picture = labelled_with(database, model_id, content)
    if picture is None:
        return None
    return Question(
        review_id=review_id, picture=picture, file=file_of(picture), said=said_before(database, picture.content)
    )


def open_places(review: Review) -> list[int]:
    """Return the places in a review of the pictures that wait for an answer."""
    return [place for place, content in enumerate(review.contents) if content not in review.settled]


def file_of(picture: Picture) -> File:
    """Return what became of a picture's file since it was labelled: by what is in it, whatever its time says."""
    now = content_now(picture.path)
    if now is None:
        return "gone"
    return "same" if now == picture.content else "changed"


def said_before(database: Database, content: str) -> str | None:
    """Return the label that a person gave a picture, if that stands."""
    return next((word.label for word in standing(database, content) if word.label), None)
