"""A small archive that has all that the gallery tells apart, and what must be found in it, without SQL."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from storage.correction_tables import corrections
from storage.corrections import Word
from storage.gallery.filters import Filters, Sort
from storage.records import shown
from storage.runs import open_run
from storage.tables import chunks, image_things, images, models, outcomes
from tests.unit.storage.nights import MODEL
from vocabulary.kinds import classes, kinds_of_labels, things_of_labels, with_parents
from vocabulary.names import Thing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database

NIGHT = datetime(2026, 11, 22, 22, tzinfo=UTC)
IMAGES = 48
SMALLER = replace(MODEL, architecture="mobilenet_v2")
LABELS = ("pug", "tabby", "goose", "crane", "crane bird", "golden retriever", "lion")
#: By image: words that stand, and one that has ended. Images 8 and 9 have the same bytes.
SAID: dict[int, tuple[Word, ...]] = {
    1: (Word("label", label="tabby"),),
    2: (Word("wrong", not_label="goose"),),
    3: (Word("not", not_thing="dog"), Word("not", not_thing="bird")),
    8: (Word("right", label="tabby"),),
}
ENDED = {5: Word("label", label="tabby"), 1: Word("wrong", not_label="tabby")}
#: Two names that are written alike: one of bytes that are no UTF-8.
_ALIKE = {10: os.fsdecode(b"/a/caf\xe9.jpg"), 11: "/a/caf\\xe9.jpg"}
_FOLDERS = ("/a/b", "/a/b%", "/a/b_", "/a/bc/d", "/a/B", "/c")


def path(number: int) -> str:
    return _ALIKE.get(number, f"{_FOLDERS[number % len(_FOLDERS)]}/{number % 13:02}-{number:03}.jpg")


def plant(database: Database) -> None:
    """Plant the archive: one model labelled all of it, a smaller one a third of that, partly before, partly later."""
    first, _ = open_run(database, MODEL, engine="openvino", roots=["/a", "/c"], filters={}, labels=_IMAGENET)
    second, _ = open_run(database, SMALLER, engine="openvino", roots=["/a"], filters={}, labels=_IMAGENET)
    found = [_outcome(number, first.id, first.model_id) for number in range(1, IMAGES + 1)]
    found += [_outcome(number, second.id, second.model_id) for number in range(3, IMAGES, 3)]
    things = [one.pop("things") for one in found]
    with database.write() as connection:
        connection.execute(insert(images), [_image(number) for number in range(1, IMAGES + 1)])
        connection.execute(
            insert(chunks),
            [
                {"id": run.id, "run_id": run.id, "images": 1, "attempt": 1, "starts": 1, "suspect_starts": 0}
                for run in (first, second)
            ],
        )
        connection.execute(insert(outcomes), found)
        connection.execute(
            insert(image_things),
            [
                {"image_id": one["image_id"], "model_id": one["model_id"], "thing": thing, "score": score}
                for one, shown_things in zip(found, things, strict=True)
                for thing, score in shown_things
            ],
        )


def correct(database: Database) -> None:
    """Say what people say of the archive."""
    words: list[tuple[int, Word, datetime | None]] = [
        (number, word, None) for number, said in SAID.items() for word in said
    ]
    words += [(number, word, NIGHT) for number, word in ENDED.items()]
    with database.write() as connection:
        connection.execute(insert(corrections), [_correction(*one) for one in words])


_IMAGENET = [one.label for one in classes()]


def _image(number: int) -> dict[str, Any]:
    raw = path(number)
    is_text = raw.isascii()
    return {
        "id": number,
        "path": shown(raw),
        "path_hex": "" if is_text else os.fsencode(raw).hex(),
        "size": 1000 + number,
        "mtime_ns": int(datetime(2020 + number % 4, 6, 1, tzinfo=UTC).timestamp()) * 10**9 + number // 8,
    }


def _outcome(number: int, run_id: int, model_id: int) -> dict[str, Any]:
    is_first = run_id == 1
    fails = number % 11 == 0 and is_first
    best = LABELS[(number + (not is_first)) % len(LABELS)]
    others = [label for label in (LABELS[number * 3 % len(LABELS)], LABELS[number * 5 % len(LABELS)]) if label != best]
    scores = (0.4 + number % 5 / 10, 0.07, 0.02)
    labels = list(zip(dict.fromkeys([best, *others]), scores, strict=False))
    kinds = kinds_of_labels(labels)
    assert kinds
    ranked = {
        f"{part}_{rank}": labels[rank - 1][place] if rank <= len(labels) and not fails else None
        for rank in (1, 2, 3)
        for place, part in enumerate(("label", "score"))
    }
    return {
        "image_id": number,
        "model_id": model_id,
        "run_id": run_id,
        "chunk_id": run_id,
        "status": "failed" if fails else "ok",
        **ranked,
        "error_kind": ("damaged" if number % 2 else "truncated") if fails else None,
        "error": "it is broken" if fails else None,
        "kind": None if fails else kinds.kind,
        "kind_score": None if fails else kinds.score,
        "things": () if fails else kinds.things,
        "warning": "a strip is missing" if number % 9 == 0 and not fails else None,
        "width": None if fails else (640, 480, 500)[number % 3],
        "height": None if fails else (480, 640, 500)[number % 3],
        "size": 1000 + number,
        "mtime_ns": None,
        "content": None if number == 7 else f"{8 if number == 9 else number:032x}",
        "total_ms": 12.5,
        "worker": "host-1/1",
        # Eight at a time have one time, as those of a chunk do; the smaller model labelled half of its own first, and
        # one image in the same instant.
        "labelled_at": NIGHT
        + timedelta(hours=number // 8 + (0 if is_first or number == 6 else 30 if number % 2 else -30)),
    }


def _correction(number: int, word: Word, ended_at: datetime | None) -> dict[str, Any]:
    of_model = {"model_id": 1, "model_label": "tabby", "model_score": 0.5, "model_kind": "cat"}
    said = {**word._asdict(), "made_at": NIGHT, "ended_at": ended_at}
    return {"image_id": number, "content": f"{number:032x}", **of_model, **said}


def rows(database: Database) -> list[dict[str, Any]]:
    """Return all outcomes with their images, and what people say of them, as `words`."""
    query = (
        select(outcomes, images.c.path, images.c.mtime_ns.label("modified_ns"), models.c.architecture)
        .join(images, images.c.id == outcomes.c.image_id)
        .join(models, models.c.id == outcomes.c.model_id)
    )
    with database.read() as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
        standing = connection.execute(select(corrections).where(corrections.c.ended_at.is_(None))).all()
        shown_by = connection.execute(select(image_things)).all()
    things: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for one in shown_by:
        things[one.image_id, one.model_id][one.thing] = one.score
    for row in found:
        row["words"] = [one for one in standing if one.content == row["content"]]
        row["things"] = things[row["image_id"], row["model_id"]]
    return found


def expected(database: Database, filters: Filters, sort: Sort) -> list[dict[str, Any]]:
    """Return the rows that a gallery of these filters must show, in its order."""
    chosen = [row for row in rows(database) if filters.model_id in (None, row["model_id"])]
    chosen = [row for row in chosen if filters.run_id in (None, row["run_id"])]
    newest: dict[int, dict[str, Any]] = {}
    for row in sorted(chosen, key=lambda row: (row["labelled_at"], row["model_id"])):
        newest[row["image_id"]] = row
    left = [row for row in newest.values() if _passes(row, filters)]
    return sorted(left, key=lambda row: (_value(row, filters, sort), row["image_id"]), reverse=sort.is_descending)


def kind_of(row: dict[str, Any]) -> str | None:
    said = said_of(row)
    if said and row["label_1"]:
        return things_of_labels()[said][0]
    denied = {word.not_thing for word in row["words"]}
    return None if row["kind"] and denied.intersection(with_parents(row["kind"])) else row["kind"]


def said_of(row: dict[str, Any]) -> str | None:
    return next((word.label for word in row["words"] if word.label), None)


def orientation_of(row: dict[str, Any]) -> str:
    if row["width"] is None:
        return "unknown"
    return {1: "landscape", -1: "portrait", 0: "square"}[
        (row["width"] > row["height"]) - (row["width"] < row["height"])
    ]


def score_of(row: dict[str, Any], things: Sequence[Thing]) -> float:
    """Return the best score of some things; 2 where people say that it is one; -1 where it is none."""
    said = said_of(row)
    if said and row["label_1"]:
        is_one = any(thing.key in (things_of_labels()[said] if thing.is_kind else (said,)) for thing in things)
        return 2.0 if is_one else -1.0
    return max((_score(row, thing) for thing in things), default=-1.0)


def _score(row: dict[str, Any], thing: Thing) -> float:
    above = with_parents(thing.key) if thing.is_kind else things_of_labels()[thing.key]
    for word in row["words"]:
        if word.not_thing in above or (not thing.is_kind and word.not_label == thing.key):
            return -1.0
    if thing.is_kind:
        return float(row["things"].get(thing.key, -1.0))
    of_label = {row[f"label_{rank}"]: row[f"score_{rank}"] for rank in (1, 2, 3)}
    return float(of_label.get(thing.key, -1.0))


def _value(row: dict[str, Any], filters: Filters, sort: Sort) -> Any:
    match sort:
        case Sort.LABELLED:
            return row["labelled_at"]
        case Sort.SCORE:
            return score_of(row, filters.things)
        case Sort.PATH:
            return row["path"].encode()
    return row["modified_ns"]


def _passes(row: dict[str, Any], filters: Filters) -> bool:
    least = filters.min_score
    modified = datetime.fromtimestamp(row["modified_ns"] // 10**9, UTC)
    is_sure = bool(said_of(row)) or (row["score_1"] or 0) >= (least or 0)
    return all(
        (
            not filters.things or score_of(row, filters.things) >= (least or 0),
            bool(filters.things) or least is None or is_sure,
            filters.kind in (None, kind_of(row)),
            filters.folder is None or row["path"].startswith(filters.folder.rstrip("/") + "/"),
            filters.modified_from is None or modified >= filters.modified_from,
            filters.modified_until is None or modified < filters.modified_until,
            filters.labelled_from is None or row["labelled_at"] >= filters.labelled_from,
            filters.labelled_until is None or row["labelled_at"] < filters.labelled_until,
            filters.status in (None, row["status"]),
            filters.error_kind in (None, row["error_kind"]),
            filters.has_warning in (None, row["warning"] is not None),
            filters.corrected in (None, bool(row["words"])),
            filters.orientation in (None, orientation_of(row)),
        )
    )


def kinds(*names: str) -> tuple[Thing, ...]:
    return tuple(Thing(name, is_kind=True) for name in names)


def labels(*names: str) -> tuple[Thing, ...]:
    return tuple(Thing(name, is_kind=False) for name in names)


#: Each filter, some of them together, and what leaves nothing.
FILTERS: dict[str, Filters] = {
    "all": Filters(),
    "kind": Filters(things=kinds("dog")),
    "parent": Filters(things=kinds("animal")),
    "class": Filters(things=labels("tabby")),
    "several things": Filters(things=(*kinds("bird", "dog"), *labels("golden retriever"))),
    "class and kind of it": Filters(things=(*labels("goose"), *kinds("bird"))),
    "least score of a kind": Filters(things=kinds("dog", "bird"), min_score=0.5),
    "least score of a class": Filters(things=labels("goose"), min_score=0.05),
    "least score": Filters(min_score=0.6),
    "called": Filters(kind="cat"),
    "called dog": Filters(kind="dog"),
    "folder": Filters(folder="/a/b"),
    "folder with a slash": Filters(folder="/a/b_/"),
    "root": Filters(folder="/"),
    "no folder": Filters(folder="/nowhere"),
    "modified": Filters(
        modified_from=datetime(2021, 1, 1, tzinfo=UTC), modified_until=datetime(2022, 6, 2, tzinfo=UTC)
    ),
    "labelled": Filters(labelled_from=NIGHT + timedelta(hours=2), labelled_until=NIGHT + timedelta(hours=5)),
    "labelled by model": Filters(labelled_until=NIGHT + timedelta(hours=3), model_id=1),
    "model": Filters(model_id=2),
    "run": Filters(run_id=1),
    "run of another model": Filters(run_id=1, model_id=2),
    "ok": Filters(status="ok"),
    "failed": Filters(status="failed"),
    "error": Filters(error_kind="damaged"),
    "warning": Filters(has_warning=True),
    "no warning": Filters(has_warning=False, model_id=1),
    "corrected": Filters(corrected=True),
    "not corrected": Filters(corrected=False),
    "portrait": Filters(orientation="portrait"),
    "square": Filters(orientation="square"),
    "unknown": Filters(orientation="unknown"),
    "things in a folder": Filters(things=kinds("dog", "cat"), folder="/a", has_warning=False),
    "failed in a folder by model": Filters(status="failed", folder="/a", model_id=1),
    "corrected cats": Filters(things=kinds("cat"), corrected=True),
}
