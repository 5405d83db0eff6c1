"""`nightlabel run`, as a person types it: real photos, real weights, real workers."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.command import LONG_S, wait_until_gone

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Nightlabel

#: At least so many of the 125 photos must be right, first and in the first three; and torchvision fp32's own counts.
_RIGHT = {"resnet18": (100, 113), "mobilenet_v2": (102, 115)}


def _one_outcome_each(nightlabel: Nightlabel, images: int) -> None:
    """Nothing lost, nothing twice: manifest and outcomes agree, and every chunk is done."""
    assert nightlabel.sql("select count(*) from manifest") == [(images,)]
    assert nightlabel.sql("select count(*), count(distinct path) from results") == [(images, images)]
    assert nightlabel.sql("select count(*), sum(images), sum(ok) + sum(failed) from chunks where done_at is null") == [
        (0, None, None)
    ]
    assert nightlabel.sql("select sum(images), sum(ok) + sum(failed) from chunks") == [(images, images)]


def _children(process: subprocess.Popen[str], *, of_worker: bool = False) -> list[psutil.Process]:
    """Return the worker's main process, or the processes that label, below a `nightlabel run`."""
    mains = [child for child in psutil.Process(process.pid).children() if "worker" in " ".join(child.cmdline())]
    return [grandchild for main in mains for grandchild in main.children()] if of_worker else mains


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v2"])
def test_real_photos_get_the_right_labels(nightlabel: Nightlabel, photos: Path, model: str) -> None:
    done = nightlabel("run", photos, "--model", model)

    assert done.returncode == 0, done.stderr
    _one_outcome_each(nightlabel, 125)
    top_3 = {
        os.path.basename(path): labels
        for path, *labels in nightlabel.sql("select path, label_1, label_2, label_3 from results where status = 'ok'")
    }
    with (photos / "truth.csv").open() as file:
        truth = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    first = sum(top_3[file][0] == label for file, label in truth)
    among = sum(label in top_3[file] for file, label in truth)
    assert (first, among) >= _RIGHT[model]
    assert among >= _RIGHT[model][1]


def test_the_report_at_the_end_counts_what_the_tables_hold(nightlabel: Nightlabel, photos: Path) -> None:
    done = nightlabel("run", photos)

    assert "125: 125 labelled, 0 failed" in done.stdout
    figures = json.loads(nightlabel("report", "--json").stdout)
    assert figures["images"] == {
        "total": 125,
        "ok": 125,
        "failed": 0,
        "missing": 0,
        "doubtful": 0,
        "taken_over": 0,
        "copied": 0,
        "already_labelled": 0,
        "not_images": 1,  # truth.csv
    }
    assert sum(worker["images"] for worker in figures["workers"]) == 125


