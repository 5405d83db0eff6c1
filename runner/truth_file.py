"""The truth that somebody typed in: which label each image should get."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from archive.location import lies_in
from common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Columns of a truth file: a path, and the label's name or its number among ImageNet's thousand.
_FILE, _LABEL, _INDEX = "file", "label", "class_index"


class Truth:
    """The true labels, by path."""

    def __init__(self, path: Path) -> None:
        """Read a CSV file with a header line: `file`, and `label` or `class_index`, or both.

        A `file` is relative to the CSV file's folder, or absolute. Where both say what an image is, the index counts.

        Raises:
            UsageError: it cannot be read, or a line of it makes no sense.

        """
        self._path = path
        self._rows: dict[str, tuple[int, dict[str, str]]] = {}  # line and fields, by real path
        try:
            # As `os` gives names, so that a file whose name is not UTF-8 can be named too.
            with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
                reader = csv.DictReader(file)
                columns = reader.fieldnames or ()
                if _FILE not in columns or not {_LABEL, _INDEX} & set(columns):
                    raise UsageError(f"{path} must begin with the columns `file`, and `label` or `class_index`.")
                for row in reader:
                    self._add(reader.line_num, row)
        except (OSError, csv.Error) as error:
            raise UsageError(f"The truth file {path} cannot be read: {error}.") from None
        if not self._rows:
            raise UsageError(f"The truth file {path} names no image.")

    def _add(self, line: int, row: dict[str, str]) -> None:
        name = row[_FILE] or ""
        if not name or "\0" in name:
            raise UsageError(f"{self._path}, line {line}: {name!r} cannot be a file.")
        real = os.path.realpath(self._path.parent / name)
        if real in self._rows:
            raise UsageError(f"{self._path}, line {line}: {name!r} is the file of line {self._rows[real][0]} again.")
        self._rows[real] = (line, row)

    def __len__(self) -> int:
        """Count the images that it names."""
        return len(self._rows)

    def below(self, roots: Sequence[str]) -> list[str]:
        """Return the real paths of the images that are there, at or below one of these real paths, by name."""
        return sorted(path for path in self._rows if lies_in(path, roots) and os.path.isfile(path))

    def label(self, path: str, categories: Sequence[str]) -> str | None:
        """Return the true label of an image, as a model with these categories says it; None if it is not known.

        Raises:
            UsageError: the model has no such label.

        """
        line, row = self._rows.get(os.path.realpath(path), (0, None))
        if row is None:
            return None
        index = (row.get(_INDEX) or "").strip()
        if index:
            if index.isascii() and index.isdigit() and int(index) < len(categories):
                return categories[int(index)]
            raise UsageError(f"{self._path}, line {line}: class_index {index!r} is not 0 to {len(categories) - 1}.")
        label = (row.get(_LABEL) or "").strip()
        if label not in categories:
            raise UsageError(f"{self._path}, line {line}: no model's label is {label!r}.")
        return label
