"""Images are found by what they show: by kinds, what is above them, and classes; a person's word counts first."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from storage.correction_tables import corrections
from storage.manifest import add_images, mark_published
from storage.outcomes import Stored
from storage.records import ImageRef
from storage.runs import mark_scanned
from storage.things import find_images, things_in
from tests.conftest import open_empty
from tests.unit.storage.nights import (
    MODEL,
    ask,
    begin,
    begin_run,
    failure,
    published_chunk,
    sample,
    store_with_sample,
    success,
)
from vocabulary.kinds import kinds_of_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.database import Database
    from storage.records import Model, Outcome
    from storage.things import FoundImage

Labels = tuple[tuple[str, float], ...]
#: A name of bytes that are no UTF-8, as `os` gives it.
LATIN = os.fsdecode(b"/a/b\xe4/1.jpg")
#: Of each path, what a model labelled it as.
NIGHT: dict[str, Labels] = {
    "/a/b/breeds.jpg": (("golden retriever", 0.31), ("Labrador retriever", 0.30), ("kuvasz", 0.22)),
    "/a/b/pug.jpg": (("pug", 0.6), ("tabby", 0.25), ("bucket", 0.05)),
    "/a/b/tabby.jpg": (("tabby", 0.8), ("tiger cat", 0.15), ("lynx", 0.01)),
    "/a/bc/lion.jpg": (("lion", 0.9), ("cougar", 0.05)),
    "/a/b%/1.jpg": (("goose", 0.7), ("tabby", 0.1)),
    "/a/b_/1.jpg": (("goose", 0.65),),
    "/a/bx/1.jpg": (("goose", 0.64),),
    LATIN: (("goose", 0.6),),
    "/a/B/1.jpg": (("goose", 0.5),),
    "/a/machine.jpg": (("crane", 0.55),),
    "/a/bird.jpg": (("crane bird", 0.6),),
    "/a/copy of pug.jpg": (("pug", 0.6), ("tabby", 0.25), ("bucket", 0.05)),
}
#: What a smaller model made of some of them.
SECOND: dict[str, Labels] = {"/a/b/pug.jpg": (("pug", 0.9),), "/a/bc/lion.jpg": (("tabby", 0.7), ("lion", 0.2))}
YEARS = {"/a/b/breeds.jpg": 2020, "/a/b/pug.jpg": 2026}
#: By content, that of `/a/b/pug.jpg` and its copy.
SAME = "c" * 32
FAILED = "/a/b/broken.jpg"


def outcome(image_id: int, labels: Labels, **given: Any) -> Outcome:
    """Return what a worker stores, whose model gave all other classes nothing."""
    kinds = kinds_of_labels(labels)
    assert kinds
    return success(image_id, labels=labels, kind=kinds.kind, kind_score=kinds.score, things=kinds.things, **given)


def ref(path: str) -> ImageRef:
    return ImageRef(path, 1000, int(datetime(YEARS.get(path, 2023), 6, 1, tzinfo=UTC).timestamp()) * 10**9)


def label_night(database: Database, model: Model, night: Mapping[str, Labels], *, relabel: bool = False) -> None:
    run = begin_run(database, model, root="/a")
    add_images(database, run, [ref(path) for path in night], chunk_size=64, relabel=relabel)
    (chunk,) = mark_published(database, run.id, 1)
    claimed = begin(database, chunk)
    results = []
    for image in claimed.images:
        labels, mtime_ns = night[image.path], ref(image.path).mtime_ns
        content = SAME if "pug" in image.path else f"{image.image_id:032x}"
        given = {"size": 1000, "mtime_ns": mtime_ns, "content": content}
        results.append(
            outcome(image.image_id, labels, **given) if labels else failure(image.image_id, "damaged", **given)
        )
    assert store_with_sample(database, claimed, results, sample()) is Stored.DONE
    mark_scanned(database, run.id, skipped=0, ignored=0)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Images that two models have labelled, of which nobody has said anything. It is only read."""
    with open_empty(request, tmp_path_factory.mktemp("things")) as database:
        label_night(database, MODEL, {**NIGHT, FAILED: ()})
        label_night(database, replace(MODEL, architecture="mobilenet_v2"), SECOND)
        yield database


@pytest.fixture
def corrected(database: Database) -> Database:
    """The same by one model, to be corrected."""
    label_night(database, MODEL, NIGHT)
    return database


def found(database: Database, words: str, **given: Any) -> list[FoundImage]:
    return list(find_images(database, things_in(database, words), **given))


def paths(database: Database, words: str, **given: Any) -> list[str]:
    return [one.path for one in found(database, words, **given)]


def view(database: Database, thing: str) -> list[tuple[Any, ...]]:
    return ask(database, f"select path, score from things where thing = '{thing}' order by score desc, path")


def correct(database: Database, path: str, **said: str) -> None:
    """Have a person say something of an image, as the table has it."""
    ((image_id, content, model_id),) = ask(
        database,
        "select image_id, content, model_id from outcomes join images on images.id = image_id"
        f" where path = '{path}' order by model_id limit 1",
    )
    values = {"image_id": image_id, "content": content, "model_id": model_id, "made_at": datetime.now(UTC)}
    model = {"model_label": "some", "model_score": 0.5}
    answer = "label" if "label" in said else "not"
    with database.write() as connection:
        connection.execute(insert(corrections), {**values, **model, "answer": answer, **said})


