"""The questions of a review, one after the other, in one go: a terminal or a program answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UsageError
from report.reviews import answers
from report.reviews.answers import answer, asked_by
from report.reviews.questions import open_places, question_about
from vocabulary.names import kind_name, label_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import report.reviews.questions
    from storage.corrections import Word
    from storage.database import Database
    from storage.reviews import Review

#: How answers are told to people.
KEYS = f"{answers.KEYS}, b back, q stop"


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether a model's label of a picture is right, in the reader's language."""

    number: int  #: from 1
    pictures: int  #: of the review
    settled: int  #: of these, when a review went on that had been stopped; 0: it is new
    path: str  #: bytes that are not UTF-8 as surrogate escapes, as `os` takes them
    is_there: bool  #: whether the file can be read here
    label: str  #: in the reader's language, as is the kind
    score: float
    kind: str | None  #: None: the model's labels have no kinds
    kind_score: float | None
    said: str | None  #: what a person said before that it is
    complaint: str | None  #: why the answer before was none


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """How far a review is."""

    review: int
    model: str  #: for people
    pictures: int
    answered: int  #: this time, without those that were skipped
    skipped: int
    left: int  #: questions that the next review asks first
    changed: tuple[str, ...]  #: files that are other ones now, so that nobody was asked about them


class Questions:
    """Asks what a review has no answer to yet, and stores each answer at once."""

    def __init__(
        self, database: Database, review: Review, model: str, language: str, ask: Callable[[Question], str]
    ) -> None:
        self._database = database
        self._review = review
        self._model = model
        self._language = language
        self._ask = ask
        self._open = open_places(review)
        self._asked: list[int] = []  # what `b` goes back to
        self._answers: dict[int, Word] = {}
        self._changed: dict[int, str] = {}
        self._complaint: str | None = None

    def ask_all(self) -> Reviewed:
        """Ask one after the other, until all are answered or the person stops."""
        turn = 0
        while turn < len(self._open):
            place = self._open[turn]
            content = self._review.contents[place]
            question = question_about(self._database, self._review.model_id, content, self._review.id)
            if question is None:  # relabelled since the review was opened
                turn += 1
                continue
            if question.file == "changed":
                answer(self._database, asked_by(question), "s")
                self._changed[place] = question.picture.path
                turn += 1
                continue
            reply = self._ask(self._in_words(place, question)).strip()
            if reply.lower() == "q":
                break
            turn = self._take(turn, question, reply)
        return self._reviewed()

    def _take(self, turn: int, question: report.reviews.questions.Question, reply: str) -> int:
        """Store an answer; return whose turn it is then."""
        self._complaint = None
        if reply.lower() == "b":
            if self._asked:
                return self._asked.pop()
            self._complaint = "This is the first question."
            return turn
        if not reply.removeprefix("=").strip():
            self._complaint = f"{KEYS}."
            return turn
        try:
            word = answer(self._database, asked_by(question), reply)
        except UsageError as error:
            self._complaint = str(error)
            return turn
        self._answers[self._open[turn]] = word
        self._asked.append(turn)
        return turn + 1

    def _in_words(self, place: int, question: report.reviews.questions.Question) -> Question:
        picture, said = question.picture, question.said
        return Question(
            number=place + 1,
            pictures=len(self._review.contents),
            settled=len(self._review.settled),
            path=picture.path,
            is_there=question.file == "same",
            label=label_name(picture.label, self._language),
            score=picture.score,
            kind=picture.kind and kind_name(picture.kind, self._language),
            kind_score=picture.kind_score,
            said=said and label_name(said, self._language),
            complaint=self._complaint,
        )

    def _reviewed(self) -> Reviewed:
        skipped = sum(word.answer == "skip" for word in self._answers.values())
        return Reviewed(
            review=self._review.id,
            model=self._model,
            pictures=len(self._review.contents),
            answered=len(self._answers) - skipped,
            skipped=skipped,
            left=len(set(self._open) - self._answers.keys() - self._changed.keys()),
            changed=tuple(self._changed.values()),
        )
