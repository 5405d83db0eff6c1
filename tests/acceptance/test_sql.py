"""The queries in `docs/sql.md`: each answers, on SQLite and on Postgres, what the tables hold."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from benchmarks.questions import PAGE, QUESTIONS
from common.settings import load_settings
from models.catalogue import find_entry
from storage.correction_tables import corrections
from storage.database import Database
from storage.manifest import add_images, mark_published
from storage.outcomes import Stored
from storage.records import ImageRef
from storage.runs import open_run
from storage.schema_version import ensure_schema
from storage.tables import images, outcomes
from tests.conftest import empty_database
from tests.unit.storage.nights import MODEL, begin, failure, sample, store_with_sample, success
from vocabulary.kinds import kinds_of_labels
from vocabulary.names import label_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.records import ChunkImage, Model, Outcome, Run

#: With what the page has a session on Postgres begin, and how one may be set before.
BEGINNING = re.findall(r"`(set [^`]+);`", PAGE)
ELSEWHERE = ("set time zone 'Pacific/Auckland'", "set datestyle to 'SQL, DMY'")
#: The text of these tests.
HERE = Path(__file__).read_text()

Labels = tuple[tuple[str, float], ...]
#: Path, the file's year, ResNet-18's labels, and MobileNetV2's one.
NIGHT: tuple[tuple[str, int, Labels, str], ...] = (
    ("/p/dogs/sure.jpg", 2023, (("Chihuahua", 0.9), ("pug", 0.05), ("toy terrier", 0.01)), "Chihuahua"),
    ("/p/dogs/unsure.jpg", 2023, (("Chihuahua", 0.25), ("pug", 0.2), ("toy terrier", 0.1)), "pug"),
    ("/p/dogs/bald.jpg", 2024, (("Mexican hairless", 0.85),), "Mexican hairless"),
    ("/p/wild/wolf.jpg", 2023, (("timber wolf", 0.9),), "timber wolf"),
    ("/p/wild/sea.jpg", 2023, (("sea lion", 0.9),), "sea lion"),
    ("/p/cats/both.jpg", 2024, (("tabby", 0.6), ("tiger cat", 0.3), ("lynx", 0.05)), "Egyptian cat"),
    ("/p/cats/copy.jpg", 2024, (("tabby", 0.5), ("lynx", 0.3), ("pug", 0.05)), "tabby"),
    ("/p/cats/again.jpg", 2024, (("tabby", 0.5), ("lynx", 0.3), ("pug", 0.05)), "tabby"),
    ("/p/large.jpg", 2024, (("castle", 0.7), ("tabby", 0.1)), "castle"),
)
YEARS = {path: year for path, year, *_ in NIGHT}
RESNET = {path: labels for path, _, labels, _ in NIGHT}
#: In bf16, ResNet-18 differs in one image.
RESNET_BF16: dict[str, Labels] = RESNET | {"/p/wild/wolf.jpg": (("white wolf", 0.6),)}
MOBILENET: dict[str, Labels] = {path: ((label, 0.8),) for path, _, _, label in NIGHT}
FAILURES = {"/p/broken/1.jpg": "truncated", "/p/broken/2.jpg": "truncated", "/p/gone.jpg": "vanished"}
FACTS: dict[str, dict[str, Any]] = {
    "/p/cats/copy.jpg": {"content": "c" * 32},
    "/p/cats/again.jpg": {"content": "c" * 32},
    "/p/dogs/sure.jpg": {"width": 480, "height": 640},
    "/p/large.jpg": {"width": 3000, "height": 4000, "decode_ms": 900.0, "warning": "its pixels end early"},
}
#: Two chunks for each model.
CHUNK_IMAGES = 6
#: When the newest run labelled its first chunk. The second came an hour later: in UTC, on another day.
EVENING = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def night_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name an empty database for all tests here, on SQLite and on Postgres."""
    with empty_database(request, tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture(scope="module")
def night(night_url: str, cache_dir: Path) -> Iterator[Database]:
    """A database that two models have filled, one of them in two precisions. It is planted once, and only read.

    Of the newest run that labelled anything, a file has changed since, and one is new. The run after it found nothing.
    """
    categories = find_entry("resnet18", cache_dir).categories
    with closing(Database(load_settings(database_url=night_url).database_url)) as database:
        ensure_schema(database)
        for days, model, labels_of in (
            (2, replace(MODEL, architecture="mobilenet_v2"), MOBILENET),
            (1, replace(MODEL, precision="bf16"), RESNET_BF16),
        ):
            _label(database, _open(database, model, "/p", categories), labels_of, EVENING - timedelta(days=days))
        newest = _open(database, MODEL, "/p", categories)
        _label(database, newest, RESNET, EVENING)
        _take_labels(database, newest, "/p/cats/again.jpg", of="/p/cats/copy.jpg")
        later = [_ref("/p/cats/both.jpg", size=2000), _ref("/p/late.jpg")]
        add_images(database, newest, later, chunk_size=CHUNK_IMAGES, relabel=False)
        _open(database, MODEL, "/empty", categories)
        _correct(database, "/p/cats/both.jpg", "pug")
        yield database


def _correct(database: Database, path: str, label: str) -> None:
    """Have a person say what an image shows."""
    of_path = (
        select(outcomes)
        .join(images, images.c.id == outcomes.c.image_id)
        .where(images.c.path == path)
        .order_by(outcomes.c.model_id)
    )
    with database.write() as connection:
        seen = connection.execute(of_path).first()
        assert seen
        model = {"model_id": seen.model_id, "model_label": seen.label_1, "model_score": seen.score_1}
        said = {"image_id": seen.image_id, "content": seen.content, "answer": "label", "label": label}
        connection.execute(insert(corrections), {**model, **said, "made_at": EVENING})


def _take_labels(database: Database, run: Run, path: str, *, of: str) -> None:
    """Have an image's labels be those of another one with the same bytes."""
    image, source = (select(images.c.id).where(images.c.path == one).scalar_subquery() for one in (path, of))
    with database.write() as connection:
        own = update(outcomes).where(outcomes.c.image_id == image, outcomes.c.run_id == run.id)
        connection.execute(own.values(copied_from=source))


def _open(database: Database, model: Model, root: str, categories: Sequence[str]) -> Run:
    run, _ = open_run(database, model, engine="openvino", roots=[root], filters={}, labels=categories)
    return run


def _ref(path: str, *, size: int = 1000) -> ImageRef:
    """Return a file of its year's last evening: further east, the next year has begun."""
    modified_at = datetime(YEARS.get(path, 2020), 12, 31, 18, tzinfo=UTC)
    return ImageRef(path, size, int(modified_at.timestamp()) * 10**9)


def _label(database: Database, run: Run, labels_of: Mapping[str, Labels], evening: datetime) -> None:
    refs = [_ref(path) for path in (*YEARS, *FAILURES)]
    add_images(database, run, refs, chunk_size=CHUNK_IMAGES, relabel=False)
    for number, chunk in enumerate(mark_published(database, run.id, len(refs))):
        worker = f"nas/{number + 1}"
        claimed = begin(database, chunk, worker)
        results = [_outcome(image, labels_of) for image in claimed.images]
        assert store_with_sample(database, claimed, results, sample(worker)) is Stored.DONE
        with database.write() as connection:
            of_chunk = update(outcomes).where(outcomes.c.chunk_id == chunk.id)
            connection.execute(of_chunk.values(labelled_at=evening + timedelta(hours=number)))


def _outcome(image: ChunkImage, labels_of: Mapping[str, Labels]) -> Outcome:
    path, ref = image.path, _ref(image.path)
    if path in FAILURES:
        return failure(image.image_id, FAILURES[path])
    facts: dict[str, Any] = {
        "labels": labels_of[path],
        "size": ref.size,
        "mtime_ns": ref.mtime_ns,
        "content": blake2b(path.encode(), digest_size=16).hexdigest(),
    }
    if kinds := kinds_of_labels(labels_of[path]):
        facts |= {"kind": kinds.kind, "kind_score": kinds.score, "things": kinds.things}
    return success(image.image_id, **facts | FACTS.get(path, {}))


def answer(database: Database, question: str) -> list[tuple[Any, ...]]:
    """Ask as the page says, in a session that was set otherwise before."""
    with database.read() as connection:
        if not database.is_sqlite:
            for setting in (*ELSEWHERE, *BEGINNING):
                connection.exec_driver_sql(setting)
        return [tuple(row) for row in connection.exec_driver_sql(QUESTIONS[question].replace("%", "%%"))]


def test_there_are_a_dozen_questions() -> None:
    assert len(QUESTIONS) >= 12


def test_every_statement_of_the_page_is_asked_here() -> None:
    assert PAGE.count("```sql") == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_to_every_question_is_held_against_the_tables_here(question: str) -> None:
    assert f'"{question}"' in HERE


def test_dogs_are_found_by_their_kind(night: Database) -> None:
    """Each model's word or a person's, and neither wolves nor sea lions; of a model's two precisions, both."""
    rows = answer(night, "All dogs with a score of at least 80 %")
    found = {(path, model, round(score, 3)) for path, score, model in rows}
    assert found == {
        ("/p/cats/both.jpg", "mobilenet_v2", 1.0),
        ("/p/cats/both.jpg", "resnet18", 1.0),
        ("/p/dogs/bald.jpg", "mobilenet_v2", 0.8),
        ("/p/dogs/bald.jpg", "resnet18", 0.85),
        ("/p/dogs/sure.jpg", "mobilenet_v2", 0.8),
        ("/p/dogs/sure.jpg", "resnet18", 0.96),
        ("/p/dogs/unsure.jpg", "mobilenet_v2", 0.8),
    }
    assert len(rows) == 10


def test_what_shows_a_kind_or_what_is_above_it_is_counted_once(night: Database) -> None:
    """Whatever number of models; the tabby that a person made a pug of is a dog, and still an animal."""
    question = "How many images show an animal, a dog, a vehicle"
    assert answer(night, question) == [("animal", 8), ("dog", 4)]


def test_kinds_are_counted(night: Database) -> None:
    """Each model's by themselves."""
    counts = {(model, kind): images for model, kind, images, _ in answer(night, "Number of images per kind and model")}
    assert (counts[1, "dog"], counts[2, "dog"], counts[3, "dog"]) == (3, 3, 3)
    assert sum(counts.values()) == 3 * len(NIGHT)


def test_a_dog_and_a_cat_in_one_image(night: Database) -> None:
    assert answer(night, "A dog and a cat in one image") == [("/p/cats/again.jpg",), ("/p/cats/copy.jpg",)]


def test_labels_have_names_in_german(night: Database) -> None:
    found = dict(answer(night, "The most frequent labels, in German"))
    assert found[label_names("de")["tabby"]] == 8
    assert sum(found.values()) == 3 * len(NIGHT)


def test_what_people_corrected_is_beside_what_models_said(night: Database) -> None:
    found = answer(night, "What people have corrected")
    assert sorted({(path, label) for path, *_, label in found}) == [("/p/cats/both.jpg", "pug")]
    assert len(found) == 3


def test_labels_are_counted(night: Database) -> None:
    """Each model's by themselves: MobileNetV2's, ResNet-18's in bf16, and in fp32."""
    found = answer(night, "Number of images per label and model")
    assert sorted(found[:2]) == [(2, "tabby", 3, pytest.approx(1.6 / 3)), (3, "tabby", 3, pytest.approx(1.6 / 3))]
    counts = {(model, label): images for model, label, images, _ in found}
    assert (counts[1, "tabby"], counts[1, "Egyptian cat"], counts[1, "pug"]) == (2, 1, 1)
    assert (counts[2, "Chihuahua"], counts[2, "white wolf"], counts[3, "timber wolf"]) == (2, 1, 1)
    assert sum(counts.values()) == 3 * len(NIGHT)


def test_one_label_among_three(night: Database) -> None:
    assert answer(night, "Images with a given label among their best three, and its score") == [
        ("/p/cats/again.jpg", 1, 0.8),
        ("/p/cats/copy.jpg", 1, 0.8),
        ("/p/cats/both.jpg", 1, 0.6),
        ("/p/large.jpg", 2, 0.1),
    ]


def test_two_things_on_one_picture(night: Database) -> None:
    assert answer(night, "Two things in one image") == [("/p/cats/both.jpg",)]


def test_what_a_model_is_not_sure_of(night: Database) -> None:
    found = answer(night, "Images with a low score, for review")
    assert sorted(found) == [
        ("/p/dogs/unsure.jpg", "resnet18", precision, "Chihuahua", 0.25, "pug", 0.2) for precision in ("bf16", "fp32")
    ]


def test_what_was_labelled_since_a_day(night: Database) -> None:
    """Neither the failures of that day nor what was labelled half an hour before it."""
    found = answer(night, "What was labelled since a given day, for the first time or again (put in your own date)")
    # SQLite answers with a text, Postgres with a time: both begin alike.
    assert [(*row[:-1], str(row[-1])[:16]) for row in found] == [
        ("/p/cats/again.jpg", "resnet18", "fp32", "tabby", 0.5, "2026-11-23 00:30"),
        ("/p/cats/copy.jpg", "resnet18", "fp32", "tabby", 0.5, "2026-11-23 00:30"),
        ("/p/large.jpg", "resnet18", "fp32", "castle", 0.7, "2026-11-23 00:30"),
    ]


def test_labels_by_the_year_of_the_file(night: Database) -> None:
    """Each image once for each label, though three models have labelled it."""
    assert answer(night, "Labels by the year of the file, here for dogs") == [
        ("2024", "Mexican hairless", 1),
        ("2023", "Chihuahua", 2),
        ("2023", "pug", 1),
    ]


def test_models_disagree(night: Database) -> None:
    """So do two precisions of one; and no pair is there twice."""
    found = answer(night, "Where two models, or two precisions of one, disagree although both have a high score")
    mobilenet, bf16, fp32 = ("mobilenet_v2", "fp32"), ("resnet18", "bf16"), ("resnet18", "fp32")
    assert sorted(found) == [
        ("/p/cats/both.jpg", *mobilenet, "Egyptian cat", *bf16, "tabby"),
        ("/p/cats/both.jpg", *mobilenet, "Egyptian cat", *fp32, "tabby"),
        ("/p/wild/wolf.jpg", *mobilenet, "timber wolf", *bf16, "white wolf"),
        ("/p/wild/wolf.jpg", *bf16, "white wolf", *fp32, "timber wolf"),
    ]


def test_models_of_one_name_disagree_too(database: Database) -> None:
    """The run tells them apart: each has a model of its own."""
    for weights, labels_of in (("a", RESNET), ("b", RESNET_BF16)):
        run = _open(database, replace(MODEL, weights=weights * 64), "/p", ())
        _label(database, run, labels_of, EVENING)
    assert answer(database, "Where two models, or two precisions of one, disagree although both have a high score") == [
        ("/p/wild/wolf.jpg", "resnet18", "fp32", "timber wolf", "resnet18", "fp32", "white wolf")
    ]


def test_failures_by_folder(night: Database) -> None:
    assert answer(night, "Failures by folder") == [("/p/broken/", "truncated", 2), ("/p/", "vanished", 1)]


def test_what_failed(night: Database) -> None:
    assert answer(night, "What failed, and why") == [
        ("/p/broken/1.jpg", "truncated", "it is truncated"),
        ("/p/broken/2.jpg", "truncated", "it is truncated"),
        ("/p/gone.jpg", "vanished", "it is vanished"),
    ]


def test_what_has_labels_though_it_is_damaged(night: Database) -> None:
    rows = answer(night, "Partly damaged images that have labels, with the damage in `warning`")
    assert rows == [("/p/large.jpg", "castle", 0.8, "its pixels end early")]


def test_the_slowest_image_is_first(night: Database) -> None:
    found = answer(night, "The slowest of the images that took over a tenth of a second")
    assert sorted((path, model, precision, decode_ms) for path, model, precision, _, decode_ms, *_ in found) == [
        ("/p/large.jpg", "mobilenet_v2", "fp32", 900.0),
        ("/p/large.jpg", "resnet18", "bf16", 900.0),
        ("/p/large.jpg", "resnet18", "fp32", 900.0),
    ]
    assert {row[-3:] for row in found} == {(3000, 4000, 1000)}


def test_what_has_no_outcome_yet(night: Database) -> None:
    """What is new, and what has changed since it was labelled: its old outcome does not count."""
    found = answer(night, "Images of the newest run that have no outcome yet")
    assert sorted(found) == [("/p/cats/both.jpg",), ("/p/late.jpg",)]


def test_copies_are_found(night: Database) -> None:
    question = "Duplicates, byte for byte, and the space that the copies take"
    assert answer(night, question) == [("/p/cats/copy.jpg", 2, 1000)]


def test_files_that_took_labels_name_the_file_that_had_them(night: Database) -> None:
    found = answer(night, "Files that took the labels of another file with the same bytes")
    assert found == [("/p/cats/again.jpg", "/p/cats/copy.jpg", "tabby", 0.5)]


def test_large_pictures_in_portrait(night: Database) -> None:
    assert answer(night, "Large images in portrait format") == [("/p/large.jpg", 12_000_000)]


def test_how_each_worker_did(night: Database) -> None:
    """In the newest run alone: both workers have labelled in the others too."""
    found = answer(night, "Images and mean times per worker, in the newest run that labelled anything")
    assert found == [("nas/1", 6, 3.0, 9.0), ("nas/2", 6, 302.0, 9.0)]


def test_the_speed_by_hour(night: Database) -> None:
    """In the newest run alone: the others labelled on the days before."""
    assert answer(night, "Images per hour in that run") == [("2026-11-22 23", 6), ("2026-11-23 00", 6)]
