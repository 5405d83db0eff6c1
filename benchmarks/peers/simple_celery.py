"""An evening's Celery: one task an image, torch fp32, one commit a row."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init

FOLDER = os.environ.get("SIMPLE_FOLDER", ".")
app = Celery("simple_celery", broker=os.environ.get("SIMPLE_BROKER", "redis://"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)
state: dict[str, object] = {}


@worker_process_init.connect
def load(**_: object) -> None:
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    torch.set_num_threads(1)
    model = resnet18()
    model.load_state_dict(torch.load(os.environ["SIMPLE_WEIGHTS"], weights_only=True))
    state["model"] = model.eval()
    state["transforms"] = ResNet18_Weights.IMAGENET1K_V1.transforms()
    state["categories"] = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    state["database"] = sqlite3.connect(f"{FOLDER}/evening.db", timeout=30)


@app.task
def label(path: str) -> None:
    import torch
    from PIL import Image

    with Image.open(path) as image, torch.inference_mode():
        batch = state["transforms"](image.convert("RGB")).unsqueeze(0)  # type: ignore[operator]
        _, classes = state["model"](batch).softmax(1).topk(3)  # type: ignore[operator]
    names = [state["categories"][index] for index in classes[0]]  # type: ignore[index]
    database = state["database"]
    database.execute("insert into results values (?, ?, ?)", (path, json.dumps(names), time.time()))  # type: ignore[attr-defined]
    database.commit()  # type: ignore[attr-defined]


def main(archive: str, weights: str) -> None:
    from broker.private_redis import PrivateRedis

    paths = sorted(str(path) for path in Path(archive).rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder, PrivateRedis(Path(folder)) as redis:
        database = sqlite3.connect(f"{folder}/evening.db", timeout=30)
        database.execute("pragma journal_mode=wal")
        database.execute("create table results (path text primary key, labels text, labelled_at real)")
        environment = os.environ | {"SIMPLE_FOLDER": folder, "SIMPLE_BROKER": redis.url, "SIMPLE_WEIGHTS": weights}
        app.conf.broker_url = redis.url
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "simple_celery", "worker", "-c", "2", "-l", "ERROR"],
            cwd=Path(__file__).parent,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for path in paths:
            label.delay(path)
        while database.execute("select count(*) from results").fetchone()[0] < len(paths):
            time.sleep(0.1)
        first, last = database.execute("select min(labelled_at), max(labelled_at) from results").fetchone()
        worker.terminate()
        worker.wait()
    print(json.dumps({"images": len(paths) - 1, "seconds": last - first}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
