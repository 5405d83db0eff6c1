"""Kinds: what people call the things that a model's classes show, and what those are in turn."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vocabulary.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ClassOfImageNet(NamedTuple):
    """One of the 1,000 classes that torchvision's models know."""

    class_index: int
    wnid: str  #: WordNet's id, `n02099601`
    label: str  #: torchvision's name, which results have
    kind: str


class Kinds(NamedTuple):
    """What an image shows, in kinds."""

    kind: str  #: the one with the largest sum
    score: float  #: its sum over all classes, 0…1
    things: tuple[tuple[str, float], ...]  #: the kinds among its best labels, and their parents, each with its sum


@cache
def parents() -> Mapping[str, str | None]:
    """Return the kinds, each with the kind above it; None: there is none."""
    return {row["kind"]: row["parent"] or None for row in read_table("decisions.tsv")}


@cache
def classes() -> tuple[ClassOfImageNet, ...]:
    """Return ImageNet's classes, in the order of a model's answer."""
    return tuple(
        ClassOfImageNet(int(row["class_index"]), row["wnid"], row["label"], row["kind"])
        for row in read_table("classes.tsv")
    )


def have_kinds(labels: Sequence[str]) -> bool:
    """Tell whether a model's labels are ImageNet's, in their order: no others have kinds."""
    return tuple(labels) == tuple(one.label for one in classes())


def with_parents(kind: str) -> tuple[str, ...]:
    """Return a kind and what it is in turn: dog, mammal, animal.

    Raises:
        KeyError: there is no such kind.

    """
    found = [kind]
    while (parent := parents()[found[-1]]) is not None:
        found.append(parent)
    return tuple(found)


@cache
def things_of_labels() -> Mapping[str, tuple[str, ...]]:
    """Return what a picture with a label shows, by ImageNet's labels: its kind and that kind's parents."""
    return {one.label: with_parents(one.kind) for one in classes()}


def kinds_of_labels(labels: Sequence[tuple[str, float]]) -> Kinds | None:
    """Return the kinds of an image of which only its best labels are known: each sum is at most that of
    `vocabulary.sums.KindSums`, over all classes.

    Args:
        labels: ImageNet's, each with its score, 0…1.

    Returns:
        None: none of the labels is ImageNet's.

    """
    own: dict[str, float] = defaultdict(float)
    things: dict[str, float] = defaultdict(float)
    for label, score in labels:
        for place, thing in enumerate(things_of_labels().get(label, ())):
            things[thing] += score
            if place == 0:
                own[thing] += score
    if not own:
        return None
    kind = max(own, key=own.__getitem__)  # of equals, the one of the better label
    return Kinds(kind, min(1.0, own[kind]), tuple((thing, min(1.0, score)) for thing, score in things.items()))
