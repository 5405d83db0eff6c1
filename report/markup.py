"""Texts as HTML, for reports and for the page: where a line may end, and what is code."""

from __future__ import annotations

import re

from markupsafe import Markup, escape


def breakable(path: str) -> Markup:
    """Return a path that a line may end in, best between its words."""
    return Markup("<wbr>").join(re.split("(?<=[/_-])", path))


def with_code(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 - escaped
