"""The same in parts: producers, workers, and a Redis and a Postgres that users run themselves."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import unquote

import psycopg
import pytest

from tests.command import LONG_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from common.settings import Settings
    from tests.command import Nightlabel


@pytest.fixture
def farm(nightlabel: Nightlabel, redis: PrivateRedis, postgres_url: str) -> Nightlabel:
    """The command, set to a Redis and a Postgres."""
    nightlabel.environment |= {"NIGHTLABEL_BROKER_URL": redis.url, "NIGHTLABEL_DATABASE_URL": postgres_url}
    return nightlabel


@pytest.fixture
def worker(farm: Nightlabel) -> Iterator[subprocess.Popen[str]]:
    """A worker of two processes."""
    process = farm.start("worker", "--concurrency", 2)
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG_S)


def _count(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        (number,) = connection.execute(query.encode()).fetchone() or (0,)
        return int(number)


def test_a_producer_and_a_worker_label_an_archive_on_postgres(
    farm: Nightlabel, worker: subprocess.Popen[str], photos: Path, postgres_url: str
) -> None:
    done = farm("enqueue", photos, "--wait")

    assert done.returncode == 0, done.stderr
    assert "125: 125 labelled, 0 failed" in done.stdout
    assert _count(postgres_url, "select count(*) from results where status = 'ok'") == 125
    assert worker.poll() is None


def test_what_failed_on_postgres_can_be_listed_as_the_report_says(
    farm: Nightlabel, worker: subprocess.Popen[str], archive: Callable[[int], Path], postgres_url: str
) -> None:
    folder = archive(2)
    (folder / "words.jpg").write_text("no picture")

    done = farm("enqueue", folder, "--wait")

    _, client, url, option, query = shlex.split(re.search(r"failed:.*", done.stdout)[0])  # type: ignore[index]
    assert (client, unquote(url), option) == ("psql", postgres_url, "-c")
    with psycopg.connect(url) as connection:
        rows = connection.execute(query.encode()).fetchall()
    assert [kind for _, kind, _ in rows] == ["not_an_image"]


def test_a_worker_that_starts_later_finds_what_was_enqueued(
    farm: Nightlabel, archive: Callable[[int], Path], postgres_url: str
) -> None:
    done = farm("enqueue", archive(20))
    assert "20 images in" in done.stdout

    status = farm("status").stdout
    assert "0 of 20 images" in status
    assert "nobody follows the run" in status

    process = farm.start("worker", "--concurrency", 1)
    wait_until(lambda: _count(postgres_url, "select count(*) from results") == 20 or None)
    living = farm("status").stdout

    assert f"nightlabel-{process.pid}@" in living
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG_S)
    assert process.returncode == 0


def test_python_m_producer_is_nightlabel_enqueue(farm: Nightlabel, archive: Callable[[int], Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "producer", archive(3)],
        cwd=farm.folder,
        env=farm.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "3 images in" in done.stdout


def test_celery_finds_the_worker_and_inspects_it(
    farm: Nightlabel, archive: Callable[[int], Path], postgres_url: str
) -> None:
    """`celery -A worker worker` labels, and `celery -A worker inspect` sees it, as people who know Celery expect."""

    def celery(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "worker", *arguments]

    process = subprocess.Popen(
        celery("worker", "-c", "1", "-n", "plain@%h"),
        cwd=farm.folder,
        env=farm.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        done = farm("enqueue", archive(20), "--wait")
        inspected = subprocess.run(
            celery("inspect", "active", "--json"),
            cwd=farm.folder,
            env=farm.environment,
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        process.terminate()
        process.wait(LONG_S)

    assert done.returncode == 0, done.stderr
    assert _count(postgres_url, "select count(*) from results") == 20
    (name,) = json.loads(inspected.stdout.splitlines()[-1])
    assert name.startswith("plain@")


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [({"NIGHTLABEL_BROKER_URL": ""}, 4, "No broker is set"), ({"NIGHTLABEL_BATCH_SIZE": "x"}, 2, "BATCH_SIZE = 'x'")],
)
def test_celery_ends_with_the_same_sentence_and_status_as_nightlabel(
    nightlabel: Nightlabel, changed: dict[str, str], status: int, said: str
) -> None:
    for program in (["celery", "-A", "worker", "worker"], ["nightlabel", "worker"]):
        done = subprocess.run(
            [sys.executable, "-m", *program],
            cwd=nightlabel.folder,
            env=nightlabel.environment | changed,
            check=False,
            capture_output=True,
            text=True,
        )

        assert (done.returncode, "Traceback" in done.stderr) == (status, False)
        assert said in done.stderr


def test_a_redis_that_was_flushed_is_filled_again_from_the_manifest(
    farm: Nightlabel, archive: Callable[[int], Path], redis: PrivateRedis, postgres_url: str
) -> None:
    import redis as client

    farm("enqueue", archive(50))
    client.Redis(unix_socket_path=redis.url.removeprefix("redis+socket://")).flushall()
    process = farm.start("worker", "--concurrency", 2)

    done = farm("enqueue", archive(50), "--wait")

    assert done.returncode == 0, done.stderr
    assert _count(postgres_url, "select count(*) from results") == 50
    process.kill()


def test_a_worker_refuses_weights_that_the_run_did_not_record(
    farm: Nightlabel, archive: Callable[[int], Path], settings: Settings, tmp_path: Path
) -> None:
    assert settings.weights_dir
    other = tmp_path / "weights"
    other.mkdir()
    whole = bytearray((settings.weights_dir / "resnet18.pth").read_bytes())
    whole[len(whole) // 2] ^= 1
    (other / "resnet18.pth").write_bytes(whole)
    farm("enqueue", archive(3))

    done = farm("worker", NIGHTLABEL_WEIGHTS_DIR=str(other))

    assert done.returncode == 3
    assert "sha256" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_without_a_broker_says_what_to_set(nightlabel: Nightlabel) -> None:
    done = nightlabel("worker")

    assert done.returncode == 4
    assert "NIGHTLABEL_BROKER_URL" in done.stderr


def test_classify_needs_neither_queue_nor_database(nightlabel: Nightlabel, photos: Path) -> None:
    goldfinch = photos / "n01531178_goldfinch.jpg"

    done = nightlabel("classify", goldfinch, "--json")

    (answer,) = json.loads(done.stdout)
    assert answer["labels"][0]["label"] == "goldfinch"
    assert sorted(os.listdir(nightlabel.folder)) == []


def test_classify_shows_percentages_and_names_what_it_could_not_read(nightlabel: Nightlabel, photos: Path) -> None:
    done = nightlabel("classify", photos / "n01531178_goldfinch.jpg", photos / "truth.csv")

    assert done.returncode == 6
    assert "%  goldfinch" in done.stdout
    assert "failed (not_an_image)" in done.stdout


def test_classify_shows_that_a_picture_is_damaged_in_part(nightlabel: Nightlabel, photos: Path, tmp_path: Path) -> None:
    data = (photos / "n01855672_goose.jpg").read_bytes()
    middle = len(data) // 2
    (tmp_path / "goose.jpg").write_bytes(data[:middle] + bytes(4096) + data[middle + 4096 :])

    shown = nightlabel("classify", tmp_path / "goose.jpg")
    (answer,) = json.loads(nightlabel("classify", tmp_path / "goose.jpg", "--json").stdout)

    assert "warning: damaged in part: Corrupt JPEG data" in shown.stdout
    assert shown.returncode == 0
    assert answer["warning"].startswith("Corrupt JPEG data")
    assert len(answer["labels"]) == 3


def test_models_lists_the_four_that_the_field_compares_and_all_others(nightlabel: Nightlabel) -> None:
    listed = nightlabel("models").stdout
    every = nightlabel("models", "--all").stdout

    assert "resnet18 (default)" in listed
    assert "11.7 M" in listed
    assert all(name in listed for name in ("mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x1_0"))
    assert all(name in every for name in ("vit_b_16", "convnext_tiny", "mobilenet_v2@IMAGENET1K_V2"))


def test_prepare_makes_a_model_ready(nightlabel: Nightlabel, tmp_path: Path) -> None:
    done = nightlabel("models", "prepare", "resnet18", NIGHTLABEL_CACHE_DIR=str(tmp_path / "cache"))

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache" / "models").glob("resnet18-*/model.xml"))) == 1


def test_db_upgrade_makes_the_schema_once(farm: Nightlabel) -> None:
    assert "went from schema none" in farm("db", "upgrade").stdout
    assert "already" in farm("db", "upgrade").stdout


def test_flower_shows_the_workers(farm: Nightlabel, worker: subprocess.Popen[str]) -> None:
    """Flower, which people who run Celery have open all day, finds the app and the worker by itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flower = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "worker", "flower", "--address=127.0.0.1", f"--port={port}"],
        cwd=farm.folder,
        env=farm.environment | {"FLOWER_UNAUTHENTICATED_API": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listed() -> dict[str, object] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/workers?refresh=1", timeout=10) as answer:
                workers: dict[str, object] = json.load(answer)
        except OSError:
            return None
        return workers or None

    try:
        (name,) = wait_until(listed)
    finally:
        flower.terminate()
        flower.wait(LONG_S)

    assert name.startswith(f"nightlabel-{worker.pid}@")


def test_a_worker_logs_json_lines_for_other_programs(farm: Nightlabel, archive: Callable[[int], Path]) -> None:
    """Python's own warnings too; a run's private worker says in sentences what ended it, since people read that."""
    process = farm.start("worker", "--concurrency", 1, NIGHTLABEL_LOG_FORMAT="json")
    done = farm("enqueue", archive(3), "--wait")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=LONG_S)

    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in errors.splitlines()]
    assert all({"time", "level", "logger", "host", "process", "message"} <= record.keys() for record in records)
    (stored,) = (record for record in records if record.get("action") == "chunk_stored")
    assert (stored["level"], stored["run_id"], stored["images"], stored["failed"]) == ("INFO", 1, 3, 0)
    (loaded,) = (record for record in records if record.get("action") == "model_loaded")
    assert loaded["process"] == stored["process"] != process.pid
