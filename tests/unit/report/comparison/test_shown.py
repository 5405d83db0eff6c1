"""How a comparison is shown: in a terminal, on a page, as JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from importlib import resources
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from report.comparison.advice import recommendation
from report.comparison.figures import Comparison, NotMeasured, disagreements, soak_figures
from report.comparison.page import comparison_page
from report.comparison.terminal import print_comparison, tables
from tests.unit.report.comparison.measurements import HOUR, PUBLISHED, asked, like, marked


@pytest.fixture(scope="module")
def compared() -> Comparison:
    """Names and figures as long as they get, and everything that a comparison can have to say."""
    figures: dict[str, Any] = {
        "latency_mean_ms": 1234.5,
        "latency_p50_ms": 1234.5,
        "latency_p99_ms": 12345.6,
        "images_per_second": 123.4,
        "load_s": 12.3,
        "peak_rss_mb": 1234.0,
        "parameters": 633_470_440,
        "file_mb": 2416.6,
    }
    samples = asked(ms=1234.5, leak=40.0)
    samples[5] = replace(samples[5], ok=False)
    hour = soak_figures(samples, HOUR)
    trained = marked(range(40), model="shufflenet_v2_x1_0", top3=0.9, soak=hour, errors=1, **figures)
    candidates = [
        replace(trained, labels=("tabby",) * 200),
        replace(trained, precision="int8", labels=("golden retriever",) * 200),
        like(
            **figures | {"file_mb": None},
            model="mobilenet_v3_large",
            is_random=True,
            soak=soak_figures(asked(), HOUR),
            labels=("pug",) * 200,
            right=(None,) * 200,
        ),
    ]
    paths = [f"/photos/{'holiday/' * 12}{number:07}.jpg" for number in range(200)]
    return Comparison(
        images=2000,
        candidates=tuple(candidates),
        not_measured=(NotMeasured("mobilenet_v2", "The weights file /weights/<b>.pth is damaged"),),
        is_complete=False,
        disagreements=tuple(disagreements(candidates, paths)),
        recommendation=recommendation(candidates, PUBLISHED),
    )


def printed(compared: Comparison) -> str:
    """Return what a terminal of 80 columns gets."""
    terminal = io.StringIO()
    print_comparison(compared, Console(file=terminal, width=80, force_terminal=False))
    return terminal.getvalue()


def test_the_tables_fit_80_columns_and_their_figures_are_not_folded(compared: Comparison) -> None:
    lines = printed(compared).splitlines()
    told = [*compared.remarks, compared.recommendation]
    assert max(len(line) for line in lines if line.removeprefix("! ") not in told) <= 80
    found = list(tables(compared))
    assert len(found) > 1
    for table in found:
        unfolded = [column for column in table.columns if column.no_wrap]
        assert unfolded
        rows = [[str(column.header) for column in unfolded]]
        rows += [[str(cell) for cell in row] for row in zip(*(column.cells for column in unfolded), strict=True)]
        for row in rows:
            together = re.compile(r"\s+".join(map(re.escape, row)))
            assert any(together.search(line) for line in lines), row


def test_random_weights_are_said_to_be_random_in_every_table(compared: Comparison) -> None:
    text = printed(compared)
    assert text.count("mobilenet_v3_large") == text.count("RANDOM") == 4
    (row,) = (line for line in text.splitlines() if line.startswith("mobilenet_v3_large") and " 633.5 " in line)
    assert row.split()[-3:] == ["224", "–", "–"]


def test_a_slope_that_says_nothing_yet_is_not_shown(compared: Comparison) -> None:
    moment = soak_figures(asked(leak=4000.0)[:60], replace(HOUR, duration_s=120))
    text = printed(replace(compared, candidates=(like(soak=moment),)))
    (row,) = (line for line in text.splitlines() if line.endswith("too short"))
    assert row.split()[-4:] == ["–", "–", "too", "short"]


def test_pairs_that_are_not_shown_are_counted(compared: Comparison) -> None:
    (pair,) = compared.disagreements
    assert "more pairs" not in printed(replace(compared, disagreements=(pair,) * 6))
    assert "and 3 more pairs: --html or --json shows them" in printed(replace(compared, disagreements=(pair,) * 9))


def test_the_terminal_says_what_is_missing_before_the_advice(compared: Comparison) -> None:
    assert printed(compared).splitlines()[-4:] == [
        "! This is incomplete: it was interrupted before everything was measured.",
        "! mobilenet_v2 was not measured: The weights file /weights/<b>.pth is damaged.",
        "! 1 of the 2,000 images could not be labelled, which counts as wrong.",
        "No model can be recommended: each one with trained weights failed requests in the soak test.",
    ]


def test_the_page_says_the_same(compared: Comparison) -> None:
    page = comparison_page(compared)
    assert "<li>This is incomplete: it was interrupted before everything was measured.</li>" in page
    assert "<li>mobilenet_v2 was not measured: The weights file /weights/&lt;b&gt;.pth is damaged.</li>" in page
    assert f"<strong>{compared.recommendation}</strong>" in page
    assert page.count("mobilenet_v3_large") == page.count("mobilenet_v3_large, fp32, RANDOM WEIGHTS") >= 5
    assert "<td>224</td>\n<td></td><td></td>" in page[page.index("RANDOM WEIGHTS</th>") :].split("</tr>")[0]


def test_the_json_keeps_to_its_schema(compared: Comparison) -> None:
    schema = json.loads(resources.files("report.comparison").joinpath("comparison.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    document = json.loads(json.dumps(compared.as_json()))
    assert list(validator.iter_errors(document)) == []
    assert set(document) == set(schema["properties"])
    model = document["models"][0]
    assert set(model) == set(schema["properties"]["models"]["items"]["properties"])
    assert set(model["long_time"]) == set(schema["$defs"]["long_time"]["properties"])
    assert document["models"][2]["top1"] is document["models"][2]["top3"] is None
