"""What a worker must refuse: messages that are none, that are code, or of no task of its own; and other weights."""

from __future__ import annotations

import base64
import json
import os
import pickle
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.command import wait_until
from tests.faults.farm import wait_for_end
from tests.unit.broker.queues import UNACKNOWLEDGED, raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broker.private_redis import PrivateRedis
    from common.settings import Settings
    from tests.faults.farm import Farm, Worker

IMAGES = 64
CHUNKS = 8


@dataclass(frozen=True)
class Bomb:
    """Makes a folder when it is unpickled."""

    folder: str

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def _body(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_pickled(message: dict[str, Any], trace: Path) -> None:
    """Be what Celery ran before version 4, and every worker still runs that accepts pickle."""
    body: tuple[object, ...] = ([Bomb(str(trace))], {}, {})
    message["content-type"], message["content-encoding"] = "application/x-python-serialize", "binary"
    message["body"] = _body(pickle.dumps(body))


def _is_of_another_task(message: dict[str, Any], trace: Path) -> None:
    message["headers"]["task"] = "os.mkdir"
    message["body"] = _body(json.dumps([[str(trace)], {}, {}]).encode())


def _has_other_arguments(message: dict[str, Any], _: Path) -> None:
    message["body"] = _body(json.dumps([["rm", "-rf"], {"x": 1}, {}]).encode())


def _has_arguments_of_other_types(message: dict[str, Any], _: Path) -> None:
    message["body"] = _body(json.dumps([[{}, "one", None, [[1], "/photos", 2]], {}, {}]).encode())


def _has_no_headers(message: dict[str, Any], _: Path) -> None:
    message["headers"] = {}


def _has_no_properties(message: dict[str, Any], _: Path) -> None:
    del message["properties"]


def _has_no_delivery(message: dict[str, Any], _: Path) -> None:
    message["properties"]["delivery_info"] = {}


def _has_no_tag(message: dict[str, Any], _: Path) -> None:
    message["properties"]["delivery_tag"] = {}


def _has_no_base64(message: dict[str, Any], _: Path) -> None:
    message["body"] = "%%%"


def _has_no_json(message: dict[str, Any], _: Path) -> None:
    message["body"] = _body(b"rubbish")


FORGERIES = (
    _is_pickled,
    _is_of_another_task,
    _has_other_arguments,
    _has_arguments_of_other_types,
    _has_no_headers,
    _has_no_properties,
    _has_no_delivery,
    _has_no_tag,
    _has_no_json,
)


def forged(message: dict[str, Any], forge: Callable[[dict[str, Any], Path], None], trace: Path) -> bytes:
    """Return a message like a real one, with its own names and something wrong."""
    copy: dict[str, Any] = json.loads(json.dumps(message))
    copy["headers"]["id"] = copy["properties"]["delivery_tag"] = str(uuid.uuid4())
    forge(copy, trace)
    return json.dumps(copy).encode()


def wait_to_label(farm: Farm, worker: Worker, images: int) -> None:
    """Wait until so many images are labelled; not for a worker that has ended."""
    wait_until(lambda: farm.count() >= images or worker.process.poll() is not None or None)
    assert worker.process.poll() is None, worker.stop()


def test_forged_messages_are_refused_and_the_next_ones_labelled(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    """Nothing that a message holds is executed: neither a pickle nor a function that it names."""
    farm.enqueue(archive(IMAGES))
    with raw(redis) as client:
        message = json.loads(client.lindex(farm.key(), -1))
        client.rpush(farm.key(), *(forged(message, forge, tmp_path / "trace") for forge in FORGERIES))

    worker = farm.start_worker()
    wait_to_label(farm, worker, IMAGES)

    assert not (tmp_path / "trace").exists()
    farm.assert_whole(IMAGES)
    assert set(farm.kinds().values()) == {"ok"}


#: No message at all: no JSON, no UTF-8, no object, a thousand brackets, a type of kombu's own, a number too long.
RUBBISH = (b"rubbish", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"__type__": "uuid", "__value__": {}}', b"1" * 5000)


def test_what_is_no_message_is_refused_and_the_next_ones_are_labelled(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path]
) -> None:
    """Each kind is followed by a chunk of its own."""
    farm.enqueue(archive(IMAGES))
    with raw(redis) as client:
        chunks = client.lrange(farm.key(), 0, -1)
        assert len(chunks) == CHUNKS > len(RUBBISH)
        client.delete(farm.key())
        for number, chunk in enumerate(reversed(chunks)):
            client.lpush(farm.key(), *RUBBISH[number : number + 1], chunk)

    worker = farm.start_worker()
    wait_to_label(farm, worker, IMAGES)

    farm.assert_whole(IMAGES)


def test_a_message_whose_body_cannot_be_read_is_refused_and_does_not_come_back(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], tmp_path: Path
) -> None:
    farm.enqueue(archive(IMAGES))
    with raw(redis) as client:
        message = json.loads(client.lindex(farm.key(), -1))
        client.rpush(farm.key(), forged(message, _has_no_base64, tmp_path))

    worker = farm.start_worker()
    wait_to_label(farm, worker, IMAGES)

    farm.assert_whole(IMAGES)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_message_that_celery_fails_over_is_not_lost(
    farm: Farm, redis: PrivateRedis, archive: Callable[[int], Path], times: int
) -> None:
    """Once, it waits again; failed over twice, it stays unacknowledged, where whoever follows the run finds it."""
    farm.enqueue(archive(8))
    farm.plant("callback-raises", times)

    worker = farm.start_worker(FAULT="callback-raises")
    wait_until(lambda: not farm.faults_left() or None)

    if times == 1:
        wait_to_label(farm, worker, 8)
        farm.assert_whole(8)
    else:
        assert "A message stays in Redis as unacknowledged" in worker.stop()
        with raw(redis) as client:
            assert client.hlen(UNACKNOWLEDGED) == 1


def damaged(settings: Settings, folder: Path) -> Path:
    """Make a folder with a copy of the weights, one bit of which is not as it was."""
    assert settings.weights_dir
    folder.mkdir()
    whole = bytearray((settings.weights_dir / "resnet18.pth").read_bytes())
    whole[len(whole) // 2] ^= 1
    (folder / "resnet18.pth").write_bytes(whole)
    return folder


def why_it_refuses(farm: Farm, weights: Path) -> str:
    """Return what a worker with these weights says when it refuses to start."""
    refused = farm.start_worker(1, NIGHTLABEL_WEIGHTS_DIR=str(weights))
    errors = wait_for_end(refused.process, status=3)
    assert "Traceback" not in errors
    return errors


def test_a_worker_with_other_weights_than_the_run_refuses_to_start_and_leaves_its_chunks_alone(
    farm: Farm, archive: Callable[[int], Path], settings: Settings, redis: PrivateRedis, tmp_path: Path
) -> None:
    farm.enqueue(archive(IMAGES))
    folder = damaged(settings, tmp_path / "damaged")

    assert f"but {folder / 'resnet18.pth'} has " in why_it_refuses(farm, folder)
    with raw(redis) as client:
        assert client.llen(farm.key()) == CHUNKS
    farm.start_worker()
    farm.wait_for(IMAGES)
    farm.assert_whole(IMAGES)


def test_a_worker_with_damaged_weights_refuses_to_start_before_there_is_a_run(
    farm: Farm, settings: Settings, tmp_path: Path
) -> None:
    folder = damaged(settings, tmp_path / "damaged")

    assert f"{folder / 'resnet18.pth'} is damaged" in why_it_refuses(farm, folder)
