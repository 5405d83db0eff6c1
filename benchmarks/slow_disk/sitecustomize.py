"""On PYTHONPATH, makes every opening of a photo take as long as a network share does."""

import os
import time

DELAY_S = float(os.environ.get("SLOW_DISK_S", "0"))
really_open = os.open


def slow_open(path, *arguments, **options) -> int:
    if str(path).endswith(".jpg"):
        time.sleep(DELAY_S)
    return really_open(path, *arguments, **options)


if DELAY_S:
    os.open = slow_open
