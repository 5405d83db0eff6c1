"""Every log call carries an action and its fields for machines, and `docs/logging.md` lists them all."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOMS = ("worker", "broker", "producer")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
#: What `worker.log_fields.chunk_fields` returns.
CHUNK = {"run_id", "chunk_id", "attempt"}
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.MULTILINE)


@dataclass(frozen=True)
class LogCall:
    """A log call, as it stands in the code."""

    place: str
    level: str
    action: str | None
    fields: frozenset[str]


def _calls(file: Path) -> Iterator[LogCall]:
    for node in ast.walk(ast.parse(file.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"logger", "logging"}
        ):
            extra = next((one.value for one in node.keywords if one.arg == "extra"), None)
            level = "error" if node.func.attr == "exception" else node.func.attr
            yield LogCall(f"{file.relative_to(ROOT)}:{node.lineno}", level, *_action_and_fields(extra))


def _action_and_fields(extra: ast.expr | None) -> tuple[str | None, frozenset[str]]:
    action, fields = None, set[str]()
    for key, value in zip(extra.keys, extra.values, strict=True) if isinstance(extra, ast.Dict) else ():
        if key is None:
            assert isinstance(value, ast.Call), "only chunk_fields(…) is unpacked"
            assert ast.unparse(value.func) == "chunk_fields"
            fields |= CHUNK
        elif ast.literal_eval(key) == "action":
            action = ast.literal_eval(value)
        else:
            fields.add(ast.literal_eval(key))
    return action, frozenset(fields)


CALLS = [call for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")) for call in _calls(file)]
DOCUMENTED = {
    action: (level, frozenset(re.findall(r"`(\w+)`", fields)))
    for action, level, fields in _ROW.findall((ROOT / "docs" / "logging.md").read_text())
}


def test_there_are_log_calls() -> None:
    """Else the tests below would hold for none."""
    assert len(CALLS) > 20


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_a_log_call_has_an_action_and_the_fields_that_are_documented(call: LogCall) -> None:
    assert call.action, "it has no `extra` with an `action`"
    assert DOCUMENTED.get(call.action) == (call.level, call.fields)


def test_every_documented_action_is_logged() -> None:
    assert set(DOCUMENTED) == {call.action for call in CALLS}
