"""Clutter that is drawn beside simulated cells stays outside of them."""

from __future__ import annotations

import numpy as np
import pytest

from cellsam_core.simulation.clutter import CLEARANCE, clumps, clutter, relief

DIAMETER_PX = 30.0


@pytest.mark.parametrize("seed", range(6))
def test_cells_are_left_as_they_are(seed: int) -> None:
    y, x = np.indices((128, 160))
    away_px = np.hypot(y - 64, x - 80) - 25
    labels = (away_px < 0).astype(np.int32)
    drawn = clutter(np.random.default_rng(seed), labels, DIAMETER_PX)
    assert drawn.shape == labels.shape
    assert drawn.dtype == np.float32
    assert not drawn[labels > 0].any()
    empty = clutter(np.random.default_rng(seed), np.zeros_like(labels), DIAMETER_PX)
    clear = away_px > CLEARANCE * DIAMETER_PX + 2
    np.testing.assert_allclose(drawn[clear], empty[clear], atol=1e-5)
    np.testing.assert_array_equal(
        empty, clutter(np.random.default_rng(seed), np.zeros_like(labels), DIAMETER_PX)
    )


def test_relief_is_drawn_at_edges_and_clumps_in_heaps() -> None:
    shape_yx = 200, 200
    for seed in range(10):
        lines = np.abs(relief(np.random.default_rng(seed), shape_yx, DIAMETER_PX)) > 0.15
        heaps = np.abs(clumps(np.random.default_rng(seed), shape_yx, DIAMETER_PX)) > 0.05
        assert lines.mean() < 0.2
        assert 0 < heaps.mean() < 0.5
