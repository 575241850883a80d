"""Segmentation metrics from sparse overlaps of two label images.

Cells match one to one; above an IoU of 0.5 no two matches can conflict. *AP* is
TP / (TP + FP + FN), as Cellpose and StarDist define it, not COCO's. *SEG* is the Cell
Tracking Challenge's: the mean Jaccard index of true cells over their match that covers more
than half of them, 0 without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def match(iou: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the largest one-to-one matching with an IoU of at least that."""
    if 0 in iou.shape:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    good = iou >= threshold
    rows, columns = linear_sum_assignment(-(good + iou / 2 / max(iou.shape)))
    hit = good[rows, columns]
    return rows[hit], columns[hit]


class ImageMatches(NamedTuple):
    """How the cells of one image match.

    Attributes
    ----------
    counts
        ``(10, 3)`` int: TP, FP, FN at each of `IOU_THRESHOLDS`.
    iou_sum
        Of the pairs matched at 0.5.
    jaccard
        ``(n_true,)``: of each true cell with the one that covers more than half of it, else 0.
    """

    counts: NDArray[np.int64]
    iou_sum: float
    jaccard: NDArray[np.float64]

    @property
    def f1_50(self) -> float:
        """F1 at an IoU of 0.5; 1 where there is nothing and nothing was found."""
        tp, fp, fn = (int(n) for n in self.counts[0])
        return 1.0 if tp + fp + fn == 0 else 2 * tp / (2 * tp + fp + fn)


def match_image(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> ImageMatches:
    """Match the cells of two label images of one shape."""
    iou, covered = overlap_iou(predicted, truth)
    n_predicted, n_true = iou.shape
    counts, iou_sum = np.zeros((len(IOU_THRESHOLDS), 3), np.int64), 0.0
    for k, threshold in enumerate(IOU_THRESHOLDS):
        pairs = match(iou, float(threshold))
        tp = len(pairs[0])
        counts[k] = tp, n_predicted - tp, n_true - tp
        if k == 0:
            iou_sum = float(iou[pairs].sum())
    best = np.where(covered > 0.5, iou, 0).max(0, initial=0)
    return ImageMatches(counts, iou_sum, best)


def evaluate_segmentation(
    pairs: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]],
) -> dict[str, float | int | None]:
    """Score predicted against true label images, image by image; see :func:`summarise`."""
    return summarise([match_image(predicted, truth) for predicted, truth in pairs])


def summarise(images: Sequence[ImageMatches]) -> dict[str, float | int | None]:
    """Score a set of images.

    Parameters
    ----------
    images
        From :func:`match_image`.

    Returns
    -------
    dict
        ``f1_50`` (mean over images, as the CellSAM paper has it), ``f1_50_pooled``,
        ``ap_50`` ... ``ap_95``, ``ap_mean`` and ``pq`` from pooled counts, ``seg``,
        ``n_images``, ``n_true``, ``n_predicted``. An image without cells in either is perfect.
        None where nothing could be scored.
    """
    pooled = sum((i.counts for i in images), np.zeros((len(IOU_THRESHOLDS), 3), np.int64))
    iou_sum = sum(i.iou_sum for i in images)
    jaccard = np.concatenate([np.empty(0), *(i.jaccard for i in images)])
    tp, fp, fn = (int(v) for v in pooled[0])
    found = 2 * tp + fp + fn
    ap = pooled[:, 0] / np.maximum(pooled.sum(1), 1)
    scores: dict[str, float | int | None] = {
        "f1_50": float(np.mean([i.f1_50 for i in images])) if images else None,
        "f1_50_pooled": 2 * tp / found if found else None,
        "pq": 2 * iou_sum / found if found else None,
        "seg": float(jaccard.mean()) if len(jaccard) else None,
        "ap_mean": float(ap.mean()) if found else None,
    }
    for threshold, value in zip(IOU_THRESHOLDS, ap, strict=True):
        scores[f"ap_{round(100 * threshold)}"] = float(value) if found else None
    return scores | {"n_images": len(images), "n_true": tp + fn, "n_predicted": tp + fp}
