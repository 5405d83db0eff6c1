"""The house: which room may import which, and what must not be imported too early."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).parents[2]


def _script(path: Path) -> Any:
    """Return a script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


house = _script(ROOT / "docs" / "house.py")
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


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports between our files: those inside functions, and those for types alone, too."""
    imports: grimp.ImportGraph = house.imports()
    return imports


def test_the_contracts_hold() -> None:
    """Those of `pyproject.toml`: an import only ever points down, and some not even that."""
    lint = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run([*lint, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_an_import_only_ever_points_down(graph: grimp.ImportGraph) -> None:
    order = house.rooms()
    up = [pair for pair in house.between_rooms(graph) if order.index(pair[0]) > order.index(pair[1])]
    assert up == []
    assert ("nightlabel", "runner") in house.between_rooms(graph)  # it does see imports inside functions


def test_no_two_files_import_each_other(graph: grimp.ImportGraph) -> None:
    assert house.circles(graph) == []


def test_files_that_import_each_other_would_be_seen() -> None:
    graph = grimp.ImportGraph()
    for name in ("a", "b", "c", "d"):
        graph.add_module(name)
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert house.circles(graph) == [{"a", "b", "c"}]


def test_a_room_is_entered_by_its_doors_alone(graph: grimp.ImportGraph) -> None:
    """Its `__init__.py` lists them in `__all__`; and no door leads nowhere."""
    entered = {
        imported
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if importer.partition(".")[0] != imported.partition(".")[0]
    }
    doors = {door for room in house.rooms() if room != "nightlabel" for door in doors_of(room)}
    assert entered - doors == set()
    assert doors - entered == set()


def doors_of(package: str) -> set[str]:
    """Return the modules that a package names in `__all__`; of an inner package that has such a list, those of it."""
    found = set()
    for name in getattr(importlib.import_module(package), "__all__", ()):
        inner = f"{package}.{name}"
        folder = ROOT / inner.replace(".", "/")
        is_house = folder.is_dir() and "By which other rooms may enter" in (folder / "__init__.py").read_text()
        found |= doors_of(inner) if is_house else {inner}
    return found


@pytest.mark.parametrize("file", sorted(house.files()), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_name_with_an_underscore_stays_in_its_file(file: Path) -> None:
    imported = [
        alias.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in house.rooms()
        for alias in node.names
    ]
    assert [name for name in imported if name.startswith("_")] == []


@pytest.mark.parametrize("file", sorted(house.files()), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_can_be_read_in_a_sitting(file: Path) -> None:
    """300 lines at most; 200 where it is the command line's."""
    limit = 200 if file.is_relative_to(ROOT / "nightlabel") else 300
    assert file.read_text().count("\n") <= limit


def test_the_picture_of_the_house_is_todays() -> None:
    """`python docs/house.py --write` draws it anew."""
    assert house.picture() in house.PAGE.read_text()


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
    assert "alembic" not in imported_with("storage.schema_version")
