"""Folders of which most images failed: a damaged disk, a format that is none, a share that is gone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.figures import failed_images, images_in_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.database import Database
    from storage.records import Run

#: Folders that are named for their failures: of so many images at least this share failed.
FAILING_FOLDER_IMAGES = 10
FAILING_FOLDER_SHARE = 0.5
_FOLDERS_SHOWN = 5
#: Folders that are asked for: each takes the database a moment.
_FOLDERS_ASKED = 10


@dataclass(frozen=True, kw_only=True)
class FailingFolder:
    """A folder of which most images failed."""

    path: str
    images: int
    failed: int


def failing_folders(database: Database, run: Run) -> Iterator[FailingFolder]:
    """Yield the folders of which most images failed, those with the most failures first."""
    found = 0
    for folder, failed in _suspect_folders(failed_images(database, run.id))[:_FOLDERS_ASKED]:
        images = images_in_folder(database, run.id, folder)
        if failed >= FAILING_FOLDER_SHARE * images:
            found += 1
            yield FailingFolder(path=folder, images=images, failed=failed)
        if found == _FOLDERS_SHOWN:
            return


def _suspect_folders(failed: Iterable[tuple[int, str]]) -> list[tuple[str, int]]:
    """Return the folders in which enough of these images lie, and how many, the likeliest to have failed first.

    A folder's images were found together, and have ids that follow each other. So a large folder of which few failed,
    though they are many, does not stand before a small one that failed whole.
    """
    seen: dict[str, tuple[int, int, int]] = {}  # how many failed, and the lowest and the highest of their ids
    for image_id, path in failed:
        folder = os.path.dirname(path)
        count, lowest, highest = seen.get(folder, (0, image_id, image_id))
        seen[folder] = count + 1, min(lowest, image_id), max(highest, image_id)
    suspects = [
        (count < FAILING_FOLDER_SHARE * (highest - lowest + 1), -count, folder)
        for folder, (count, lowest, highest) in seen.items()
        if count >= FAILING_FOLDER_IMAGES
    ]
    return [(folder, -count) for _, count, folder in sorted(suspects)]
