"""Segmentation metrics from sparse overlaps of two label images.

Cells match one to one; above an IoU of 0.5 no two matches can conflict. *AP* is
TP / (TP + FP + FN), as Cellpose and StarDist define it, not COCO's. *SEG* is the Cell
Tracking Challenge's: the mean Jaccard index of true cells over their match that covers more
than half of them, 0 without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csgraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

IOU_THRESHOLDS = np.round(np.arange(0.5, 1.0, 0.05), 2)


class Overlaps(NamedTuple):
    """The pairs of a predicted and a true cell that share pixels, by predicted, then true cell.

    Attributes
    ----------
    rows, columns
        ``(n,)``: places of both cells in the sorted labels of their images, without background.
    iou
        ``(n,)``: intersection over union.
    covered
        ``(n,)``: share of the true cell that the predicted one covers.
    n_predicted, n_true
        Cells of the images.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    iou: NDArray[np.float64]
    covered: NDArray[np.float64]
    n_predicted: int
    n_true: int


def find_overlaps(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> Overlaps:
    """Find the cells of two label images that share pixels.

    Time and memory grow with the number of cells and of pixels, not with pairs of cells.

    Parameters
    ----------
    predicted, truth
        Label images of one shape, 0 = background; labels need not be consecutive.
    """
    p, t = predicted.ravel(), truth.ravel()
    changes = np.ones(p.size, bool)
    changes[1:] = (p[1:] != p[:-1]) | (t[1:] != t[:-1])
    starts = np.flatnonzero(changes)
    ids_p, row = np.unique(p[starts], return_inverse=True)
    ids_t, column = np.unique(t[starts], return_inverse=True)
    n_px = np.diff(starts, append=p.size)
    counts = sparse.coo_array((n_px, (row, column)), shape=(len(ids_p), len(ids_t))).tocsr()
    area_p, area_t = counts.sum(axis=1), counts.sum(axis=0)
    shared = counts.tocoo()
    is_cell_p, is_cell_t = ids_p != 0, ids_t != 0
    of_cells = is_cell_p[shared.row] & is_cell_t[shared.col]
    i, j, inter = shared.row[of_cells], shared.col[of_cells], shared.data[of_cells]
    return Overlaps(
        rows=np.cumsum(is_cell_p)[i] - 1,
        columns=np.cumsum(is_cell_t)[j] - 1,
        iou=inter / (area_p[i] + area_t[j] - inter),
        covered=inter / area_t[j],
        n_predicted=int(is_cell_p.sum()),
        n_true=int(is_cell_t.sum()),
    )


def match(overlaps: Overlaps, threshold: float) -> NDArray[np.intp]:
    """Choose the largest one-to-one matching with an IoU of at least that, above 0.

    Above 0.5 no two pairs share a cell, and at 0.5 only two halves of one cell compete. Below, a
    cell may have several partners: the assignment is solved for each group of cells that compete.

    Returns
    -------
    ndarray of int
        Pairs of `overlaps` that match, in their order.
    """
    good = np.flatnonzero(overlaps.iou >= threshold)
    rows, columns = overlaps.rows[good], overlaps.columns[good]
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    chosen = [good[~contested]]
    good = good[contested]
    if len(good):
        rows, columns = overlaps.rows[good], overlaps.n_predicted + overlaps.columns[good]
        n = overlaps.n_predicted + overlaps.n_true
        graph = sparse.coo_array((np.ones(len(good)), (rows, columns)), shape=(n, n))
        group = csgraph.connected_components(graph, directed=False)[1][rows]
        order = np.argsort(group, kind="stable")
        bounds = np.flatnonzero(np.diff(group[order])) + 1
        chosen += [_match_group(overlaps, pairs) for pairs in np.split(good[order], bounds)]
    return np.sort(np.concatenate(chosen))


def _match_group(overlaps: Overlaps, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Choose among the pairs of cells that compete: most matches, then the largest sum of IoU."""
    rows, row = np.unique(overlaps.rows[pairs], return_inverse=True)
    columns, column = np.unique(overlaps.columns[pairs], return_inverse=True)
    value = np.zeros((len(rows), len(columns)))
    value[row, column] = 1 + overlaps.iou[pairs] / 2 / max(value.shape)
    partner = np.full(len(rows), -1)
    matched = linear_sum_assignment(value, maximize=True)
    partner[matched[0]] = matched[1]
    chosen: NDArray[np.intp] = pairs[partner[row] == column]
    return chosen


class ImageMatches(NamedTuple):
    """Matches of the cells of one image.

    Attributes
    ----------
    counts
        ``(10, 3)`` int: TP, FP, FN at each of `IOU_THRESHOLDS`.
    iou_sum
        Sum of the intersection over union of the pairs that match at 0.5.
    jaccard
        ``(n_true,)``: intersection over union of each true cell with the predicted cell that
        covers more than half of it; 0 without one.
    """

    counts: NDArray[np.int64]
    iou_sum: float
    jaccard: NDArray[np.float64]

    @property
    def f1_50(self) -> float:
        """F1 at an intersection over union of 0.5; 1 for an empty image without predicted cells."""
        tp, fp, fn = (int(n) for n in self.counts[0])
        return 1.0 if tp + fp + fn == 0 else 2 * tp / (2 * tp + fp + fn)


def match_image(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> ImageMatches:
    """Match the cells of two label images of one shape."""
    overlaps = find_overlaps(predicted, truth)
    counts, iou_sum = np.zeros((len(IOU_THRESHOLDS), 3), np.int64), 0.0
    for k, threshold in enumerate(IOU_THRESHOLDS):
        pairs = match(overlaps, float(threshold))
        tp = len(pairs)
        counts[k] = tp, overlaps.n_predicted - tp, overlaps.n_true - tp
        if k == 0:
            iou_sum = float(overlaps.iou[pairs].sum())
    covering = overlaps.covered > 0.5  # one predicted cell at most
    jaccard = np.zeros(overlaps.n_true)
    jaccard[overlaps.columns[covering]] = overlaps.iou[covering]
    return ImageMatches(counts, iou_sum, jaccard)


def score_pairs(
    pairs: Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]],
) -> dict[str, float | int | None]:
    """Score predicted against true label images, image by image; see :func:`summarise`."""
    return summarise([match_image(predicted, truth) for predicted, truth in pairs])


def summarise(images: Sequence[ImageMatches]) -> dict[str, float | int | None]:
    """Score a set of images.

    Parameters
    ----------
    images
        Results of :func:`match_image`.

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
