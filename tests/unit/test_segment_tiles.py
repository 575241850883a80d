from __future__ import annotations

import itertools

import numpy as np
import pytest

from cellsam_core.segmentation.seams import seam_ratio
from cellsam_core.segmentation.tiles import fitted_side, plan, plan_tiles, take_batch


@pytest.mark.parametrize("shape", [(1, 1), (100, 512), (512, 512), (513, 700), (2048, 1500)])
def test_tiles_cover_every_pixel_and_overlap(shape: tuple[int, int]) -> None:
    tiles = plan_tiles(1, shape, tile_yx_px=(512, 512), overlap_px=96)
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
    tiles = plan_tiles(5, (600, 600), tile_yx_px=(512, 512), overlap_px=96)
    shared = [t for k in range(1, n_batches + 1) for t in take_batch(tiles, k, n_batches)]
    assert shared == tiles


def test_density_at_seams_is_compared_with_that_beside_them() -> None:
    shape = (900, 1500)
    tiles = plan_tiles(1, shape, tile_yx_px=(512, 512), overlap_px=96)
    rng = np.random.default_rng(0)
    y, x = rng.uniform(0, 899, 20_000), rng.uniform(0, 1499, 20_000)
    even = seam_ratio(y, x, tiles, shape, 30)
    assert even is not None
    assert abs(even.ratio - 1) < 3 * even.standard_error
    # The seams of the rows and of the columns, in the middle of the overlaps.
    at_seam = np.abs(y - 449.5) < 30
    for left, right in itertools.pairwise(sorted({(t.x0, t.x1) for t in tiles})):
        at_seam |= np.abs(x - (left[1] + right[0] - 1) / 2) < 30
    kept = ~at_seam | (rng.random(len(y)) < 0.5)
    halved = seam_ratio(y[kept], x[kept], tiles, shape, 30)
    assert halved is not None
    assert abs(halved.ratio - 0.5) < 3 * halved.standard_error


def test_a_tissue_that_is_denser_in_its_middle_has_no_seam() -> None:
    """The middle of an imaginal disc, where the seams were, has small cells: a false alarm."""
    tiles = plan_tiles(1, (1000, 1000), tile_yx_px=(560, 560), overlap_px=96)
    y, x = np.clip(np.random.default_rng(0).normal(500, 250, (2, 40_000)), 0, 999)
    found = seam_ratio(y, x, tiles, (1000, 1000), 30)
    assert found is not None
    assert abs(found.ratio - 1) < 0.1  # 1.7 beside the whole image


def test_the_same_cells_in_many_frames_are_no_surer_than_in_one() -> None:
    """A gap in a colony of yeast under a seam, in ten frames, looked like cells that are lost."""
    tiles = plan_tiles(1, (1000, 1000), tile_yx_px=(560, 560), overlap_px=96)
    y, x = np.random.default_rng(0).uniform(0, 999, (2, 3000))
    once = seam_ratio(y, x, tiles, (1000, 1000), 30)
    often = seam_ratio(np.tile(y, 10), np.tile(x, 10), tiles, (1000, 1000), 30, n_frames=10)
    assert once is not None
    assert often == pytest.approx(once)
    few = slice(0, 100)
    many = np.tile(y[few], 10), np.tile(x[few], 10)
    assert seam_ratio(*many, tiles, (1000, 1000), 30, n_frames=10) is None


def test_without_a_seam_there_is_no_ratio() -> None:
    y, x = np.random.default_rng(1).uniform(0, 399, (2, 5000))
    untiled = plan_tiles(1, (400, 400), tile_yx_px=(512, 512), overlap_px=96)
    assert seam_ratio(y, x, untiled, (400, 400), 30) is None
    tiled = plan_tiles(1, (400, 400), tile_yx_px=(256, 256), overlap_px=96)
    assert seam_ratio(y, x, tiled, (400, 400), 30) is not None
    assert seam_ratio(y[:15], x[:15], tiled, (400, 400), 30) is None  # too few to tell


@pytest.mark.parametrize("length", [1, 127, 512, 768, 769, 1024, 1500, 20_001])
def test_fitted_tiles_overlap_as_asked_and_no_more_than_rounding_needs(length: int):
    side = fitted_side(length, 512, 120)
    tiles = plan_tiles(1, (length, length), tile_yx_px=(side, side), overlap_px=120)
    starts = sorted({tile.x0 for tile in tiles})
    overlaps = [before + side - after for before, after in itertools.pairwise(starts)]
    assert side <= 768
    assert starts[-1] + side >= length
    assert all(119 <= overlap <= 122 for overlap in overlaps)


def test_tiles_of_a_model_whose_scale_depends_on_them_keep_their_side():
    tiles = plan(1, (1024, 1024), 30.0, 512, fits=False)
    assert {tile.y1 - tile.y0 for tile in tiles} == {512}
