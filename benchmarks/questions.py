"""The questions of `docs/sql.md`: what the benchmark times is what the tests ask."""

from __future__ import annotations

import re

from benchmarks.page import ROOT

PAGE = (ROOT / "docs" / "sql.md").read_text()
#: Each query by the sentence above it.
QUESTIONS = {
    match[1]: match[2] for match in re.finditer(r"^(\S[^\n]*):\n\n```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
}
