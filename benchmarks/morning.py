"""The morning after a night of millions: how long the report, the export and each question of `docs/sql.md` take."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from benchmarks.measured import middle, middle_ms, run_command
from benchmarks.page import Section
from benchmarks.planted import analyse, empty_database, plant
from benchmarks.questions import QUESTIONS
from common.settings import load_settings
from models.resolve import resolve
from storage.runs import open_run

if TYPE_CHECKING:
    from storage.database import Database

#: Times that each command is run and each question asked; the middle one counts.
ROUNDS = 3


def measure(rows: int, database_url: str | None) -> Section:
    """Plant a night of so many images, and ask.

    Raises:
        SystemExit: the database is not empty.

    """
    with tempfile.TemporaryDirectory(prefix="nightlabel-morning-") as folder:
        url = database_url or f"sqlite:///{folder}/night.db"
        with empty_database(url) as database:
            ready = resolve(load_settings())
            for model in (ready.model, resolve(load_settings(model="mobilenet_v2")).model):
                run, _ = open_run(
                    database, model, engine="openvino", roots=["/volume1"], filters={}, labels=ready.categories
                )
                # The second model has labelled a tenth: enough for questions about both.
                plant(database, run, rows if model == ready.model else rows // 10, ready.categories)
            analyse(database)
            questions = {name: _ask(database, query) for name, query in QUESTIONS.items()}
        commands = {
            "`nightlabel report --run 1`": ("report", "--run", "1"),
            "`nightlabel report --since 3650d`": ("report", "--since", "3650d"),
            "`nightlabel report --run 1 --html`": ("report", "--run", "1", "--html", f"{folder}/night.html"),
            "`nightlabel export`": ("export", "--output", f"{folder}/night.csv"),
            "`nightlabel export --format parquet`": (
                "export",
                "--format",
                "parquet",
                "--output",
                f"{folder}/n.parquet",
            ),
        }
        timed = {
            name: middle(run_command(url, arguments) for _ in range(ROUNDS)) for name, arguments in commands.items()
        }
    lines = [
        f"{rows:,} images of one model, {rows // 10:,} of another.",
        "",
        "| command | s | peak MB |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {seconds:.1f} | {peak:.0f} |" for name, (seconds, peak) in timed.items()]
    lines += ["", "| query of [sql.md](sql.md) | ms |", "|---|---|"]
    lines += [f"| {name} | {ms:,.0f} |" for name, ms in questions.items()]
    return Section(lines, {"rows": rows, "commands": timed, "questions_ms": questions})


def _ask(database: Database, query: str) -> float:
    """Return the milliseconds that a question takes, the middle of a few."""
    with database.read() as connection:
        return middle_ms(lambda: connection.exec_driver_sql(query.replace("%", "%%")).all(), ROUNDS)