def test_workers_leave_what_the_report_needs(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(20)
    shutil.copyfile(folder / "000" / "00003.jpg", folder / "copy.jpg")

    assert nightlabel("run", folder, "--workers", "1").returncode == 0

    labelling, main = nightlabel.sql("select worker, rss_bytes > 1e7, cpu_s > 0 from samples order by worker desc")
    assert labelling[0] == f"{main[0]}/1"
    assert labelling[1:] == main[1:] == (1, 1)
    assert nightlabel.sql("select count(*) from categories") == [(1000,)]
    with (folder / "copy.jpg").open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    assert nightlabel.sql(f"select count(*) from results where content = '{content}'") == [(2,)]
    report = json.loads(nightlabel("report", "--json").stdout)
    assert report["outcomes"]["duplicates"]["largest"] == [[content, 2]]


def test_progress_is_plain_lines_where_there_is_no_terminal(nightlabel: Nightlabel, photos: Path) -> None:
    done = nightlabel("run", photos)

    assert re.search(r"^\d+ of \d+ images", done.stderr, re.MULTILINE)
    assert "\x1b" not in done.stderr + done.stdout


def test_a_second_run_labels_only_what_is_new_or_changed(
    nightlabel: Nightlabel, archive: Callable[[int], Path], photos: Path
) -> None:
    folder = archive(20)
    nightlabel("run", folder)
    changed = folder / "000" / "00003.jpg"
    shutil.copyfile(sorted(photos.glob("*.jpg"))[50], changed)
    shutil.copyfile(sorted(photos.glob("*.jpg"))[51], folder / "new.jpg")

    done = nightlabel("run", folder)

    assert "2: 2 labelled, 0 failed" in done.stdout
    assert "19 more had their labels already" in done.stdout
    assert nightlabel.sql("select count(*) from results where run_id = 2") == [(2,)]
    assert nightlabel.sql("select count(*) from results") == [(21,)]


def test_a_folder_that_was_renamed_takes_the_labels_that_its_photos_have(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    folder = archive(20)
    shutil.copyfile(folder / "000" / "00003.jpg", folder / "copy.jpg")
    nightlabel("run", folder, "--workers", "1")
    (folder / "000").rename(folder / "2026")

    done = nightlabel("run", folder, "--workers", "1")

    assert "20: 20 labelled, 0 failed" in done.stdout
    assert "20 took the labels of the same bytes: read, not computed" in done.stdout
    assert json.loads(nightlabel("report", "--json").stdout)["images"]["copied"] == 20
    assert nightlabel.sql("select count(*), count(copied_from), count(decode_ms) from results") == [(41, 21, 20)]
    other_labels = (
        "select count(*) from results a join results b using (content) where a.label_1 <> b.label_1"
        " or a.score_1 <> b.score_1 or a.kind <> b.kind"
    )
    assert nightlabel.sql(other_labels) == [(0,)]


def test_relabel_labels_everything_again(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(10)
    nightlabel("run", folder)

    done = nightlabel("run", folder, "--relabel")

    assert "10: 10 labelled" in done.stdout
    assert nightlabel.sql("select count(*), min(run_id) from results") == [(10, 2)]
    first = nightlabel("report", "--run", "1")
    assert first.returncode == 0, first.stderr
    assert "A later run has superseded 10 outcomes of this one." in first.stdout


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    folder = archive(300)
    first = nightlabel.start("run", folder)
    nightlabel.wait_for("select count(*) from outcomes", 40)
    processes = psutil.Process(first.pid).children(recursive=True)

    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=LONG_S)

    assert first.returncode == 130
    assert "The same command resumes from there" in errors
    assert "Traceback" not in errors
    wait_until_gone(processes)
    labelled = nightlabel.sql("select count(*) from outcomes")[0][0]
    assert 0 < labelled < 300

    again = nightlabel("run", folder)

    assert again.returncode == 0, again.stderr
    assert again.stderr.startswith("Resuming ")
    _one_outcome_each(nightlabel, 300)
    assert nightlabel.sql("select count(*) from runs") == [(1,)]


def test_a_killed_worker_costs_no_image(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    """SIGKILL to the whole worker in mid-run: another one starts, and the run ends as if nothing had been."""
    process = nightlabel.start("run", archive(200))
    nightlabel.wait_for("select count(*) from outcomes", 60)
    (main,) = _children(process)
    labelling = main.children()

    main.kill()
    wait_until_gone(labelling)  # the kernel killed them with their parent
    output, errors = process.communicate(timeout=LONG_S)

    assert process.returncode == 0, errors
    assert "starting it again" in errors
    _one_outcome_each(nightlabel, 200)
    assert nightlabel.sql("select count(*) from results where status != 'ok'") == [(0,)]
    assert "200: 200 labelled, 0 failed" in output


def test_a_killed_child_costs_no_image(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    """SIGKILL to one labelling process in mid-inference: its chunk is labelled by another."""
    process = nightlabel.start("run", archive(200))
    nightlabel.wait_for("select count(*) from outcomes", 60)

    _children(process, of_worker=True)[0].kill()
    _, errors = process.communicate(timeout=LONG_S)

    assert process.returncode == 0, errors
    _one_outcome_each(nightlabel, 200)
    assert nightlabel.sql("select count(*) from results where status != 'ok'") == [(0,)]


def test_a_run_that_is_killed_leaves_no_process_behind(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    process = nightlabel.start("run", archive(200))
    nightlabel.wait_for("select count(*) from outcomes", 10)
    processes = psutil.Process(process.pid).children(recursive=True)

    process.kill()

    assert len(processes) >= 4  # redis, the worker, two labelling
    wait_until_gone(processes)


def test_a_redis_that_is_killed_is_started_again(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    process = nightlabel.start("run", archive(200))
    nightlabel.wait_for("select count(*) from outcomes", 20)
    (server,) = [child for child in psutil.Process(process.pid).children() if "redis-server" in child.name()]

    server.kill()
    _, errors = process.communicate(timeout=LONG_S)

    assert process.returncode == 0, errors
    assert "The private Redis ended; starting it again" in errors
    _one_outcome_each(nightlabel, 200)


def test_a_file_that_vanishes_in_mid_run_fails_alone(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(200)
    process = nightlabel.start("run", folder)
    nightlabel.wait_for("select count(*) from manifest", 200)

    (folder / "003" / "00199.jpg").unlink()
    output, errors = process.communicate(timeout=LONG_S)

    assert process.returncode == 0, errors
    assert nightlabel.sql("select path, error_kind from results where status = 'failed'") == [
        (str(folder / "003" / "00199.jpg"), "vanished")
    ]
    assert "vanished" in output


def test_failures_are_counted_and_the_report_says_how_to_list_and_retry_them(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    folder = archive(5)
    (folder / "words.jpg").write_text("no picture at all")
    whole = (folder / "000" / "00000.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])

    done = nightlabel("run", folder)

    assert done.returncode == 0
    kinds = dict(nightlabel.sql("select error_kind, path from results where status = 'failed'"))
    assert kinds == {"not_an_image": str(folder / "words.jpg"), "truncated": str(folder / "half.jpg")}
    assert "7: 5 labelled, 2 failed" in done.stdout
    _, client, database, query = shlex.split(re.search(r"failed:.*", done.stdout)[0])  # type: ignore[index]
    assert (client, database) == ("sqlite3", "nightlabel.db")
    assert len(nightlabel.sql(query)) == 2
    assert "nightlabel retry" in done.stdout


def test_retry_labels_what_was_mended_meanwhile(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(5)
    mended = folder / "mended.jpg"
    whole = (folder / "000" / "00000.jpg").read_bytes()
    mended.write_bytes(whole[: len(whole) // 2])
    nightlabel("run", folder)
    mended.write_bytes(whole)

    done = nightlabel("retry", "--kind", "truncated")

    assert done.returncode == 0, done.stderr
    assert nightlabel.sql(f"select status from results where path = '{mended}'") == [("ok",)]
    assert nightlabel.sql("select count(*) from results") == [(6,)]
    assert "nothing to retry" in nightlabel("retry").stdout


def test_what_is_not_asked_for_is_left_out(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(60)
    for hidden in (".trash", "@eaDir"):
        shutil.copytree(folder / "001", folder / hidden)

    nightlabel("run", folder, "--exclude", "0001*.jpg", "--include", "*.JPG")

    assert nightlabel.sql("select count(*) from results") == [(50,)]


def test_random_weights_are_said_to_be_random_wherever_labels_are_shown(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    done = nightlabel("run", archive(3), "--weights", "random", "--model", "shufflenet_v2_x1_0")

    assert done.returncode == 0, done.stderr
    assert "RANDOM" in done.stderr
    assert "RANDOM" in done.stdout
    assert nightlabel.sql("select distinct weights from results") == [("random",)]
    assert json.loads(nightlabel("report", "--json").stdout)["run"]["model"]["random_weights"] is True


def test_nothing_but_the_database_is_left_in_the_folder(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    nightlabel("run", archive(3))

    assert sorted(path.name for path in nightlabel.folder.iterdir()) == ["nightlabel.db"]


def test_a_second_command_does_not_follow_the_same_run(nightlabel: Nightlabel, archive: Callable[[int], Path]) -> None:
    folder = archive(200)
    first = nightlabel.start("run", folder)
    nightlabel.wait_for("select count(*) from runs where follower is not null", 1)

    second = nightlabel("run", folder)
    _, errors = first.communicate(timeout=LONG_S)

    assert second.returncode == 8
    assert f":{first.pid} already" in second.stderr
    assert first.returncode == 0, errors
    _one_outcome_each(nightlabel, 200)


def test_a_run_whose_command_was_killed_is_taken_over_at_once(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    folder = archive(200)
    first = nightlabel.start("run", folder)
    nightlabel.wait_for("select count(*) from outcomes", 8)
    first.kill()
    first.wait()

    again = nightlabel("run", folder)

    assert again.returncode == 0, again.stderr
    _one_outcome_each(nightlabel, 200)


def test_int8_is_calibrated_on_the_archive_and_says_how_well_it_agrees(
    nightlabel: Nightlabel, archive: Callable[[int], Path], own_cache: Path
) -> None:
    """On what can be read: one of the images is damaged. The cascade is made with it, and nothing else left behind."""
    folder = archive(125)
    damaged = folder / "damaged.jpg"
    damaged.write_bytes((folder / "000/00000.jpg").read_bytes()[:300])
    settings = {"NIGHTLABEL_INT8_MIN_AGREEMENT": "0.9", "NIGHTLABEL_CACHE_DIR": str(own_cache)}
    done = nightlabel("run", folder, "--precision", "int8", **settings)

    assert done.returncode == 0, done.stderr
    assert re.search(r"int8, calibrated on 62 images, gives \d\d\.\d% of 63 others the same best label", done.stderr)
    assert nightlabel.sql("select distinct precision from results") == [("int8",)]
    assert nightlabel.sql("select path from results where status <> 'ok'") == [(str(damaged.resolve()),)]
    _one_outcome_each(nightlabel, 126)
    prepared, cascade, int8 = sorted(path.name for path in (own_cache / "models").iterdir() if path.is_dir())
    assert cascade.startswith(f"{prepared}-cascade-")
    assert int8 == f"{prepared}-int8"


def test_nice_and_the_memory_limit_reach_the_processes_that_label(
    nightlabel: Nightlabel, archive: Callable[[int], Path]
) -> None:
    process = nightlabel.start("run", archive(200), "--nice", 7, "--memory-limit", 900)
    nightlabel.wait_for("select count(*) from outcomes", 8)

    (first, *_) = _children(process, of_worker=True)
    limits = first.nice(), first.rlimit(psutil.RLIMIT_DATA)[1]
    _, errors = process.communicate(timeout=LONG_S)

    assert limits == (min(19, os.nice(0) + 7), 900_000_000)  # beside the niceness of the tests themselves
    assert process.returncode == 0, errors
    _one_outcome_each(nightlabel, 200)
