"""An answer in a review: it is stored for the picture and the label that the person saw, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from common.errors import UsageError
from report.reviews.questions import file_of, said_before
from storage.class_names import class_called
from storage.corrections import Word, is_label, labelled_with, right, say, wrong
from storage.records import shown
from storage.reviews import is_asked

if TYPE_CHECKING:
    from report.reviews.questions import Question
    from storage.corrections import Picture
    from storage.database import Database

#: How answers are told to people.
KEYS = "y right, n wrong, = NAME it is something else (or only the name), s skip"


class Asked(NamedTuple):
    """What an answer is about: it travels with it, since much may happen while a person looks at a picture."""

    review_id: int | None
    model_id: int
    content: str
    label: str  #: the model's, as the person saw it


def asked_by(question: Question) -> Asked:
    """Return what the answer to a question is about."""
    picture = question.picture
    return Asked(question.review_id, picture.model_id, picture.content, picture.label)


def answer(database: Database, asked: Asked, reply: str) -> Word:
    """Store what a person says of a picture, and return it.

    Answers of a review count for the model's accuracy; others are corrections and nothing else.

    Args:
        database: where.
        asked: what it is about.
        reply: `y` the label is right, `n` it is wrong, `s` no answer, `= NAME` or the name alone what it is.

    Raises:
        UsageError: it is no answer; or the file, its label or the review is another one now. Nothing is stored.

    """
    picture = labelled_with(database, asked.model_id, asked.content)
    if picture is None or picture.label != asked.label:
        raise UsageError("The picture was labelled anew since it was shown: look at it again.")
    if asked.review_id is not None and not is_asked(database, asked.review_id, asked.model_id, asked.content):
        raise UsageError(f"Review {asked.review_id} does not ask about {shown(picture.path)}.")
    word = _word(database, picture, reply.strip())
    if word.answer != "skip" and file_of(picture) == "changed":
        raise UsageError(f"{shown(picture.path)} has changed since it was labelled: it is another picture now.")
    say(database, [(picture, word)], asked.review_id)
    return word


def _word(database: Database, picture: Picture, reply: str) -> Word:
    match reply.lower():
        case "y":
            return right(picture)
        case "s":
            return Word("skip")
        case "n":
            said = said_before(database, picture.content)  # the person sees it beside the question: it stays
            return wrong(picture) if said in (None, picture.label) else is_label(picture, said)
    name = reply.removeprefix("=").strip()
    if not name:
        raise UsageError(f"This is no answer: {KEYS}.")
    return is_label(picture, class_called(database, picture.model_id, name))
