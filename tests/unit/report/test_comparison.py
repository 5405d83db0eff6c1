"""Accuracy, the long time, disagreements, the advice, and how they are shown, on planted measurements."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from report.advice import recommendation
from report.comparison import (
    Candidate,
    Comparison,
    NotMeasured,
    accuracy,
    disagreements,
    long_time,
    right_among,
)
from report.comparison_terminal import print_comparison, tables
from report.page import comparison_page
from worker.measure import Assignment, Sample

if TYPE_CHECKING:
    from collections.abc import Container

CANDIDATE = Candidate(
    model="resnet18",
    precision="fp32",
    is_random=False,
    parameters=11_689_512,
    file_mb=46.8,
    input_px=224,
    top1=None,
    top3=None,
    latency_mean_ms=50.0,
    latency_p50_ms=49.0,
    latency_p99_ms=60.0,
    images_per_second=20.0,
    load_s=0.7,
    peak_rss_mb=220.0,
    cpu_share=0.99,
    errors=0,
    long_time=None,
    labels=("tabby", "pug", None, "pizza"),
    right=(None,) * 4,
    pid=4711,
)
PUBLISHED = {"resnet18": 0.70, "mobilenet_v2": 0.72, "shufflenet_v2_x1_0": None}
#: An hour of one request in two seconds.
HOUR = Assignment(duration_s=3600, interval_s=2)


def like(**given: Any) -> Candidate:
    return replace(CANDIDATE, **given)


def marked(wrong: Container[int], **given: Any) -> Candidate:
    """Return a candidate that is right on 200 images, but for some."""
    right = tuple(number not in wrong for number in range(200))
    return like(right=right, top1=accuracy(right), **given)


def asked(*, ms: float = 50.0, leak: float = 0.0) -> list[Sample]:
    """One request every two seconds, for an hour, with steady memory."""
    noise = np.random.default_rng(1).normal(0, 0.2, 1800)
    return [
        Sample(at_s=2.0 * n, ms=ms, rss_mb=200 + float(noise[n]) + leak * n / 1800, cpu_s=0.1 * n, ok=True)
        for n in range(1800)
    ]


def with_errors(count: int) -> list[Sample]:
    samples = asked()
    samples[:count] = [replace(sample, ok=False) for sample in samples[:count]]
    return samples


def test_an_image_that_failed_is_wrong_and_one_without_truth_does_not_count() -> None:
    labels = [[("tabby", 0.6), ("pug", 0.3)], [("pug", 0.9)], [], [("lynx", 0.5), ("tabby", 0.4)]]
    assert right_among(labels, ["tabby", "tabby", "tabby", None], 1) == (True, False, False, None)
    assert right_among(labels, ["tabby"] * 4, 3) == (True, False, False, True)
    assert accuracy((True, False, False, None)) == pytest.approx(1 / 3)
    assert accuracy((None, None)) is None


def test_a_steady_hour_has_no_leak() -> None:
    found = long_time(asked(), HOUR)
    assert found
    assert (found.requests, found.errors, found.stalls, found.verdict) == (1800, 0, 0, "steady")
    assert found.cpu_share == pytest.approx(0.05)
    assert found.p99_ms == 50.0


def test_a_leak_a_stall_and_an_error_are_found() -> None:
    samples = asked(leak=40.0)
    samples[7] = replace(samples[7], ms=2500.0)
    samples[9] = replace(samples[9], ok=False)
    found = long_time(samples, HOUR)
    assert found
    assert (found.errors, found.stalls, found.verdict) == (1, 1, "leak")
    assert found.rss_slope
    assert found.rss_slope.low < 40 < found.rss_slope.high


def test_requests_that_could_not_begin_are_stalls() -> None:
    samples = asked()
    samples[7] = replace(samples[7], ms=5500.0)
    del samples[8:10]
    found = long_time(samples, HOUR)
    assert found
    assert (found.requests, found.stalls) == (1798, 3)


def test_a_moment_is_too_short_for_a_verdict() -> None:
    found = long_time(asked()[:60], replace(HOUR, duration_s=120))
    assert found
    assert (found.stalls, found.verdict) == (0, "too short")


def test_of_a_single_request_the_share_of_the_cpu_is_not_known() -> None:
    found = long_time(asked()[:1], replace(HOUR, duration_s=4))
    assert found
    assert (found.requests, found.stalls, found.cpu_share) == (1, 1, None)


def test_without_requests_there_is_no_long_time() -> None:
    assert long_time([], Assignment()) is None


def test_each_two_with_trained_weights_are_compared_on_what_both_labelled() -> None:
    other = like(precision="int8", labels=("tabby", "boxer", "pizza", "lynx"))
    random = like(model="efficientnet_b0", is_random=True)
    (found,) = disagreements([CANDIDATE, other, random], ["1.jpg", "2.jpg", "3.jpg", "4.jpg"])
    assert (found.images, found.different, found.share) == (3, 2, 2 / 3)
    assert found.examples == (("2.jpg", "pug", "boxer"), ("4.jpg", "pizza", "lynx"))
    assert (found.first, found.second) == ("resnet18, fp32", "resnet18, int8")


def test_the_fastest_of_those_that_are_right_as_often_is_recommended() -> None:
    best = marked(range(40))
    quick = marked(range(42), model="mobilenet_v2", images_per_second=40.0)  # worse by a point, to the dot
    hasty = marked(range(100), model="mobilenet_v2", precision="int8", images_per_second=90.0)
    assert recommendation([best, quick, hasty], PUBLISHED) == (
        "Choose mobilenet_v2, fp32: it is right on 79 % of the 200 images with truth, no other is right more often by"
        " over a point and beyond chance, and of the 2 that are as right it is the fastest, with 40.0 images a second."
    )


def test_one_that_all_others_fall_short_of_is_recommended_though_they_are_faster() -> None:
    hasty = marked(range(100), precision="int8", images_per_second=90.0)
    assert recommendation([marked(range(40)), hasty], PUBLISHED) == (
        "Choose resnet18, fp32: it is right on 80 % of the 200 images with truth, and each of the others is outdone"
        " by over a point and beyond chance."
    )


def test_a_difference_of_over_a_point_counts_only_beyond_chance() -> None:
    """Both others are wrong on five images more; but one on other images, as if it had been luck."""
    best = marked(range(40))
    lucky = marked(range(20, 65), model="mobilenet_v2", images_per_second=40.0)
    worse = marked(range(45), model="mobilenet_v2", images_per_second=40.0)
    assert lucky.top1 == worse.top1 == pytest.approx(0.775)
    assert recommendation([best, lucky], PUBLISHED).startswith("Choose mobilenet_v2, fp32: ")
    assert recommendation([best, worse], PUBLISHED).startswith("Choose resnet18, fp32: ")


@pytest.mark.parametrize("images", [1, 2, 3])
def test_a_few_images_are_chance_even_if_one_model_is_right_on_all_and_the_other_on_none(images: int) -> None:
    all_right = like(right=(True,) * images, top1=1.0)
    all_wrong = like(right=(False,) * images, top1=0.0, model="mobilenet_v2", images_per_second=40.0)
    assert recommendation([all_right, all_wrong], PUBLISHED).startswith("Choose mobilenet_v2, fp32: ")


def test_what_is_chosen_is_outdone_by_no_other_not_by_the_best_alone() -> None:
    """What divides the fastest from the best may be luck; from a third one, which errs where it does, it is not."""
    best = marked(range(40))
    third = marked(range(20, 61), model="mobilenet_v2", images_per_second=30.0)
    fastest = marked(range(20, 65), precision="int8", images_per_second=40.0)
    assert recommendation([best, fastest], PUBLISHED).startswith("Choose resnet18, int8: ")
    assert recommendation([third, fastest], PUBLISHED).startswith("Choose mobilenet_v2, fp32: ")
    assert recommendation([best, third, fastest], PUBLISHED).startswith("Choose mobilenet_v2, fp32: ")


def test_without_truth_the_published_accuracy_counts_less_what_a_precision_changes() -> None:
    plain = like(labels=("a", "b", "c", "d"))
    int8 = like(precision="int8", images_per_second=60.0, labels=("a", "b", "c", "x"))
    other = like(model="mobilenet_v2", images_per_second=30.0)
    assert recommendation([plain, int8, other], PUBLISHED) == (
        "Choose mobilenet_v2, fp32: it is expected to be right about 72 % of the time on ImageNet (published accuracy,"
        " less what its precision changes here), and each of the others is outdone by over a point."
    )
    assert recommendation([plain, int8, other], PUBLISHED | {"resnet18": 0.71}) == (
        "Choose mobilenet_v2, fp32: it is expected to be right about 72 % of the time on ImageNet (published accuracy,"
        " less what its precision changes here), no other is right more often by over a point, and of the 2 that are as"
        " right it is the fastest, with 30.0 images a second."
    )


def test_what_a_precision_changes_is_not_known_without_fp32() -> None:
    assert recommendation([like(precision="int8")], PUBLISHED) == (
        "Choose resnet18, int8: it is expected to be right about 70 % of the time on ImageNet (published accuracy; what"
        " its precision changes was not measured), and it is the only one that was measured."
    )


def test_one_without_a_published_accuracy_is_not_compared() -> None:
    unknown = like(model="shufflenet_v2_x1_0", images_per_second=90.0)
    other = like(model="mobilenet_v2", images_per_second=30.0)
    assert recommendation([CANDIDATE, other, unknown], PUBLISHED).endswith(
        ", and each of the others is outdone by over a point. Left out, having no published accuracy:"
        " shufflenet_v2_x1_0, fp32."
    )
    assert recommendation([CANDIDATE, unknown], PUBLISHED).endswith(", and no other has a published accuracy.")


def test_where_none_has_a_published_accuracy_speed_decides() -> None:
    quick = like(model="shufflenet_v2_x1_0", images_per_second=90.0)
    assert recommendation([CANDIDATE, quick], {}) == (
        "Choose shufflenet_v2_x1_0, fp32: it is the fastest, with 90.0 images a second. That is by speed alone: there"
        " is no truth, and none has a published accuracy."
    )
    assert recommendation([quick], {}) == (
        "Choose shufflenet_v2_x1_0, fp32: it is the only one that was measured. How often it is right is not known:"
        " there is no truth, and no published accuracy."
    )


def test_random_weights_are_never_recommended() -> None:
    random = like(model="mobilenet_v2", is_random=True, images_per_second=900.0)
    assert recommendation([CANDIDATE, random], PUBLISHED) == (
        "Choose resnet18, fp32: it is expected to be right about 70 % of the time on ImageNet (published accuracy, less"
        " what its precision changes here), and no other has trained weights."
    )
    assert recommendation([random], PUBLISHED) == (
        "None can be recommended: none has trained weights. `nightlabel models` says where to put them."
    )


def test_one_that_failed_or_leaked_in_the_long_time_is_not_recommended_and_that_is_said() -> None:
    faulty = like(model="mobilenet_v2", images_per_second=90.0, long_time=long_time(with_errors(3), HOUR))
    leaky = like(precision="int8", images_per_second=80.0, long_time=long_time(asked(leak=40.0), HOUR))
    said = recommendation([CANDIDATE, faulty, leaky], PUBLISHED)
    assert re.fullmatch(
        r"Choose resnet18, fp32: it is expected to be right about 70 % of the time on ImageNet \(published accuracy,"
        r" less what its precision changes here\), and no other can be recommended\."
        r" mobilenet_v2, fp32 is not recommended: it failed 3 of 1,800 requests in the long time\."
        r" resnet18, int8 is not recommended: its memory grew by \+(40|39|41) MB an hour\.",
        said,
    )


def test_where_none_stood_the_long_time_none_is_recommended() -> None:
    faulty = like(long_time=long_time(with_errors(1), HOUR))
    leaky = like(precision="int8", long_time=long_time(asked(leak=40.0), HOUR))
    random = like(model="mobilenet_v2", is_random=True)

    def said(*candidates: Candidate) -> str:
        return recommendation(candidates, PUBLISHED)

    none = "None can be recommended:"
    assert said(faulty) == f"{none} the only one that was measured failed requests in the long time."
    assert said(faulty, faulty) == f"{none} each failed requests in the long time."
    assert said(leaky, leaky) == f"{none} each leaked memory in the long time."
    assert said(faulty, leaky) == f"{none} each failed requests or leaked memory in the long time."
    assert said(leaky, random) == f"{none} each that has trained weights leaked memory in the long time."


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
    hour = long_time(samples, HOUR)
    trained = marked(range(40), model="shufflenet_v2_x1_0", top3=0.9, long_time=hour, errors=1, **figures)
    candidates = [
        replace(trained, labels=("tabby",) * 200),
        replace(trained, precision="int8", labels=("golden retriever",) * 200),
        like(
            **figures | {"file_mb": None},
            model="mobilenet_v3_large",
            is_random=True,
            long_time=long_time(asked(), HOUR),
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
    for table in tables(compared):
        unfolded = [column for column in table.columns if column.no_wrap]
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
    moment = long_time(asked(leak=4000.0)[:60], replace(HOUR, duration_s=120))
    text = printed(replace(compared, candidates=(like(long_time=moment),)))
    (row,) = (line for line in text.splitlines() if line.endswith("too short"))
    assert row.split()[-4:] == ["–", "–", "too", "short"]


def test_pairs_that_are_not_shown_are_counted(compared: Comparison) -> None:
    (pair,) = compared.disagreements
    assert "more pairs" not in printed(replace(compared, disagreements=(pair,) * 6))
    assert "and 3 more pairs: --html or --json shows them" in printed(replace(compared, disagreements=(pair,) * 9))


def test_the_terminal_says_what_is_missing_before_the_advice(compared: Comparison) -> None:
    assert printed(compared).splitlines()[-4:] == [
        "! This is not all: it was interrupted before everything was measured.",
        "! mobilenet_v2 is not measured: The weights file /weights/<b>.pth is damaged.",
        "! 1 of the 2,000 images could not be labelled, which counts as wrong.",
        "None can be recommended: each that has trained weights failed requests in the long time.",
    ]


def test_the_page_says_the_same(compared: Comparison) -> None:
    page = comparison_page(compared)
    assert "<li>This is not all: it was interrupted before everything was measured.</li>" in page
    assert "<li>mobilenet_v2 is not measured: The weights file /weights/&lt;b&gt;.pth is damaged.</li>" in page
    assert f"<strong>{compared.recommendation}</strong>" in page
    assert page.count("mobilenet_v3_large") == page.count("mobilenet_v3_large, fp32, RANDOM WEIGHTS") >= 5
    assert "<td>224</td>\n<td></td><td></td>" in page[page.index("RANDOM WEIGHTS</th>") :].split("</tr>")[0]


def test_the_json_keeps_to_its_schema(compared: Comparison) -> None:
    schema = json.loads(resources.files("report").joinpath("comparison.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    document = json.loads(json.dumps(compared.as_json()))
    assert list(validator.iter_errors(document)) == []
    assert set(document) == set(schema["properties"])
    model = document["models"][0]
    assert set(model) == set(schema["properties"]["models"]["items"]["properties"])
    assert set(model["long_time"]) == set(schema["$defs"]["long_time"]["properties"])
    assert document["models"][2]["top1"] is document["models"][2]["top3"] is None
