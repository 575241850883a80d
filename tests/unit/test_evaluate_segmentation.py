from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from cellsam_core.errors import InputError
from cellsam_core.evaluation.segmentation import (
    IOU_THRESHOLDS,
    find_overlaps,
    match,
    match_image,
    score_pairs,
)
from cellsam_core.evaluation.stage import evaluate_segmentation
from cellsam_core.labels.source import write_label_tiff


def squares(*boxes: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros((60, 60), np.uint16)
    for k, (y, x, side) in enumerate(boxes, start=1):
        labels[y : y + side, x : x + side] = 7 * k
    return labels


def test_known_counts() -> None:
    truth = squares((0, 0, 10), (20, 20, 10), (40, 40, 10))
    # The first exactly, the second with IoU 90/110, the third missed, one invented.
    predicted = squares((0, 0, 10), (20, 21, 10), (0, 50, 10))
    scores = score_pairs([(predicted, truth)])
    assert scores["f1_50"] == pytest.approx(4 / 6)
    assert scores["ap_50"] == pytest.approx(2 / 4)
    assert scores["ap_80"] == pytest.approx(2 / 4)
    assert scores["ap_85"] == pytest.approx(1 / 5)
    assert scores["pq"] == pytest.approx((1 + 90 / 110) / 3)
    assert scores["seg"] == pytest.approx((1 + 90 / 110) / 3)


def test_mean_over_images_differs_from_pooled() -> None:
    one, three = squares((0, 0, 10)), squares((0, 0, 10), (20, 20, 10), (40, 40, 10))
    scores = score_pairs([(one, one), (np.zeros_like(three), three)])
    assert scores["f1_50"] == pytest.approx(0.5)
    assert scores["f1_50_pooled"] == pytest.approx(2 / 5)


def test_empty_images_are_perfect_and_nothing_scores_none() -> None:
    empty = np.zeros((5, 5), np.uint8)
    assert score_pairs([(empty, empty)])["f1_50"] == 1.0
    assert score_pairs([])["f1_50"] is None


def match_densely(
    predicted: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, list[int], float, np.ndarray]:
    """All pairs of cells in one table, and the assignment solved in it at each threshold."""
    areas = [np.unique(labels[labels > 0], return_counts=True) for labels in (predicted, truth)]
    (ids_p, area_p), (ids_t, area_t) = areas
    shared = [[np.sum((predicted == p) & (truth == t)) for t in ids_t] for p in ids_p]
    inter = np.array(shared, float).reshape(len(ids_p), len(ids_t))
    iou = inter / (area_p[:, None] + area_t - inter)
    tp, iou_sum = [], 0.0
    for threshold in IOU_THRESHOLDS:
        good = iou >= threshold
        rows, columns = linear_sum_assignment(-(good + iou / 2 / max(1, *iou.shape)))
        hit = good[rows, columns]
        tp.append(int(hit.sum()))
        if threshold == 0.5:
            iou_sum = float(iou[rows[hit], columns[hit]].sum())
    jaccard = np.where(inter / area_t > 0.5, iou, 0).max(0, initial=0)
    return iou, tp, iou_sum, jaccard


def tilings(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two label images of rectangles, among them halves of each other: an IoU of exactly 0.5."""
    images = []
    for _ in range(2):
        labels, label = np.zeros((24, 24), np.int32), 0
        for y in range(0, 24, 4):
            for x in range(0, 24, 6):
                kind = rng.integers(5)
                if kind == 0:
                    continue
                label += int(rng.integers(1, 4))
                labels[y : y + 4, x : x + 6] = label
                if kind > 2:
                    label += 1
                    part = ((kind == 3) * 2, (kind == 4) * int(rng.integers(1, 5)))
                    labels[y + part[0] : y + 4, x + part[1] : x + 6] = label
        noise = rng.random(labels.shape) < 0.02
        images.append(np.where(noise, 0, labels) if rng.random() < 0.5 else labels)
    return images[0], images[1]


@pytest.mark.parametrize("seed", range(8))
def test_the_figures_are_those_of_a_solver_to_the_last_digit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    halves = 0
    for _ in range(12):
        predicted, truth = tilings(rng)
        iou, tp, iou_sum, jaccard = match_densely(predicted, truth)
        found = match_image(predicted, truth)
        assert found.counts[:, 0].tolist() == tp
        assert (found.counts.sum(1) + found.counts[:, 0] == sum(iou.shape)).all()
        assert found.iou_sum == iou_sum
        np.testing.assert_array_equal(found.jaccard, jaccard)
        halves += int(((iou == 0.5).sum(0) > 1).sum())
    assert halves > 0  # two predicted cells competed for a true one


@pytest.mark.parametrize("threshold", [0.05, 0.25, 0.5])
def test_cells_with_several_partners_match_as_often_as_they_can(threshold: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        predicted, truth = (
            np.repeat(np.repeat(rng.integers(0, 9, (5, 5)), 3, 0), 3, 1) for _ in range(2)
        )
        overlaps = find_overlaps(predicted, np.roll(truth, 1, (0, 1)))
        iou = np.zeros((overlaps.n_predicted, overlaps.n_true))
        iou[overlaps.rows, overlaps.columns] = overlaps.iou
        pairs = match(overlaps, threshold)
        rows, columns = linear_sum_assignment(iou >= threshold, maximize=True)
        assert len(pairs) == (iou >= threshold)[rows, columns].sum()
        assert len(set(overlaps.rows[pairs])) == len(set(overlaps.columns[pairs])) == len(pairs)


def test_memory_does_not_grow_with_pairs_of_cells() -> None:
    grid = np.arange(1, 60 * 60 + 1, dtype=np.int32).reshape(60, 60)
    labels = np.zeros((480, 480), np.int32)
    for y in range(6):
        for x in range(6):
            labels[y::8, x::8] = grid
    tracemalloc.start()
    found = match_image(labels, labels)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert (found.counts[:, 0] == 3600).all()
    assert peak_mb < 20  # one table of all pairs of cells takes 104 MB


def test_images_in_memory_are_one_a_stack_or_a_list_and_score_as_on_disk(tmp_path) -> None:
    truth = [squares((0, 0, 10), (20, 20, 10)), squares((5, 5, 10))]
    predicted = [squares((0, 0, 10)), squares((5, 6, 10))]
    expected = score_pairs(zip(predicted, truth, strict=True))
    assert evaluate_segmentation(predicted, truth) == expected
    assert evaluate_segmentation(np.array(predicted), np.array(truth)) == expected
    assert evaluate_segmentation(predicted[0], truth[0])["n_images"] == 1
    for folder, tail, images in (("p", "", predicted), ("t", "_label", truth)):
        for k, labels in enumerate(images):
            write_label_tiff(tmp_path / folder / f"{k}{tail}.tif", labels)
    assert evaluate_segmentation(tmp_path / "p", tmp_path / "t") == expected


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([squares()], [squares(), squares()], r"found 1 image\(s\), expected 2"),
        ([squares()[:9]], [squares()], r"image 0 of `predicted`: found shape \(9, 60\)"),
        ([squares() > 0], [squares()], r"image 0 of `predicted`.*bool.*skimage.measure.label"),
        (squares((0, 0, 9)), 255 * (squares((0, 0, 9), (20, 20, 9)) > 0), "`truth`.*255, in 2 pl"),
        ("folder", squares(), "found a path and images in memory"),
        ("nowhere", "nowhere", "nowhere: found no folder"),
    ],
)
def test_images_that_do_not_belong_together_are_refused(predicted, truth, message) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_segmentation(predicted, truth)


def test_names_of_cellpose_and_other_programs_belong_to_those_of_the_images(tmp_path) -> None:
    labels = np.zeros((20, 20), np.uint16)
    labels[2:8, 2:8], labels[11:18, 11:18] = 1, 2
    for name in ("a", "b"):
        for folder, file in (
            *(("truth", f"{name}.tif"), ("truth", f"{name}_label.tif"), ("ome", f"{name}.ome.tif")),
            *(("masks", f"{name}_cp_masks.tif"), ("gui", f"{name}.tif")),
            *(
                ("beside", f"{name}.tif"),
                ("beside", f"{name}_mask.tif"),
                ("beside", f"._{name}.tif"),
            ),
            ("twice", f"{name}_mask.tif"),
            ("twice", f"{name}_masks.tif"),
        ):
            is_image = folder in ("truth", "gui", "beside") and file == f"{name}.tif"
            (tmp_path / folder).mkdir(exist_ok=True)
            write_label_tiff(tmp_path / folder / file, labels + 9 if is_image else labels)
        np.save(tmp_path / "gui" / f"{name}_seg.npy", {"masks": labels})  # type: ignore[arg-type]
    for folder in ("masks", "gui", "beside", "ome"):
        scores = evaluate_segmentation(tmp_path / folder, tmp_path / "truth")
        assert (scores["f1_50"], scores["n_images"]) == (1, 2), folder
    with pytest.raises(InputError, match=r"a_mask.tif and a_masks.tif"):
        evaluate_segmentation(tmp_path / "twice", tmp_path / "truth")


def test_words_in_the_names_of_all_images_are_no_tails(tmp_path) -> None:
    labels = np.zeros((20, 20), np.uint16)
    labels[2:8, 2:8], labels[11:18, 11:18] = 1, 2
    for name in ("day_1", "first_mask"):
        for folder in ("found", "truth"):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_label_tiff(tmp_path / folder / f"{name}.tif", labels)
    assert evaluate_segmentation(tmp_path / "found", tmp_path / "truth")["n_images"] == 2
