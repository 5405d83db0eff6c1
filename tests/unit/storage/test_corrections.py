"""What people say of images stands, is replaced and taken back, and outlives models, relabelling and moves."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from common.errors import DatabaseError, UsageError
from storage.class_names import class_called, denials
from storage.corrections import Picture, Word, find_picture, is_label, right, say, standing, take_back, wrong
from storage.things import find_images, things_in
from tests.unit.storage.nights import ask
from tests.unit.storage.pictures import OTHER_MODEL, RETRIEVER, TABBY, content_of, label_as

if TYPE_CHECKING:
    from storage.database import Database

CAT = "/photos/cat.jpg"
NOT_CAT = Word("not", not_thing="cat")
NOT_DOG = Word("not", not_thing="dog")


@pytest.fixture
def cat(database: Database) -> Picture:
    """A picture that the model takes for a tabby."""
    label_as(database, {CAT: TABBY, "/photos/dog.jpg": RETRIEVER})
    return find_picture(database, CAT)


def result(database: Database, path: str = CAT) -> tuple[object, ...]:
    (row,) = ask(database, f"select label, label_source from results where path = '{path}'")
    return row


def found(database: Database, words: str) -> list[str]:
    return sorted(image.path for image in find_images(database, things_in(database, words)))


def test_a_picture_is_what_the_model_said_of_it(cat: Picture) -> None:
    assert (cat.path, cat.model, cat.label, cat.score, cat.kind, cat.kind_score) == (
        *(CAT, "resnet18", "tabby", 0.75, "cat", 0.9),
    )


def test_a_word_of_a_person_comes_first_in_results_and_in_find(database: Database, cat: Picture) -> None:
    say(database, [(cat, is_label(cat, "pug"))])
    assert result(database) == ("pug", "person")
    assert (found(database, "cat"), found(database, "dog")) == ([], [CAT, "/photos/dog.jpg"])


def test_right_and_wrong_are_the_persons_word_too(database: Database, cat: Picture) -> None:
    say(database, [(cat, right(cat))])
    assert result(database) == ("tabby", "person")
    say(database, [(cat, wrong(cat))])
    assert result(database) == (None, "person")


def test_the_models_own_label_by_name_is_right() -> None:
    picture = Picture(
        image_id=1, path=CAT, content="0", model_id=1, model="m", label="tabby", score=1, kind=None, kind_score=None
    )
    assert is_label(picture, "tabby") == Word("right", label="tabby")


def test_a_new_word_ends_the_one_that_stands_and_history_is_kept(database: Database, cat: Picture) -> None:
    for word in (right(cat), is_label(cat, "pug"), wrong(cat), is_label(cat, "lynx")):
        say(database, [(cat, word)])
        assert standing(database, cat.content) == (word,)
    rows = ask(database, "select answer, ended_at is null, model_label from corrections order by id")
    assert [(answer, bool(stands), label) for answer, stands, label in rows] == [
        *(("right", False, "tabby"), ("label", False, "tabby"), ("wrong", False, "tabby"), ("label", True, "tabby")),
    ]


def test_a_word_on_one_picture_leaves_those_on_others_as_they_are(database: Database, cat: Picture) -> None:
    dog = find_picture(database, "/photos/dog.jpg")
    say(database, [(cat, right(cat)), (dog, wrong(dog))])
    take_back(database, [dog])
    assert (standing(database, cat.content), standing(database, dog.content)) == ((right(cat),), ())


def test_several_nots_stand_together_and_each_once(database: Database, cat: Picture) -> None:
    for word in (NOT_CAT, NOT_DOG, NOT_CAT):
        say(database, [(cat, word)])
    assert set(standing(database, cat.content)) == {NOT_CAT, NOT_DOG}
    assert len(standing(database, cat.content)) == 2
    assert result(database) == (None, "person")


@pytest.mark.parametrize(
    ("later", "stands"),
    [
        (NOT_CAT, (NOT_CAT,)),  # a tabby is one
        (Word("not", not_label="tabby"), (Word("not", not_label="tabby"),)),
        (NOT_DOG, (Word("right", label="tabby"), NOT_DOG)),  # which it never said
    ],
)
def test_not_ends_a_label_that_it_denies_and_no_other(
    database: Database, cat: Picture, later: Word, stands: tuple[Word, ...]
) -> None:
    say(database, [(cat, right(cat))])
    say(database, [(cat, later)])
    assert standing(database, cat.content) == stands


def test_a_label_ends_the_not_that_it_contradicts(database: Database, cat: Picture) -> None:
    say(database, [(cat, NOT_CAT)])
    say(database, [(cat, is_label(cat, "tabby"))])
    assert result(database) == ("tabby", "person")
    assert found(database, "cat") == [CAT]


def test_undo_ends_all_that_stands_and_brings_nothing_back(database: Database, cat: Picture) -> None:
    say(database, [(cat, is_label(cat, "pug"))])
    for word in (NOT_DOG, NOT_CAT):
        say(database, [(cat, word)])
    take_back(database, [cat])
    assert standing(database, cat.content) == ()
    assert result(database) == ("tabby", "model")
    with pytest.raises(UsageError, match=r"^Nothing to undo: nobody said anything of /photos/cat\.jpg that stands\.$"):
        take_back(database, [cat])


def test_of_several_pictures_all_are_taken_back_or_none(database: Database, cat: Picture) -> None:
    dog = find_picture(database, "/photos/dog.jpg")
    say(database, [(cat, right(cat))])
    with pytest.raises(UsageError, match="Nothing to undo"):
        take_back(database, [cat, dog])
    assert standing(database, cat.content) == (right(cat),)
    take_back(database, [cat, cat])


def test_a_skip_changes_nothing_that_stands(database: Database, cat: Picture) -> None:
    say(database, [(cat, right(cat))])
    say(database, [(cat, Word("skip"))])
    assert standing(database, cat.content) == (right(cat),)


def test_words_outlive_relabelling_other_models_and_a_moved_file(database: Database, cat: Picture) -> None:
    say(database, [(cat, is_label(cat, "Egyptian cat"))])
    label_as(database, {CAT: ("lynx", "wild cat")})
    assert result(database) == ("Egyptian cat", "person")

    label_as(database, {"/photos/moved/cat.jpg": TABBY}, OTHER_MODEL, contents={"/photos/moved/cat.jpg": cat.content})
    assert result(database, "/photos/moved/cat.jpg") == ("Egyptian cat", "person")
    moved = find_picture(database, "/photos/moved/cat.jpg")
    assert standing(database, moved.content) == (Word("label", label="Egyptian cat"),)


def test_other_bytes_under_the_same_name_are_another_picture(database: Database, cat: Picture) -> None:
    say(database, [(cat, is_label(cat, "pug"))])
    label_as(database, {CAT: TABBY}, contents={CAT: content_of("other bytes")})
    assert result(database) == ("tabby", "model")


def test_the_newest_labels_are_meant_or_those_of_a_model(database: Database, cat: Picture) -> None:
    label_as(database, {CAT: ("lynx", "wild cat")}, OTHER_MODEL)
    assert find_picture(database, CAT).label == "lynx"
    assert find_picture(database, CAT, "resnet18").label == "tabby"
    with pytest.raises(UsageError, match=r"was not labelled by vgg16, but by mobilenet_v2, resnet18\."):
        find_picture(database, CAT, "vgg16")


def test_a_name_that_is_not_utf8_is_found(database: Database) -> None:
    path = os.fsdecode(b"/photos/caf\xe9.jpg")
    label_as(database, {path: TABBY})
    assert find_picture(database, path).path == path
    with pytest.raises(DatabaseError):  # what is shown of it is another name
        find_picture(database, "/photos/caf\\xe9.jpg")


def test_what_has_no_labels_and_what_has_no_content_is_said(database: Database) -> None:
    label_as(database, {"/photos/broken.jpg": None, CAT: TABBY}, contents={CAT: None})
    with pytest.raises(DatabaseError, match=r"^/photos/nowhere\.jpg is not in "):
        find_picture(database, "/photos/nowhere.jpg")
    with pytest.raises(UsageError, match=r"^/photos/broken\.jpg has no label: it failed \(damaged\)\."):
        find_picture(database, "/photos/broken.jpg")
    with pytest.raises(UsageError, match=r"labelled by an earlier version.*nightlabel run PATH --relabel$"):
        find_picture(database, CAT)


@pytest.mark.parametrize(
    ("words", "label"),
    [
        *(("tabby", "tabby"), ("TABBY", "tabby"), ("Golden-Retriever", "golden retriever"), ("水母", "jellyfish")),
        *(("Qualle", "jellyfish"), ("teapot", "teapot"), ("zebra", "zebra"), ("crane", "crane")),
    ],
)
def test_a_class_is_found_by_any_of_its_names(database: Database, cat: Picture, words: str, label: str) -> None:
    assert class_called(database, cat.model_id, words) == label


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("dog", r"^'dog' is a kind: say which class of it, as Chihuahua, .*, …\.$"),
        ("Hund", r"^'Hund' is a kind: say which class of it, as Chihuahua, "),
        ("golden retreiver", r"^The model has no class that is called 'golden retreiver'\. Did you mean: golden retr"),
        ("qqqqqqqqq", r"^The model has no class that is called 'qqqqqqqqq'\.$"),
        ("", r"^The model has no class that is called ''\."),
    ],
)
def test_what_is_no_class_is_said(database: Database, cat: Picture, words: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        class_called(database, cat.model_id, words)


def test_what_a_picture_is_not_is_a_class_or_a_kind_in_any_language(database: Database, cat: Picture) -> None:
    assert denials(database, "Hund") == (NOT_DOG,)
    assert denials(database, "tabby") == (Word("not", not_label="tabby"),)
    with pytest.raises(UsageError, match=r"^Nothing is called 'dgo'\. Did you mean: "):
        denials(database, "dgo")


def test_of_two_who_name_a_picture_at_once_the_later_one_stands(database: Database, cat: Picture) -> None:
    words = [is_label(cat, label) for label in ("pug", "lynx", "Egyptian cat", "tabby")] * 5
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda word: say(database, [(cat, word)]), words))
    assert len(standing(database, cat.content)) == 1
    assert ask(database, "select count(*) from corrections") == [(20,)]
