"""`nightlabel export`: the results as CSV, JSON lines or Parquet, as a stream."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

from common.errors import UsageError
from common.whole_file import whole_file
from storage.export import COLUMNS, result_pages
from vocabulary.names import kind_name, label_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from storage.database import Database

    Columns = Mapping[str, type]
    Rows = Sequence[Sequence[Any]]


#: What a language adds: a column with the names of each of these.
NAME_COLUMNS = {"name": "label", "name_1": "label_1", "name_2": "label_2", "name_3": "label_3", "kind_name": "kind"}


def export(database: Database, form: str, where: str | None, output: Path | None, language: str | None = None) -> int:
    """Write the results that a condition holds for to a file, or to standard output; return how many.

    With a language, the names that it has for labels and kinds stand in columns of their own besides.

    A file is there whole, or not at all.

    Raises:
        UsageError: the condition makes no sense, the file cannot be written, or Parquet's library is missing.
        DatabaseError: the database cannot be read.
        BrokenPipeError: whoever reads the output has had enough.

    """
    writers = {"csv": write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}
    if form not in writers:
        raise UsageError(f"There is no format {form!r}: choose one of {', '.join(writers)}.")
    if form == "parquet" and output is None:
        raise UsageError("Parquet is no text: name a file with --output.")
    with closing(result_pages(database, where)) as pages:
        # Read already: what makes no sense is said before anything is written.
        begun = chain(list(islice(pages, 1)), pages)
        columns, rows = (_named(begun, language)) if language else (COLUMNS, begun)
        with whole_file(output) if output else _standard_output() as file:
            return writers[form](columns, rows, file)


def _named(pages: Iterator[Rows], language: str) -> tuple[dict[str, type], Iterator[Rows]]:
    """Return the columns with those that a language adds, and the rows with its names."""
    places = {name: place for place, name in enumerate(COLUMNS)}
    sources = [(places[source], kind_name if source == "kind" else label_name) for source in NAME_COLUMNS.values()]

    def with_names(row: Sequence[Any]) -> list[Any]:
        return [*row, *(row[place] and name(row[place], language) for place, name in sources)]

    return {**COLUMNS, **dict.fromkeys(NAME_COLUMNS, str)}, ([with_names(row) for row in page] for page in pages)


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    """Open standard output, with a buffer of its own: at its exit, Python tries again what sys.stdout holds."""
    try:
        with open(sys.stdout.fileno(), "wb", closefd=False) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"Standard output cannot be written: {error.strerror or error}.") from None


def write_csv(columns: Iterable[str], pages: Iterable[Rows], file: IO[bytes]) -> int:
    """Write a table with a head, as it is: a text that a spreadsheet takes for a formula stays one; return its rows."""
    writer = csv.writer(_UnixLines(file))
    writer.writerow(columns)
    rows = 0
    for page in pages:
        writer.writerows([[_plain(value) for value in row] for row in page])
        rows += len(page)
    return rows


def _write_jsonl(columns: Columns, pages: Iterator[Rows], file: IO[bytes]) -> int:
    rows = 0
    for page in pages:
        for row in page:
            fields = {name: _plain(value) for name, value in zip(columns, row, strict=True)}
            file.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
        rows += len(page)
    return rows


def _write_parquet(columns: Columns, pages: Iterator[Rows], file: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UsageError("This needs pyarrow: pip install 'nightlabel[parquet]'; in a clone, '.[parquet]'.") from None
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    rows = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for page in pages:
            typed = zip(zip(*page, strict=True), schema.types, strict=True)
            arrays = [pa.array(values, kind) for values, kind in typed]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(page)
    return rows


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of any column
    return value.isoformat() if isinstance(value, datetime) else value


class _UnixLines:
    """Writes the lines of `csv.writer` as UTF-8, and ends them with LF.

    It is given CR LF, since only what is in a line's end is sure to be quoted: with LF alone, a path's CR is not.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n").encode() + b"\n")
