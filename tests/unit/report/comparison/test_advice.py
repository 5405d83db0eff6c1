"""Which model is recommended, and why, on planted measurements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from report.comparison.advice import recommendation
from report.comparison.figures import soak_figures
from tests.unit.report.comparison.measurements import CANDIDATE, HOUR, PUBLISHED, asked, like, marked, with_errors

if TYPE_CHECKING:
    from report.comparison.figures import Candidate


def test_the_fastest_of_those_that_are_right_as_often_is_recommended() -> None:
    best = marked(range(40))
    quick = marked(range(42), model="mobilenet_v2", images_per_second=40.0)  # worse by a point, to the dot
    hasty = marked(range(100), model="mobilenet_v2", precision="int8", images_per_second=90.0)
    assert recommendation([best, quick, hasty], PUBLISHED) == (
        "Choose mobilenet_v2, fp32: it is right on 79 % of the 200 images with ground truth, no other is more accurate"
        " by over a percentage point and beyond chance, and of the 2 that are as accurate it is the fastest, with 40.0"
        " images per second."
    )


def test_one_that_all_others_fall_short_of_is_recommended_though_they_are_faster() -> None:
    hasty = marked(range(100), precision="int8", images_per_second=90.0)
    assert recommendation([marked(range(40)), hasty], PUBLISHED) == (
        "Choose resnet18, fp32: it is right on 80 % of the 200 images with ground truth, and each of the others is"
        " outperformed by over a percentage point and beyond chance."
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


def test_what_is_chosen_is_outperformed_by_no_other_not_by_the_best_alone() -> None:
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
        " less the share of labels that its precision changes), and each of the others is outperformed by over a"
        " percentage point."
    )
    assert recommendation([plain, int8, other], PUBLISHED | {"resnet18": 0.71}) == (
        "Choose mobilenet_v2, fp32: it is expected to be right about 72 % of the time on ImageNet (published accuracy,"
        " less the share of labels that its precision changes), no other is more accurate by over a percentage point,"
        " and of the 2 that are as accurate it is the fastest, with 30.0 images per second."
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
        ", and each of the others is outperformed by over a percentage point. Not considered, having no published"
        " accuracy: shufflenet_v2_x1_0, fp32."
    )
    assert recommendation([CANDIDATE, unknown], PUBLISHED).endswith(", and no other has a published accuracy.")


def test_where_none_has_a_published_accuracy_speed_decides() -> None:
    quick = like(model="shufflenet_v2_x1_0", images_per_second=90.0)
    assert recommendation([CANDIDATE, quick], {}) == (
        "Choose shufflenet_v2_x1_0, fp32: it is the fastest, with 90.0 images per second. That is by speed alone:"
        " there is no ground truth, and none has a published accuracy."
    )
    assert recommendation([quick], {}) == (
        "Choose shufflenet_v2_x1_0, fp32: it is the only one that was measured. Its accuracy is not known: there is"
        " no ground truth, and no published accuracy."
    )


def test_random_weights_are_never_recommended() -> None:
    random = like(model="mobilenet_v2", is_random=True, images_per_second=900.0)
    assert recommendation([CANDIDATE, random], PUBLISHED) == (
        "Choose resnet18, fp32: it is expected to be right about 70 % of the time on ImageNet (published accuracy, less"
        " the share of labels that its precision changes), and no other has trained weights."
    )
    assert recommendation([random], PUBLISHED) == (
        "No model can be recommended: none has trained weights. `nightlabel models` says where to put them."
    )


def test_one_that_failed_or_leaked_in_the_soak_test_is_not_recommended_and_that_is_said() -> None:
    faulty = like(model="mobilenet_v2", images_per_second=90.0, soak=soak_figures(with_errors(3), HOUR))
    leaky = like(precision="int8", images_per_second=80.0, soak=soak_figures(asked(leak=40.0), HOUR))
    said = recommendation([CANDIDATE, faulty, leaky], PUBLISHED)
    assert re.fullmatch(
        r"Choose resnet18, fp32: it is expected to be right about 70 % of the time on ImageNet \(published accuracy,"
        r" less the share of labels that its precision changes\), and no other can be recommended\."
        r" mobilenet_v2, fp32 is not recommended: it failed 3 of 1,800 requests in the soak test\."
        r" resnet18, int8 is not recommended: its memory grew by \+(40|39|41) MB/h in the soak test\.",
        said,
    )


def test_where_none_passed_the_soak_test_none_is_recommended() -> None:
    faulty = like(soak=soak_figures(with_errors(1), HOUR))
    leaky = like(precision="int8", soak=soak_figures(asked(leak=40.0), HOUR))
    random = like(model="mobilenet_v2", is_random=True)

    def said(*candidates: Candidate) -> str:
        return recommendation(candidates, PUBLISHED)

    none = "No model can be recommended:"
    assert said(faulty) == f"{none} the only one that was measured failed requests in the soak test."
    assert said(faulty, faulty) == f"{none} each failed requests in the soak test."
    assert said(leaky, leaky) == f"{none} each leaked memory in the soak test."
    assert said(faulty, leaky) == f"{none} each failed requests or leaked memory in the soak test."
    assert said(leaky, random) == f"{none} each one with trained weights leaked memory in the soak test."
