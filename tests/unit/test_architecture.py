"""The house: which part may import which, and what must not be imported too early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What makes a command start slowly.
HEAVY = {
    "torch",
    "torchvision",
    "numpy",
    "openvino",
    "sqlalchemy",
    "celery",
    "kombu",
    "pydantic",
    "PIL",
    "rich.progress",
}
#: What starts threads, which a fork does not survive, or holds memory that every child would copy.
ENGINES = {"torch", "torchvision", "numpy", "openvino"}


def imported_with(module: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after importing one."""
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_an_import_only_ever_points_down() -> None:
    """The contracts of `pyproject.toml` hold."""
    lint = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run([*lint, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_command_line_answers_before_anything_heavy_is_imported() -> None:
    assert imported_with("nightlabel.cli") & HEAVY == set()


def test_a_worker_forks_before_any_engine_is_imported() -> None:
    assert imported_with("worker.service") & ENGINES == set()


@pytest.mark.parametrize("module", ["producer.enqueue", "producer.publish", "broker.message"])
def test_what_needs_no_pixels_imports_no_engine(module: str) -> None:
    assert imported_with(module) & {*ENGINES, "PIL"} == set()


def test_the_report_imports_neither_engine_nor_what_only_its_page_needs() -> None:
    assert imported_with("report.run.terminal") & {*(ENGINES - {"numpy"}), "PIL", "plotly", "jinja2", "scipy"} == set()


def test_a_worker_checks_the_schema_without_the_migrations_library() -> None:
    assert "alembic" not in imported_with("storage.schema")
