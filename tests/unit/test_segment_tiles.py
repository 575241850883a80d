from __future__ import annotations

import itertools

import numpy as np
import pytest

from cellsam_core.segment.tiles import plan_tiles, take_batch


@pytest.mark.parametrize("shape", [(1, 1), (100, 512), (512, 512), (513, 700), (2048, 1500)])
def test_tiles_cover_every_pixel_and_overlap(shape: tuple[int, int]) -> None:
    tiles = plan_tiles(1, shape, tile_px=512, overlap_px=96)
    seen = np.zeros(shape, int)
    for tile in tiles:
        assert 0 <= tile.y0 < tile.y1 <= shape[0]
        assert 0 <= tile.x0 < tile.x1 <= shape[1]
        seen[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert seen.min() == 1
    columns = sorted({(t.x0, t.x1) for t in tiles})
    assert all(a[1] - b[0] >= 96 for a, b in itertools.pairwise(columns))


@pytest.mark.parametrize("n_batches", [1, 3, 7, 40])
def test_batches_share_out_all_tiles_in_order(n_batches: int) -> None:
    tiles = plan_tiles(5, (600, 600), tile_px=512, overlap_px=96)
    shared = [t for k in range(1, n_batches + 1) for t in take_batch(tiles, k, n_batches)]
    assert shared == tiles
