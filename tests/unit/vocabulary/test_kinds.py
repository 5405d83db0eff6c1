"""Kinds: derived from WordNet, and summed over all classes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from torchvision.models import ResNet18_Weights

from tests.conftest import missing
from vocabulary import derive
from vocabulary.derive import WORDNET, Synset, nearest_kind, read_wordnet
from vocabulary.kinds import classes, have_kinds, parents, things_of_labels, with_parents
from vocabulary.sums import KindSums
from vocabulary.tables import FOLDER, read_table

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.fixture(scope="module")
def wordnet() -> Path:
    if not WORDNET.is_file():
        missing("no WordNet: apt-get install wordnet-base")
    return WORDNET


@pytest.fixture(scope="module")
def sums() -> KindSums:
    found = KindSums.for_labels(LABELS)
    assert found
    return found


def kind_of(label: str) -> str:
    return things_of_labels()[label][0]


def answer(**probabilities: float) -> np.ndarray:
    """A model's answer: these labels' probabilities, and the rest spread over no class."""
    row = np.zeros(len(LABELS), np.float32)
    for label, probability in probabilities.items():
        row[LABELS.index(label.replace("_", " "))] = probability
    return row


def test_the_classes_are_torchvisions_in_its_order() -> None:
    assert [one.label for one in classes()] == LABELS
    assert [one.class_index for one in classes()] == list(range(1000))
    assert have_kinds(LABELS)
    assert not have_kinds(LABELS[::-1])
    assert not have_kinds(["cat", "dog"])


def test_the_ids_are_wordnets_in_its_order(photos: Path) -> None:
    ids = [one.wnid for one in classes()]

    assert all(one < other for one, other in pairwise(ids))
    named = {photo.name[:9]: photo.stem[10:] for photo in photos.glob("n*.jpg")}
    assert {one.wnid: one.label.replace(" ", "_") for one in classes() if one.wnid in named} == named


def test_the_kinds_of_classes_are_what_the_decisions_say_today(wordnet: Path) -> None:
    assert derive.derive(wordnet) == (FOLDER / derive.CLASSES).read_text()


def test_each_label_is_a_word_of_its_synset(wordnet: Path) -> None:
    synsets = read_wordnet(wordnet)
    # torchvision tells two pairs of one name apart by a word.
    others = {one.label for one in classes() if one.label not in synsets[one.wnid].words}
    assert others == {"crane bird", "maillot tank suit"}


def test_each_decision_is_read_where_its_synset_is_called_so(wordnet: Path) -> None:
    synsets = read_wordnet(wordnet)
    for row in read_table("decisions.tsv"):
        for synset in filter(None, row["synsets"].split(", ")):
            wnid, _, word = synset.partition(" ")
            assert synsets[wnid].words[0] == word


def test_the_nearest_decision_counts_and_a_tie_is_an_error() -> None:
    synsets = {
        "pug": Synset(("pug",), ("dog",)),
        "dog": Synset(("dog",), ("canine", "pet")),
        "canine": Synset(("canine",), ()),
        "pet": Synset(("pet",), ()),
    }
    assert nearest_kind("pug", synsets, {"dog": "dog", "canine": "mammal"}) == "dog"
    assert nearest_kind("pug", synsets, {"canine": "mammal"}) == "mammal"
    with pytest.raises(ValueError, match="as near to mammal as to pet"):
        nearest_kind("pug", synsets, {"canine": "mammal", "pet": "pet"})
    with pytest.raises(ValueError, match="below no decision"):
        nearest_kind("pug", synsets, {})


def test_there_are_as_many_kinds_as_people_have_words_for() -> None:
    assert 150 <= len(parents()) <= 300
    assert set(Counter(one.kind for one in classes())) <= set(parents())
    used = {thing for things in things_of_labels().values() for thing in things}
    assert used == set(parents()), "a kind that no picture can have"


def test_parents_lead_up_to_an_end() -> None:
    assert with_parents("dog") == ("dog", "mammal", "animal")
    assert kind_of("golden retriever") == "dog"
    for kind in parents():
        assert len(set(with_parents(kind))) == len(with_parents(kind)) <= 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tabby", "pug"),
        ("sports car", "pickup"),
        ("coffee mug", "soup bowl"),
        ("crane", "crane bird"),
        ("school bus", "moving van"),
        ("laptop", "cellular telephone"),
        ("tiger", "tabby"),
        ("canoe", "container ship"),
    ],
)
def test_what_people_tell_apart_is_apart(one: str, other: str) -> None:
    assert kind_of(one) != kind_of(other)


def test_classes_of_one_name_stay_two() -> None:
    assert kind_of("maillot") == kind_of("maillot tank suit") == "swimwear"
    assert (kind_of("crane"), kind_of("crane bird")) == ("crane (machine)", "crane (bird)")


def test_three_breeds_are_one_dog(sums: KindSums) -> None:
    row = answer(golden_retriever=0.31, Labrador_retriever=0.30, kuvasz=0.22, tabby=0.17)
    found = sums.of(row, np.argsort(-row)[:3].tolist())

    assert (found.kind, round(found.score, 6)) == ("dog", 0.83)
    assert {thing: round(score, 6) for thing, score in found.things} == {"dog": 0.83, "mammal": 1.0, "animal": 1.0}


def test_the_kind_is_summed_over_all_classes_not_over_the_labels(sums: KindSums) -> None:
    row = np.zeros(1000, np.float32)
    row[151:269] = 0.6 / 118  # every dog a little
    for label in ("tench", "teapot", "alp"):
        row[LABELS.index(label)] = 0.4 / 3
    found = sums.of(row, np.argsort(-row)[:3].tolist())

    assert (found.kind, round(found.score, 4)) == ("dog", 0.6)
    things = dict(found.things)
    assert {"dog", "mammal", "animal", "fish", "teapot", "mountain", "landscape"} == set(things)
    assert round(things["animal"], 4) == round(0.6 + 0.4 / 3, 4)


def test_no_score_is_over_one(sums: KindSums) -> None:
    row = answer(pug=0.7, boxer=0.32)  # as from an engine that computes in 16 bits
    found = sums.of(row, [LABELS.index("pug"), LABELS.index("boxer")])

    assert found.score == 1
    assert all(0 <= score <= 1 for _, score in found.things)


def test_other_label_sets_have_no_kinds() -> None:
    assert KindSums.for_labels(["cat", "dog"]) is None
