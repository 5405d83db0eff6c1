"""How sure a network is, and from which margin on a quantised one may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.margin import EXPECTED_AGREEMENT, least_margin, margins

if TYPE_CHECKING:
    from numpy.typing import NDArray


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def networks(images: int, noise: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what a network says of images, and the same with noise of quantising."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 3, (images, 50))
    return softmax(logits), softmax(logits + chance.normal(0, noise, logits.shape))


def test_the_margin_is_the_logarithm_of_the_best_over_the_second_best() -> None:
    found = margins(np.array([[0.1, 0.6, 0.3], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], np.float32))
    assert found[0] == pytest.approx(np.log(2), abs=1e-6)
    assert found[1] == 0
    assert np.isfinite(found[2])
    assert found[2] > 80


def test_what_never_differs_needs_no_margin() -> None:
    full, _ = networks(200, 0, seed=1)
    assert least_margin(full, full) == 0


def test_the_image_that_differs_does_not_pass() -> None:
    full = np.array([[0.9, 0.1]] * 60 + [[0.4, 0.6]], np.float32)
    quick = np.array([[0.9, 0.1]] * 60 + [[0.52, 0.48]], np.float32)
    margin = least_margin(quick, full)
    assert margin > margins(quick)[60]
    assert margin <= margins(quick)[0]


def test_of_other_images_as_many_agree_as_it_was_set_for() -> None:
    """On 100 images next to none of which differs: what is counted on so few says little, and is not relied on."""
    shares = []
    for seed in range(30):
        full, quick = networks(100, 0.15, seed=seed)
        margin = least_margin(quick, full)
        others, quick_others = networks(2000, 0.15, seed=1000 + seed)
        differs = (others.argmax(1) != quick_others.argmax(1)) & (margins(quick_others) >= margin)
        shares.append(1 - differs.mean())
    assert np.mean(shares) >= EXPECTED_AGREEMENT - 0.001


def test_more_noise_needs_a_larger_margin() -> None:
    little, much = (least_margin(*reversed(networks(500, noise, seed=3))) for noise in (0.05, 0.3))
    assert 0 < little < much
