"""The imports between the rooms, as `docs/architecture.md` shows them: `python docs/house.py`, or `--write` into it.

Every import counts: those inside functions and those for types alone, too.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
_MARKED = re.compile(r"(<!-- house -->\n).*?(<!-- /house -->)", re.DOTALL)


def rooms() -> list[str]:
    """Return the rooms from the top down, as the import contract has them."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return list(contract["root_packages"])


def files() -> list[Path]:
    """Return our files."""
    return [file for room in rooms() for file in (ROOT / room).rglob("*.py") if "migrations" not in file.parts]


def imports() -> grimp.ImportGraph:
    """Return the graph of all imports between our files."""
    return grimp.build_graph(*rooms(), exclude_type_checking_imports=False, cache_dir=None)


def between_rooms(graph: grimp.ImportGraph) -> Counter[tuple[str, str]]:
    """Count the imports from one room into another."""
    found: Counter[tuple[str, str]] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = importer.partition(".")[0], imported.partition(".")[0]
            if pair[0] != pair[1]:
                found[pair] += 1
    return found


def circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """Return each set of files that import each other, directly or through others. Source: Tarjan (1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in number:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], number[imported])
        if lowest[module] == number[module]:
            place = stack.index(module)
            found.append(set(stack[place:]))
            del stack[place:]

    for module in sorted(graph.modules):
        if module not in number:
            visit(module)
    return [members for members in found if len(members) > 1]


def reduced(counts: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the arrows between rooms without those that a way over other rooms stands for."""
    reached: dict[str, set[str]] = {}
    arrows = []
    for importer in reversed(rooms()):
        reached[importer] = set()
        for imported in sorted((one for room, one in counts if room == importer), key=rooms().index):
            if imported not in reached[importer]:
                arrows.append((importer, imported))
                reached[importer] |= {imported, *reached.get(imported, ())}
    return sorted(arrows, key=lambda arrow: tuple(map(rooms().index, arrow)))


def picture() -> str:
    """Return the picture: arrows, and a row per room with how many imports lead from it to each other one."""
    graph, order = imports(), rooms()
    counts = between_rooms(graph)
    up = sum(count for (importer, imported), count in counts.items() if order.index(importer) > order.index(imported))
    width = max(map(len, order))
    lines = ["```", f"{'from ↓ to →':<{width}}  {' '.join(f'{room[:7]:>7}' for room in order[1:])}"]
    for importer in order[:-1]:
        cells = (counts[importer, imported] or "·" for imported in order[1:])
        lines.append(f"{importer:<{width}}  {' '.join(f'{cell:>7}' for cell in cells)}")
    arrows = [f"  {importer} --> {imported}" for importer, imported in reduced(counts)]
    drawing = ["```mermaid", "graph TD", *arrows, "```", ""]
    files = sum(1 for module in graph.modules if "." in module)
    between = sum(counts.values())
    told = f"{files} files, {between} imports between rooms, {up} of them upwards, {len(circles(graph))} circles."
    return "\n".join([*drawing, *lines, "```", "", told])


def main() -> None:
    shown = picture()
    if "--write" in sys.argv:
        page = PAGE.read_text()
        PAGE.write_text(_MARKED.sub(lambda found: f"{found[1]}{shown}\n{found[2]}", page))
    else:
        print(shown)


if __name__ == "__main__":
    main()
