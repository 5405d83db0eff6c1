"""A worker whose model is not there: it stores made-up labels, and so shows what everything around the model costs."""

import os
import sys
from hashlib import blake2b

import worker.labelling
from common.settings import load_settings
from storage.records import Outcome
from worker.service import serve

LABELS = [f"label {number}" for number in range(1000)]


class NullLabeller:
    """Answers like a `Labeller`, unread and undecoded: labels and contents in no order, as indexes really meet them."""

    #: As a `Labeller` counts them: this one never fails.
    labelled = 1

    def __init__(self, *_: object) -> None:
        pass

    def label(self, images, _roots) -> list[Outcome]:
        return [
            Outcome(
                image_id=image.image_id,
                labels=tuple(
                    (LABELS[(image.image_id * 7919 + rank) % 1000], (image.image_id * 31 % 997) / 997 / (rank + 1))
                    for rank in range(3)
                ),
                width=4000,
                height=3000,
                read_ms=1.0,
                decode_ms=3.0,
                infer_ms=5.0,
                content=blake2b(image.path.encode(), digest_size=16).hexdigest(),
                **_version(image.path),
            )
            for image in images
        ]


def _version(path: str) -> dict[str, int]:
    """Return which version of the file was seen, where there is one."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {"size": 3_000_000, "mtime_ns": 1_700_000_000_000_000_000}
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


if __name__ == "__main__":
    worker.labelling.Labeller = NullLabeller  # type: ignore[misc,assignment]
    sys.exit(serve(load_settings()))
