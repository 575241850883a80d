"""Segmentation metrics from sparse overlaps of two label images.

Cells match one to one; above an IoU of 0.5 no two matches can conflict. *AP* is
TP / (TP + FP + FN), as Cellpose and StarDist define it, not COCO's. *SEG* is the Cell
Tracking Challenge's: the mean Jaccard index of true cells over their match that covers more
than half of them, 0 without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

IOU_THRESHOLDS = np.round(np.arange(0.5, 1.0, 0.05), 2)


def overlap_iou(
    predicted: NDArray[np.integer], truth: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return IoU of all pairs ``(n_predicted, n_true)`` and the share of each true cell covered.

    Parameters
    ----------
    predicted, truth
        Label images of one shape, 0 = background; labels need not be consecutive.
    """
    ids_p, p = np.unique(predicted, return_inverse=True)
    ids_t, t = np.unique(truth, return_inverse=True)
    counts = coo_matrix(
        (np.ones(predicted.size), (p.ravel(), t.ravel())), shape=(len(ids_p), len(ids_t))
    ).toarray()
    inter = counts[ids_p != 0][:, ids_t != 0]
    area_p = counts.sum(1)[ids_p != 0]
    area_t = counts.sum(0)[ids_t != 0]
    union = area_p[:, None] + area_t[None] - inter
    return inter / np.maximum(union, 1), inter / np.maximum(area_t[None], 1)


def count_matches(iou: NDArray[np.float64], threshold: float) -> tuple[int, int, int, float]:
    """Return TP, FP, FN and the sum of the matched IoUs at an IoU threshold."""
    if 0 in iou.shape:
        return 0, iou.shape[0], iou.shape[1], 0.0
    good = iou >= threshold
    rows, columns = linear_sum_assignment(-(good + iou / 2 / max(iou.shape)))
    hit = good[rows, columns]
    tp = int(hit.sum())
    return tp, iou.shape[0] - tp, iou.shape[1] - tp, float(iou[rows, columns][hit].sum())


def evaluate_segmentation(
    pairs: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]],
) -> dict[str, float | int | None]:
    """Score predicted against true label images.

    Parameters
    ----------
    pairs
        Predicted and true label image, image by image.

    Returns
    -------
    dict
        ``f1_50`` (mean over images, as the CellSAM paper has it), ``f1_50_pooled``,
        ``ap_50`` ... ``ap_95``, ``ap_mean`` and ``pq`` from pooled counts, ``seg``,
        ``n_images``, ``n_true``, ``n_predicted``. An image without cells in either is perfect.
        None where nothing could be scored.
    """
    per_image: list[float] = []
    pooled = np.zeros((len(IOU_THRESHOLDS), 3), np.int64)
    iou_sum = 0.0
    jaccard: list[NDArray[np.float64]] = []
    for predicted, truth in pairs:
        iou, covered = overlap_iou(predicted, truth)
        for k, threshold in enumerate(IOU_THRESHOLDS):
            tp, fp, fn, matched = count_matches(iou, float(threshold))
            pooled[k] += tp, fp, fn
            if k == 0:
                iou_sum += matched
                per_image.append(1.0 if tp + fp + fn == 0 else 2 * tp / (2 * tp + fp + fn))
        if iou.shape[1]:
            best = np.where(covered > 0.5, iou, 0)
            jaccard.append(best.max(0) if len(best) else np.zeros(iou.shape[1]))
    tp, fp, fn = (int(v) for v in pooled[0])
    found = 2 * tp + fp + fn
    ap = pooled[:, 0] / np.maximum(pooled.sum(1), 1)
    scores: dict[str, float | int | None] = {
        "f1_50": float(np.mean(per_image)) if per_image else None,
        "f1_50_pooled": 2 * tp / found if found else None,
        "pq": 2 * iou_sum / found if found else None,
        "seg": float(np.concatenate(jaccard).mean()) if jaccard else None,
        "ap_mean": float(ap.mean()) if found else None,
    }
    for threshold, value in zip(IOU_THRESHOLDS, ap, strict=True):
        scores[f"ap_{round(100 * threshold)}"] = float(value) if found else None
    return scores | {"n_images": len(per_image), "n_true": tp + fn, "n_predicted": tp + fp}
