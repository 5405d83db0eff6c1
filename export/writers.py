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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from storage.database import Database


def export(database: Database, form: str, where: str | None, output: Path | None) -> int:
    """Write the results that a condition holds for to a file, or to standard output; return how many.

    A file is there whole, or not at all.

    Raises:
        UsageError: the condition makes no sense, the file cannot be written, or Parquet's library is missing.
        DatabaseError: the database cannot be read.
        BrokenPipeError: whoever reads the output has had enough.

    """
    writers = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}
    if form not in writers:
        raise UsageError(f"There is no format {form!r}: choose one of {', '.join(writers)}.")
    if form == "parquet" and output is None:
        raise UsageError("Parquet is no text: name a file with --output.")
    with closing(result_pages(database, where)) as pages:
        # Read already: what makes no sense is said before anything is written.
        begun = chain(list(islice(pages, 1)), pages)
        with whole_file(output) if output else _standard_output() as file:
            return writers[form](begun, file)


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


def _write_csv(pages: Iterator[Sequence[Sequence[Any]]], file: IO[bytes]) -> int:
    writer = csv.writer(_UnixLines(file))
    writer.writerow(COLUMNS)
    rows = 0
    for page in pages:
        writer.writerows([[_plain(value) for value in row] for row in page])
        rows += len(page)
    return rows


def _write_jsonl(pages: Iterator[Sequence[Sequence[Any]]], file: IO[bytes]) -> int:
    rows = 0
    for page in pages:
        for row in page:
            fields = {name: _plain(value) for name, value in zip(COLUMNS, row, strict=True)}
            file.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
        rows += len(page)
    return rows


def _write_parquet(pages: Iterator[Sequence[Sequence[Any]]], file: IO[bytes]) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UsageError("This needs pyarrow: pip install 'nightlabel[parquet]'; in a clone, '.[parquet]'.") from None
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    rows = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for page in pages:
            columns = zip(zip(*page, strict=True), schema.types, strict=True)
            arrays = [pa.array(values, kind) for values, kind in columns]
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
