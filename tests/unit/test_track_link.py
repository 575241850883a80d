from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from cellsam_core.tracking.drift import coarse_foreground, estimate_shift
from cellsam_core.tracking.link import assign, link_by_distance, link_by_overlap
from cellsam_core.tracking.overlap import count_overlaps, measure_objects


def random_labels(rng: np.random.Generator, n: int = 12, size: int = 40) -> np.ndarray:
    labels = np.zeros((size, size + 7), dtype=np.uint16)
    for label in rng.permutation(np.arange(1, n + 1)) * 3:
        y, x = rng.integers(0, size - 6, 2)
        labels[y : y + rng.integers(2, 9), x : x + rng.integers(2, 9)] = label
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_objects_agree_with_pixel_sums(seed: int) -> None:
    labels = random_labels(np.random.default_rng(seed))
    objects, _runs = measure_objects(labels)
    assert sorted(objects.label) == [v for v in np.unique(labels) if v]
    for row, label in enumerate(objects.label):
        ys, xs = np.nonzero(labels == label)
        assert objects.area_px[row] == len(ys)
        np.testing.assert_allclose(objects.yx[row], (ys.mean(), xs.mean()))
        assert objects.bbox[row].tolist() == [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
        at_border = {0}.intersection([*ys, *xs]) or ys.max() == 39 or xs.max() == 46
        assert objects.border[row] == bool(at_border)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 1), (40, 0)])
def test_overlaps_agree_with_pixel_sums(shift: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    before, after = random_labels(rng), random_labels(rng).astype(">i4")
    (a, a_runs), (b, b_runs) = measure_objects(before), measure_objects(after)
    overlaps = count_overlaps(a_runs, b_runs, shift)
    found = {
        (a.label[i], b.label[j]): n
        for i, j, n in zip(overlaps.i, overlaps.j, overlaps.n_px, strict=True)
    }
    expected: dict[tuple[int, int], int] = {}
    for y, x in np.argwhere(before):
        v, u = y + shift[0], x + shift[1]
        if 0 <= v < before.shape[0] and 0 <= u < before.shape[1] and after[v, u]:
            key = (before[y, x], after[v, u])
            expected[key] = expected.get(key, 0) + 1
    assert found == expected


@pytest.mark.parametrize("seed", range(30))
def test_assignment_is_optimal(seed: int) -> None:
    """Against one dense problem in which leaving both cells of a pair alone costs the limit."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    edge = rng.random((n, m)) < rng.choice([0.1, 0.3, 0.8])
    cost = rng.random((n, m))
    i, j = np.nonzero(edge)
    limit = 0.8
    chosen = assign(i, j, cost[i, j], limit)
    assert len(set(i[chosen])) == len(set(j[chosen])) == chosen.sum()
    ours = cost[i, j][chosen].sum() + limit / 2 * (n + m - 2 * chosen.sum())
    dense = np.full((n + m, n + m), limit / 2)
    dense[:n, :m] = np.where(edge, cost, 1e6)
    dense[n:, m:] = 0
    rows, columns = linear_sum_assignment(dense)
    assert ours == pytest.approx(dense[rows, columns].sum())


def test_links_are_gated_and_keep_cost_and_margin() -> None:
    before, after = np.zeros((20, 60), np.uint8), np.zeros((20, 60), np.uint8)
    before[5:15, 5:15], before[5:15, 30:40] = 7, 8
    after[5:15, 7:17], after[5:15, 39:49], after[0:4, 20:24] = 1, 2, 3
    (a, a_runs), (b, b_runs) = measure_objects(before), measure_objects(after)
    links = link_by_overlap(count_overlaps(a_runs, b_runs), sigma_iou=0.15)
    assert (a.label[links.i].tolist(), b.label[links.j].tolist()) == ([7], [1])
    assert links.iou[0] == pytest.approx(80 / 120)
    assert links.cost[0] == pytest.approx(1 - 80 / 120)
    assert links.margin[0] > 0.5  # no rival: only not linking


def test_distance_link_takes_drift_and_area_into_account() -> None:
    before, after = np.zeros((40, 80), np.uint8), np.zeros((40, 80), np.uint8)
    before[10:20, 10:20] = 1
    after[10:20, 40:50], after[24:27, 12:15] = 2, 3
    a, b = measure_objects(before)[0], measure_objects(after)[0]
    everything = (np.arange(1), np.arange(2))
    gates = {"max_distance_radii": 1.5, "area_ratio_max": 2.0}
    assert len(link_by_distance(a, b, everything, (0, 0), **gates).i) == 0
    links = link_by_distance(a, b, everything, (0, 28), **gates)
    assert b.label[links.j].tolist() == [2]


def test_shift_is_found_and_an_unverifiable_one_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    wide = np.zeros((300, 300), np.uint16)
    for label in range(1, 60):
        y, x = rng.integers(0, 290, 2)
        wide[y : y + 12, x : x + 12] = label
    before = coarse_foreground(wide[20:276, 20:276])
    after = coarse_foreground(wide[0:256, 32:288])
    assert before.factor == 4
    assert estimate_shift(before, after) == (20, -12)
    unrelated = coarse_foreground(np.roll(wide, 131, 1).T[20:276, 20:276].copy())
    assert estimate_shift(before, unrelated) == (0, 0)
    assert estimate_shift(before, coarse_foreground(np.zeros((256, 256), np.uint16))) == (0, 0)
