"""The tables that come with this package: text, a row a line, columns between tabs."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "data"


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table, each by its columns' names."""
    header, *lines = (FOLDER / name).read_text("utf-8").splitlines()
    columns = header.split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]


@cache
def version() -> str:
    """Return what tells these tables from another nightlabel's: a hash over all that a database takes of them."""
    digest = hashlib.blake2b(digest_size=16)
    for file in (FOLDER / "decisions.tsv", FOLDER / "classes.tsv", *sorted((FOLDER / "names").glob("*.tsv"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()
