"""How right a model is on this archive, by what a person said of random samples."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.wilson import wilson_interval
from vocabulary.kinds import things_of_labels
from vocabulary.languages import ENGLISH
from vocabulary.names import kind_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.reviews import ReviewAnswer

#: Answers on a kind from which its share is worth being told: of ten, the interval is half of all that there is.
LEAST_OF_A_KIND = 10


@dataclass(frozen=True, kw_only=True)
class Share:
    """What was right in a sample, and the 95 % confidence interval of what is right in the archive."""

    right: int
    answers: int
    low: float  #: 0…1
    high: float
    unknown: int = 0  #: of the others, those that may be right, too: the interval holds for all of them and for none

    @property
    def share(self) -> float:
        return self.right / self.answers


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What reviews of a model have found."""

    label: Share
    kind: Share | None  #: None: the model's labels have no kinds
    by_kind: tuple[tuple[str, Share], ...]  #: the label, by the kind that the model says; the largest first


def accuracy(answers: Iterable[ReviewAnswer]) -> Accuracy | None:
    """Return how right a model is; None: nobody has answered."""
    said = list(answers)
    if not said:
        return None
    of_kind: dict[str, list[ReviewAnswer]] = defaultdict(list)
    for one in said:
        if one.model_kind:
            of_kind[one.model_kind].append(one)
    enough = [(kind, found) for kind, found in of_kind.items() if len(found) >= LEAST_OF_A_KIND]
    return Accuracy(
        label=_label_share(said),
        kind=_kind_share([one for found in of_kind.values() for one in found]) if of_kind else None,
        by_kind=tuple((kind, _label_share(found)) for kind, found in sorted(enough, key=lambda one: -len(one[1]))),
    )


def in_words(found: Accuracy, language: str = ENGLISH) -> list[str]:
    """Return sentences for people, with names in this language: on labels, on kinds, and on labels by kind."""
    label, kind = found.label, found.kind
    told = [f"{label.right:,} of {label.answers:,} sampled labels right: {_interval(label)}"]
    if kind and kind.unknown:
        most = kind.right + kind.unknown
        told.append(
            f"{kind.right:,} to {most:,} of {kind.answers:,} kinds right ({kind.unknown:,} wrong and not named):"
            f" {_interval(kind)}"
        )
    elif kind:
        told.append(f"{kind.right:,} of {kind.answers:,} kinds right: {_interval(kind)}")
    told += [
        f"{kind_name(name, language)}: {share.right:,} of {share.answers:,} labels right: {_interval(share)}"
        for name, share in found.by_kind
    ]
    return told


def _label_share(answers: list[ReviewAnswer]) -> Share:
    return _share(sum(one.label == one.model_label for one in answers), len(answers))


def _kind_share(answers: list[ReviewAnswer]) -> Share:
    """Count the right kinds, also under a wrong label; of one that is wrong and not named, nobody knows."""
    right = sum(one.label is not None and _kind_of(one.label) == one.model_kind for one in answers)
    return _share(right, len(answers), sum(one.label is None for one in answers))


def _kind_of(label: str) -> str | None:
    return next(iter(things_of_labels().get(label, ())), None)


def _share(right: int, answers: int, unknown: int = 0) -> Share:
    low, _ = wilson_interval(right, answers)
    _, high = wilson_interval(right + unknown, answers)
    return Share(right=right, answers=answers, low=low, high=high, unknown=unknown)


def _interval(share: Share) -> str:
    counted = _from_to(share.share, (share.right + share.unknown) / share.answers)
    return f"{counted} (95 %: {_from_to(share.low, share.high)})"


def _from_to(low: float, high: float) -> str:
    """Return `82 %`, or `69 to 90 %`."""
    least, most = round(low * 100), round(high * 100)
    return f"{least} %" if least == most else f"{least} to {most} %"
