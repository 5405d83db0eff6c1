"""What a chunk asks before it reads: which of the bytes that it may find have labels already, and what those are."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

import storage.known_contents
from storage.known_contents import MOST_OF_A_SIZE, known_contents, labels_of
from storage.outcome_figures import outcome_pages
from storage.outcomes import Stored, store
from storage.records import ImageRef
from storage.runs import COMPUTE_ALL, open_run
from tests.unit.storage.nights import (
    LABELS,
    MODEL,
    add,
    ask,
    begin,
    begin_run,
    change,
    failure,
    photos,
    success,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import Model, Run

SIZE = 1000
THINGS = (("dog", 0.9), ("animal", 0.95))


def content(number: int) -> str:
    return f"{number:032x}"


def run_with(database: Database, filters: dict[str, list[str]], model: Model = MODEL) -> Run:
    run, _ = open_run(database, model, engine="openvino", roots=["/photos"], filters=filters)
    return run


def claimed_chunk(database: Database, run: Run, refs: Sequence[ImageRef]) -> Claim:
    add(database, run, refs, chunk_size=len(refs), relabel=True)
    (chunk,) = take(database, run)
    return begin(database, chunk)


def label(database: Database, run: Run, refs: Sequence[ImageRef], **given: Any) -> list[int]:
    """Label images, each with a content of its own: the number of its id. Return the ids."""
    claimed = claimed_chunk(database, run, refs)
    ids = [image.image_id for image in claimed.images]
    results = [success(image_id, **({"size": SIZE, "content": content(image_id)} | given)) for image_id in ids]
    assert store(database, claimed, results, "host-1/1") is Stored.DONE
    return ids


def copies(count: int, size: int = SIZE) -> list[ImageRef]:
    """Return new files of that size."""
    return [ref._replace(path=ref.path.replace("photos", "copies")) for ref in photos(count, size=size)]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Write down the statements that are sent to a database."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            sent.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database._engine, "before_cursor_execute", note)


def test_a_chunk_knows_the_contents_of_images_of_its_sizes(database: Database) -> None:
    first, second = label(database, begin_run(database), photos(2))
    claimed = claimed_chunk(database, begin_run(database, root="/"), copies(3))
    assert known_contents(database, claimed) == {content(first): first, content(second): second}


def test_of_files_of_other_sizes_it_knows_none(database: Database) -> None:
    label(database, begin_run(database), photos(2))
    claimed = claimed_chunk(database, begin_run(database, root="/"), copies(3, size=SIZE + 1))
    assert known_contents(database, claimed) == {}


def test_labels_of_another_model_do_not_count(database: Database) -> None:
    label(database, begin_run(database), photos(2))
    other = begin_run(database, replace(MODEL, precision="int8"))
    assert known_contents(database, claimed_chunk(database, other, copies(3))) == {}


def test_a_failure_is_no_source(database: Database) -> None:
    run = begin_run(database)
    claimed = claimed_chunk(database, run, photos(1))
    (image,) = claimed.images
    store(database, claimed, [failure(image.image_id, size=SIZE, content=content(1))], "host-1/1")
    assert known_contents(database, claimed_chunk(database, run, copies(1))) == {}


def test_labels_of_before_contents_were_noted_are_no_source(database: Database) -> None:
    label(database, begin_run(database), photos(1), content=None)
    assert known_contents(database, claimed_chunk(database, begin_run(database, root="/"), copies(1))) == {}


def test_of_several_with_the_same_bytes_the_first_is_the_source(database: Database) -> None:
    first, *_ = label(database, begin_run(database), photos(3), content=content(7))
    claimed = claimed_chunk(database, begin_run(database, root="/"), copies(1))
    assert known_contents(database, claimed) == {content(7): first}


def test_what_is_a_copy_itself_is_no_source(database: Database) -> None:
    run = begin_run(database)
    (first,) = label(database, run, photos(1))
    label(database, run, photos(1, first=1), content=content(7), copied_from=first)
    assert known_contents(database, claimed_chunk(database, run, copies(1))) == {content(first): first}


@pytest.mark.parametrize("filters", [{"relabel": ["yes"]}, {"retry": ["1"], "kinds": []}])
def test_whoever_labels_again_takes_only_labels_of_the_same_run(
    database: Database, filters: dict[str, list[str]]
) -> None:
    label(database, begin_run(database), photos(2))
    again = run_with(database, filters)
    (own,) = label(database, again, photos(1, first=5))
    assert known_contents(database, claimed_chunk(database, again, copies(1))) == {content(own): own}


def test_a_run_that_measures_takes_none(database: Database) -> None:
    run = run_with(database, COMPUTE_ALL)
    label(database, run, photos(2))
    assert (run.reuse, known_contents(database, claimed_chunk(database, run, copies(1)))) == ("never", {})


def test_of_a_size_that_many_have_the_oldest_are_looked_at(database: Database) -> None:
    ids = label(database, begin_run(database), photos(MOST_OF_A_SIZE + 3))
    larger = label(database, begin_run(database, root="/"), copies(2, size=SIZE + 1), size=SIZE + 1)
    refs = [*copies(1), ImageRef("/copies/larger.jpg", SIZE + 1, 1)]
    known = known_contents(database, claimed_chunk(database, begin_run(database, root="/copies"), refs))
    assert sorted(known.values()) == [*ids[:MOST_OF_A_SIZE], *larger]


def test_a_chunk_asks_once(database: Database) -> None:
    label(database, begin_run(database), photos(5))
    claimed = claimed_chunk(database, begin_run(database, root="/"), copies(5))
    with counted(database) as sent:
        known = known_contents(database, claimed)
        assert len(sent) == 1
        labels_of(database, claimed, {source: content for content, source in known.items()})
    assert len(sent) == 2


def test_the_question_is_answered_from_the_index_of_sizes(database: Database) -> None:
    """Also where little is in the tables, and a database would read them whole."""
    with database.read() as connection:
        statement = storage.known_contents._KNOWN.params(chunk=1, model=1)
        shown = str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        if database.is_sqlite:
            plan = str(connection.exec_driver_sql(f"explain query plan {shown}").all())
        else:
            connection.exec_driver_sql("set local enable_seqscan = off")
            plan = str(connection.exec_driver_sql(f"explain {shown}").all())
    assert plan.count("outcomes_by_size") == 2


def test_what_a_model_says_of_an_image_is_read_back_whole(database: Database) -> None:
    run = begin_run(database)
    shared = {
        "labels": LABELS,
        "kind": "dog",
        "kind_score": 0.9,
        "warning": "cut off",
        "width": 64,
        "height": 48,
        "computed_in": "fp32",
    }
    (first,) = label(database, run, photos(1), things=THINGS, **shared)
    claimed = claimed_chunk(database, run, copies(1))
    found = labels_of(database, claimed, {first: content(first)})[first]
    assert {name: getattr(found, name) for name in shared} == shared
    assert sorted(found.things) == sorted(THINGS)


def test_a_model_with_fewer_labels_gives_as_many(database: Database) -> None:
    run = begin_run(database)
    (first,) = label(database, run, photos(1), labels=LABELS[:2])
    found = labels_of(database, claimed_chunk(database, run, copies(1)), {first: content(first)})
    assert (found[first].labels, found[first].things) == (LABELS[:2], ())


@pytest.mark.parametrize(
    "changed",
    [
        f"content = '{content(9)}'",
        "content = null",
        "label_1 = null, error_kind = 'damaged', status = 'failed'",
        "copied_from = image_id",
    ],
)
def test_who_has_changed_since_the_question_is_left_out(database: Database, changed: str) -> None:
    run = begin_run(database)
    first, second = label(database, run, photos(2))
    claimed = claimed_chunk(database, run, copies(1))
    change(database, f"update outcomes set {changed} where image_id = {first}")
    assert set(labels_of(database, claimed, {one: content(one) for one in (first, second)})) == {second}


def test_labels_of_another_model_are_not_read(database: Database) -> None:
    (first,) = label(database, begin_run(database), photos(1))
    other = begin_run(database, replace(MODEL, precision="int8"))
    claimed = claimed_chunk(database, other, copies(1))
    assert labels_of(database, claimed, {first: content(first)}) == {}


def test_what_is_left_out_of_times_is_what_was_not_computed(database: Database) -> None:
    run = begin_run(database)
    (first,) = label(database, run, photos(1))
    label(database, run, photos(1, first=1), copied_from=first, decode_ms=None, infer_ms=None)
    (page,) = outcome_pages(database, run.id)
    assert sorted(map(str, page.stages_ms["decode"])) == ["3.0", "nan"]
    assert ask(database, "select count(*) from results where copied_from is not null") == [(1,)]
