"""Failed images are labelled again: by a run for each one that left some, of its model, with nothing but them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from common.errors import ModelError, UsageError
from runner.retry_failures import open_retry_runs
from storage.runs import get_run, open_run, progress
from tests.command import wait_until
from tests.unit.storage.nights import add, ask, label, label_all, number, photos, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from producer.manifest_writer import ManifestWriter
    from storage.database import Database
    from storage.records import Model, Run


def run_with_failures(database: Database, model: Model, *failing: str, root: str = "/photos", kind: str) -> Run:
    """Have a run label its archive, of which some images fail."""
    run, _ = open_run(database, model, engine="openvino", roots=[root], filters={})
    refs = [ref._replace(path=ref.path.replace("/photos", root)) for ref in photos(6)]
    add(database, run, refs, chunk_size=2)
    for chunk in take(database, run):
        assert label(database, chunk, failing=failing, kind=kind)
    return run


def retries(settings: Settings, database: Database, kinds: Sequence[str]) -> list[tuple[Run, ManifestWriter]]:
    """Open the runs that retry, and return each with what writes its manifest."""
    return [(opened.run, opened.manifest) for _, opened in open_retry_runs(settings, database, kinds)]


def write(writer: ManifestWriter) -> None:
    writer.start()

    def is_complete() -> bool | None:
        writer.check()
        return writer.is_complete or None

    wait_until(is_complete)


def waiting(database: Database, run: Run) -> list[str]:
    """Return the paths of the images in a run's manifest."""
    query = "select path from images join manifest m on m.image_id = images.id where m.run_id ="
    return sorted(path for (path,) in ask(database, f"{query} {run.id}"))


def test_where_nothing_failed_there_is_nothing_to_retry(
    database: Database, settings: Settings, resnet18: ReadyModel
) -> None:
    run_with_failures(database, resnet18.model, kind="damaged")
    assert retries(settings, database, []) == []


def test_a_retry_has_the_model_the_engine_and_the_archive_of_the_run_that_failed_and_only_its_failures(
    database: Database, settings: Settings, resnet18: ReadyModel
) -> None:
    failing = ("/photos/00001.jpg", "/photos/00004.jpg")
    failed = run_with_failures(database, resnet18.model, *failing, kind="damaged")

    ((run, writer),) = retries(settings, database, [])
    write(writer)

    assert run.id != failed.id
    assert (run.model, run.engine, run.roots) == (failed.model, failed.engine, failed.roots)
    assert waiting(database, run) == list(failing)
    assert writer.enqueued.added == 2
    assert number(database, "select count(*) from categories") == len(resnet18.categories)

    label_all(database, run)

    stored = get_run(database, run.id)
    assert stored
    assert stored.state == "finished"
    assert progress(database, run.id).ok == 2
    assert number(database, "select count(*) from results where status = 'failed'") == 0
    assert retries(settings, database, []) == []


def test_each_run_that_left_failures_is_retried_by_one_of_its_own(
    database: Database, settings: Settings, resnet18: ReadyModel
) -> None:
    run_with_failures(database, resnet18.model, "/photos/00000.jpg", kind="damaged")
    run_with_failures(database, resnet18.model, "/scans/00005.jpg", root="/scans", kind="vanished")

    opened = retries(settings, database, [])
    for _, writer in opened:
        write(writer)

    assert [(run.roots, waiting(database, run)) for run, _ in opened] == [
        (("/photos",), ["/photos/00000.jpg"]),
        (("/scans",), ["/scans/00005.jpg"]),
    ]


@pytest.mark.parametrize(
    ("kinds", "roots"), [(["vanished"], ["/scans"]), (["vanished", "damaged"], ["/photos", "/scans"]), (["poison"], [])]
)
def test_only_the_kinds_that_are_named_are_retried(
    database: Database, settings: Settings, resnet18: ReadyModel, kinds: list[str], roots: list[str]
) -> None:
    run_with_failures(database, resnet18.model, "/photos/00000.jpg", kind="damaged")
    run_with_failures(database, resnet18.model, "/scans/00005.jpg", root="/scans", kind="vanished")

    assert [run.roots[0] for run, _ in retries(settings, database, kinds)] == roots


def test_a_retry_that_was_interrupted_is_taken_up_again(
    database: Database, settings: Settings, resnet18: ReadyModel
) -> None:
    run_with_failures(database, resnet18.model, "/photos/00003.jpg", kind="damaged")
    ((first, writer),) = retries(settings, database, ["damaged", "vanished"])
    write(writer)

    ((failed_run, opened),) = open_retry_runs(settings, database, ["vanished", "damaged"])
    write(opened.manifest)

    again = opened.run
    assert (failed_run, again.id, opened.is_new) == (1, first.id, False)
    assert waiting(database, again) == ["/photos/00003.jpg"]


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(database: Database, settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"'broken'\. There are: vanished, .*damaged"):
        retries(settings, database, ["damaged", "broken"])
    assert number(database, "select count(*) from runs") == 0


def test_a_run_whose_weights_are_others_now_is_not_retried_with_those(
    database: Database, settings: Settings, resnet18: ReadyModel
) -> None:
    """Its failures would get the labels of another model under its name."""
    other = replace(resnet18.model, weights="0" * 64)
    run_with_failures(database, other, "/photos/00000.jpg", kind="damaged")

    with pytest.raises(ModelError, match="0" * 64):
        retries(settings, database, [])
    assert number(database, "select count(*) from runs") == 1