def test_three_breeds_are_one_dog(night: Database) -> None:
    (best, *_) = [one for one in found(night, "dog") if one.path == "/a/b/breeds.jpg"]
    assert best.score == pytest.approx(0.83)


def test_an_image_comes_once_with_its_highest_score_however_many_models_labelled_it(night: Database) -> None:
    assert [(one.path, one.score) for one in found(night, "dog")] == [
        ("/a/b/pug.jpg", 0.9),
        ("/a/b/breeds.jpg", pytest.approx(0.83)),
        ("/a/copy of pug.jpg", 0.6),
    ]


def test_what_is_above_a_kind_has_all_of_its_images(night: Database) -> None:
    """All but the machine, and what has an animal in its second label alone has it too."""
    assert set(paths(night, "animal")) == set(NIGHT) - {"/a/machine.jpg"}


@pytest.mark.parametrize("words", ["tiger cat", "Tiger-Cat"])
def test_a_class_is_found_where_it_is_not_the_best_label(night: Database, words: str) -> None:
    assert [(one.path, one.score) for one in found(night, words)] == [("/a/b/tabby.jpg", 0.15)]


def test_a_class_is_found_in_all_three_places(night: Database) -> None:
    assert sorted(paths(night, "bucket")) == ["/a/b/pug.jpg", "/a/copy of pug.jpg"]
    assert paths(night, "kuvasz") == ["/a/b/breeds.jpg"]


@pytest.mark.parametrize("words", ["Hund", "狗", "chien", "perro", "犬"])
def test_a_name_in_any_language_finds_the_same(night: Database, words: str) -> None:
    assert paths(night, words) == paths(night, "dog")


def test_of_a_word_with_two_meanings_both_are_found_by_their_scores(night: Database) -> None:
    assert paths(night, "crane") == ["/a/bird.jpg", "/a/machine.jpg"]


@pytest.mark.parametrize(("least", "count"), [(0.0, 3), (0.6, 3), (0.61, 2), (0.9, 1), (0.91, 0)])
def test_a_least_score_is_kept(night: Database, least: float, count: int) -> None:
    assert len(found(night, "dog", min_score=least)) == count


def test_of_two_models_the_one_that_is_sure_enough_counts(night: Database) -> None:
    assert "/a/bc/lion.jpg" in paths(night, "tabby", min_score=0.7)
    assert "/a/bc/lion.jpg" in paths(night, "lion", min_score=0.9)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/a/b", ["/a/b/pug.jpg", "/a/b/breeds.jpg"]),
        ("/a/b/", ["/a/b/pug.jpg", "/a/b/breeds.jpg"]),
        ("/a/bc", []),
        ("/", ["/a/b/pug.jpg", "/a/b/breeds.jpg", "/a/copy of pug.jpg"]),
    ],
)
def test_a_folder_holds_what_is_below_it(night: Database, folder: str, expected: list[str]) -> None:
    assert paths(night, "dog", folder=folder) == expected


@pytest.mark.parametrize("folder", ["/a/b%", "/a/b_", "/a/B", os.fsdecode(b"/a/b\xe4")])
def test_a_folders_name_stands_for_itself(night: Database, folder: str) -> None:
    """Neither a pattern nor regardless of capitals."""
    assert paths(night, "goose", folder=folder) == [f"{folder}/1.jpg"]


def test_only_files_that_were_modified_since(night: Database) -> None:
    assert paths(night, "dog", since=datetime(2023, 6, 2, tzinfo=UTC)) == ["/a/b/pug.jpg"]
    assert len(paths(night, "dog", since=datetime(2023, 6, 1, tzinfo=UTC))) == 2


def test_a_path_that_is_not_utf_8_is_one_that_can_be_opened(night: Database) -> None:
    assert LATIN in paths(night, "goose")


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_the_first_few_are_the_first_of_all(night: Database, limit: int) -> None:
    """Whichever model they are from."""
    assert paths(night, "dog", limit=limit) == paths(night, "dog")[:limit]


def test_what_failed_shows_nothing(night: Database) -> None:
    assert ask(night, f"select kind, kind_score, label, label_source from results where path = '{FAILED}'") == [
        (None, None, None, None)
    ]
    assert ask(night, f"select * from things where path = '{FAILED}'") == []


def test_the_view_has_each_models_word(night: Database) -> None:
    assert view(night, "dog") == [
        ("/a/b/pug.jpg", 0.9),
        ("/a/b/breeds.jpg", pytest.approx(0.83)),
        ("/a/b/pug.jpg", 0.6),
        ("/a/copy of pug.jpg", 0.6),
    ]


def test_results_say_the_kind(night: Database) -> None:
    query = "select kind, kind_score, label, label_source from results where path = '/a/b/breeds.jpg'"
    assert ask(night, query) == [("dog", pytest.approx(0.83), "golden retriever", "model")]


