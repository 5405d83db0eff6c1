"""Tables for a terminal: readable in black and white and at 80 columns."""

from __future__ import annotations

from rich.table import Table


def plain_table(*headings: str) -> Table:
    """Return a table: names in its first column, which may be folded, and figures in the others, which may not.

    A heading may have several lines; all of them end in the last one.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    lines = max((heading.count("\n") for heading in headings), default=0)
    for place, heading in enumerate(headings):
        header = "\n" * (lines - heading.count("\n")) + heading
        table.add_column(header, justify="right" if place else "left", no_wrap=place > 0, overflow="fold")
    return table
