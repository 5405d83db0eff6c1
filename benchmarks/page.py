"""Where figures go: into docs/performance.md, between the marks of their section, and into results.json."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results.json"


class Section(NamedTuple):
    """One measurement: as lines of Markdown, and as what `json.dumps` takes."""

    lines: list[str]
    figures: dict[Any, Any]


def write(name: str, section: Section) -> None:
    """Put a section in place of its older self, with the day and the machine."""
    circumstances = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}."
    text = "\n".join([circumstances, "", *section.lines])
    print(f"\n{name}\n{text}", flush=True)
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"measured": circumstances, **section.figures}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def cpu_kind() -> str:
    """Return which of the kinds of CPU this is that have tables of their own."""
    cpu = Path("/proc/cpuinfo").read_text()
    kinds = {"amx_bf16": "AMX", "avx512_bf16": f"AVX512-BF16, {'AMD' if 'AuthenticAMD' in cpu else 'Intel'}"}
    return next((name for flag, name in kinds.items() if flag in cpu), "no bf16")


def machine() -> str:
    """Return the machine's processor and what of it matters for speed."""
    cpu = Path("/proc/cpuinfo").read_text()
    name = next((line.partition(":")[2].strip() for line in cpu.splitlines() if "model name" in line), "CPU")
    kinds = [kind for kind in ("amx_bf16", "avx512_bf16", "avx512_vnni") if kind in cpu]
    return f"{os.cpu_count()} cores of {name} ({', '.join(kinds) or 'neither bf16 nor VNNI'})"