def test_names_are_there_in_every_language(night: Database) -> None:
    query = "select name from names where label = 'tabby' and language in ('de', 'en') order by language"
    assert len(ask(night, query)) == 2
    assert ask(night, "select count(distinct language), count(*) from names") == [(6, 6000)]


def test_labelling_again_replaces_what_an_image_shows(corrected: Database) -> None:
    label_night(corrected, MODEL, {"/a/b/pug.jpg": (("goose", 0.8),)}, relabel=True)
    assert "/a/b/pug.jpg" not in paths(corrected, "dog")
    assert paths(corrected, "goose")[0] == "/a/b/pug.jpg"


def test_an_image_that_fails_when_it_is_labelled_again_shows_nothing_any_more(corrected: Database) -> None:
    label_night(corrected, MODEL, {"/a/b/pug.jpg": ()}, relabel=True)
    assert "/a/b/pug.jpg" not in paths(corrected, "dog")


def test_a_models_own_labels_are_found_though_they_have_no_kinds(database: Database) -> None:
    run = begin_run(database)
    with database.write() as connection:
        connection.exec_driver_sql(f"insert into categories values ({run.model_id}, 0, 'Scratch')")
    claimed = begin(database, published_chunk(database, run, 2))
    labels: Sequence[Labels] = ((("Scratch", 0.9),), (("dent", 0.6), ("Scratch", 0.3)))
    results = [success(image.image_id, labels=one) for image, one in zip(claimed.images, labels, strict=True)]
    store_with_sample(database, claimed, results, sample())

    assert [one.score for one in found(database, "scratch")] == [0.9, 0.3]
    assert ask(database, "select * from things") == []


def test_what_a_person_said_is_first_and_certain_and_holds_for_every_copy(corrected: Database) -> None:
    correct(corrected, "/a/b/pug.jpg", label="tabby")

    assert [(one.path, one.score, one.by_person, one.label) for one in found(corrected, "cat")][:3] == [
        ("/a/b/pug.jpg", 1.0, True, "tabby"),
        ("/a/copy of pug.jpg", 1.0, True, "tabby"),
        ("/a/b/tabby.jpg", pytest.approx(0.95), False, "tabby"),
    ]
    assert paths(corrected, "tabby")[:2] == ["/a/b/pug.jpg", "/a/copy of pug.jpg"]
    assert paths(corrected, "dog") == ["/a/b/breeds.jpg"]
    assert paths(corrected, "pug") == []
    assert [path for path, _ in view(corrected, "dog")] == ["/a/b/breeds.jpg"]
    assert view(corrected, "animal")[:2] == [("/a/b/pug.jpg", 1.0), ("/a/copy of pug.jpg", 1.0)]
    said = "select distinct label, label_source from results where path like '%pug.jpg'"
    assert ask(corrected, said) == [("tabby", "person")]


def test_what_is_denied_is_not_found_nor_what_is_below_it(corrected: Database) -> None:
    correct(corrected, "/a/b/pug.jpg", not_thing="mammal")

    assert paths(corrected, "dog") == ["/a/b/breeds.jpg"]
    assert paths(corrected, "pug") == []
    assert "/a/b/pug.jpg" not in [path for path, _ in view(corrected, "mammal")]
    assert "/a/b/pug.jpg" in paths(corrected, "animal")
    assert ask(corrected, "select label, label_source from results where path = '/a/b/pug.jpg'") == [(None, "person")]


def test_a_label_that_is_denied_is_still_of_its_kind(corrected: Database) -> None:
    correct(corrected, "/a/b/pug.jpg", not_label="pug")

    assert paths(corrected, "pug") == []
    assert {one.path: one.label for one in found(corrected, "dog")} == {
        "/a/b/pug.jpg": None,
        "/a/copy of pug.jpg": None,
        "/a/b/breeds.jpg": "golden retriever",
    }


def test_a_label_below_what_is_denied_is_not_shown(corrected: Database) -> None:
    correct(corrected, "/a/b/pug.jpg", not_thing="mammal")
    assert {one.label for one in found(corrected, "animal") if "pug" in one.path} == {None}


def test_what_was_taken_back_counts_no_more(corrected: Database) -> None:
    correct(corrected, "/a/b/pug.jpg", label="tabby")
    with corrected.write() as connection:
        connection.execute(corrections.update().values(ended_at=datetime.now(UTC)))

    assert len(paths(corrected, "dog")) == 3
    assert len(view(corrected, "dog")) == 3


def test_a_long_list_is_in_order_across_its_pages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page, many of one score: each once."""
    monkeypatch.setattr("storage.things._FIRST_PAGE", 7)
    claimed = begin(database, published_chunk(database, begin_run(database), 60))
    results = [outcome(image.image_id, (("pug", (place // 20) / 4),)) for place, image in enumerate(claimed.images)]
    store_with_sample(database, claimed, results, sample())

    scores = [one.score for one in found(database, "dog")]
    assert scores == sorted(scores, reverse=True)
    assert len(set(paths(database, "dog"))) == len(scores) == 60
