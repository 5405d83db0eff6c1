"""The limit: two processes that read, decode and infer in a loop, with no queue and no database."""

import json
import multiprocessing
import sys
import time
from pathlib import Path

PROCESSES = 2


def loop(paths: list[str], precision: str, barrier, times) -> None:
    from common.settings import load_settings
    from models.resolve import resolve
    from storage.records import ChunkImage
    from worker.labelling import Labeller

    chosen = load_settings(precision=precision)
    labeller = Labeller(resolve(chosen), chosen)
    images = [ChunkImage(number, path) for number, path in enumerate(paths)]
    labeller.label(images[:16], ["/"])
    barrier.wait(60)
    started = time.time()
    labeller.label(images, ["/"])
    times.put((started, time.time()))


def main(archive: str, precision: str) -> None:
    paths = sorted(str(path.resolve()) for path in Path(archive).rglob("*.jpg"))
    context = multiprocessing.get_context("spawn")
    barrier, times = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=loop, args=(paths[start::PROCESSES], precision, barrier, times))
        for start in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("a process of the limit loop failed")
    spans = [times.get() for _ in processes]
    seconds = max(ended for _, ended in spans) - min(started for started, _ in spans)
    print(json.dumps({"images": len(paths), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
