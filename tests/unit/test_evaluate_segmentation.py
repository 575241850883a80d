from __future__ import annotations

import numpy as np
import pytest

from cellsam_core.evaluate.segmentation import evaluate_segmentation


def squares(*boxes: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros((60, 60), np.uint16)
    for k, (y, x, side) in enumerate(boxes, start=1):
        labels[y : y + side, x : x + side] = 7 * k
    return labels


def test_known_counts() -> None:
    truth = squares((0, 0, 10), (20, 20, 10), (40, 40, 10))
    # The first exactly, the second with IoU 90/110, the third missed, one invented.
    predicted = squares((0, 0, 10), (20, 21, 10), (0, 50, 10))
    scores = evaluate_segmentation([(predicted, truth)])
    assert scores["f1_50"] == pytest.approx(4 / 6)
    assert scores["ap_50"] == pytest.approx(2 / 4)
    assert scores["ap_80"] == pytest.approx(2 / 4)
    assert scores["ap_85"] == pytest.approx(1 / 5)
    assert scores["pq"] == pytest.approx((1 + 90 / 110) / 3)
    assert scores["seg"] == pytest.approx((1 + 90 / 110) / 3)


def test_mean_over_images_differs_from_pooled() -> None:
    one, three = squares((0, 0, 10)), squares((0, 0, 10), (20, 20, 10), (40, 40, 10))
    scores = evaluate_segmentation([(one, one), (np.zeros_like(three), three)])
    assert scores["f1_50"] == pytest.approx(0.5)
    assert scores["f1_50_pooled"] == pytest.approx(2 / 5)


def test_empty_images_are_perfect_and_nothing_scores_none() -> None:
    empty = np.zeros((5, 5), np.uint8)
    assert evaluate_segmentation([(empty, empty)])["f1_50"] == 1.0
    assert evaluate_segmentation([])["f1_50"] is None
