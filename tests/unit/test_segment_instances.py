from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.segmentation.batch_files import BatchWriter, iter_frames, read_settings
from cellsam_core.segmentation.cell_table import cell_table
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import (
    Instance,
    clean_mask,
    crop,
    draw_labels,
    merge_tiles,
    place,
    resolve_overlaps,
    suppress_duplicates,
)
from cellsam_core.segmentation.tiles import Tile


def disc(y: float, x: float, radius: float, score: float = 0.9, margin: float = 32) -> Instance:
    y0, x0 = int(y - radius - 1), int(x - radius - 1)
    side = int(2 * radius + 3)
    rows, columns = np.mgrid[y0 : y0 + side, x0 : x0 + side]
    mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return Instance(*crop(y0, x0, mask), score, 0.8, margin)


def test_of_two_views_of_a_cell_the_central_one_stays_whatever_the_order() -> None:
    cut, whole, other = disc(50, 50, 9, 0.99, 2), disc(50, 51, 10, 0.6), disc(50, 90, 9)
    for order in ([cut, whole, other], [other, cut, whole], [whole, other, cut]):
        kept = [order[k] for k in suppress_duplicates(order)]
        assert {id(i) for i in kept} == {id(whole), id(other)}


def test_touching_cells_are_no_duplicates() -> None:
    cells = [disc(50, 50, 10), disc(50, 68, 10), disc(66, 59, 10)]
    assert len(suppress_duplicates(cells)) == 3


def test_settled_masks_are_disjoint_and_the_surer_cell_keeps_contested_pixels() -> None:
    sure, unsure = disc(50, 50, 10, 0.9), disc(50, 66, 10, 0.5)
    settled = resolve_overlaps([unsure, sure], min_area_px=5)
    canvas = np.zeros((100, 100), int)
    for i in settled:
        canvas[i.y0 : i.y1, i.x0 : i.x1] += i.mask
    assert canvas.max() == 1
    areas = {i.score: i.mask.sum() for i in settled}
    assert areas[0.9] == sure.mask.sum()
    assert areas[0.5] < unsure.mask.sum()


def bar(y0: int, x0: int, height: int, width: int, score: float, margin: float = 32) -> Instance:
    return Instance(y0, x0, np.ones((height, width), bool), score, 0.8, margin)


def test_a_cell_that_is_cut_in_two_keeps_its_larger_piece() -> None:
    lying, standing = bar(18, 0, 5, 40, 0.5), bar(0, 12, 40, 5, 0.9)
    settled = resolve_overlaps([lying, standing], min_area_px=25)
    assert [(i.score, i.y0, i.x0, i.mask.sum()) for i in settled] == [
        (0.9, 0, 12, 200),
        (0.5, 18, 17, 5 * 23),
    ]


def test_what_is_no_cell_takes_no_pixels() -> None:
    """A cell that is too small, and the lesser piece of another, are left to less sure cells."""
    cell, speck = bar(0, 0, 40, 40, 0.5), bar(36, 10, 9, 2, 0.9)
    assert [i.mask.sum() for i in merge_tiles([cell, speck], min_area_px=25)] == [1600]
    lying, standing, below = bar(18, 0, 5, 40, 0.7), bar(0, 12, 40, 5, 0.9), bar(20, 0, 20, 11, 0.5)
    settled = resolve_overlaps([lying, standing, below], min_area_px=25)
    assert {i.score: i.mask.sum() for i in settled} == {0.9: 200, 0.7: 5 * 23, 0.5: 220}


def test_what_is_too_small_is_no_better_view_of_a_cell() -> None:
    cut, speck = bar(0, 0, 40, 40, 0.9, margin=2), bar(10, 10, 4, 4, 0.5)
    assert [i.mask.sum() for i in merge_tiles([cut, speck], min_area_px=25)] == [1600]


@pytest.mark.parametrize("scores", [(0.5, 0.9), tuple(np.linspace(0.1, 0.99, 40))])
def test_crowds_settle_into_single_pieces_whatever_the_order(scores: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        found = []
        for _ in range(rng.integers(2, 16)):
            (y, x), (h, w) = rng.integers(0, 24, 2), rng.integers(1, 8, 2)
            rows, columns = np.mgrid[-h : h + 1, -w : w + 1]
            mask = (rows / h) ** 2 + (columns / w) ** 2 <= 1
            margin = float(rng.choice([3, 32]))
            found.append(Instance(int(y), int(x), mask, float(rng.choice(scores)), 0.9, margin))
        labels, other = (
            draw_labels(merge_tiles([found[k] for k in order], min_area_px=9), 0, 48, 48)
            for order in (range(len(found)), rng.permutation(len(found)))
        )
        np.testing.assert_array_equal(labels, other)
        for label in range(1, labels.max() + 1):
            assert ndimage.label(labels == label)[1] == 1
            assert (labels == label).sum() >= 9


def test_painting_in_bands_equals_painting_at_once() -> None:
    cells = resolve_overlaps([disc(20 + 17 * k, 20 + 11 * k, 8) for k in range(8)], min_area_px=1)
    whole = draw_labels(cells, 0, 200, 160)
    bands = np.concatenate(
        [draw_labels(cells, y, min(200, y + 33), 160) for y in range(0, 200, 33)]
    )
    np.testing.assert_array_equal(whole, bands)
    table = cell_table(0, cells, (200, 160), 0.5)
    np.testing.assert_array_equal(np.bincount(whole.ravel())[1:], table["area_px"])
    centroids = ndimage.center_of_mass(whole > 0, whole, table["label"])
    np.testing.assert_allclose(table[["y", "x"]], centroids)
    np.testing.assert_allclose(table["area_um2"], 0.25 * table["area_px"])


def test_clean_mask_keeps_the_largest_piece_and_fills_it() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[5:7, 5:7] = False
    mask[15:17, 15:17] = True
    assert clean_mask(mask).sum() == 100


class Oracle:
    """Stands in for the model: knows the truth, but sees only its tile, as a model does."""

    fits_tiles = True

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def segment(self, pixels: np.ndarray, diameter_px: float) -> list[Instance]:
        seen = pixels[1].astype(int)
        return [
            Instance(w[0].start, w[1].start, seen[w] == k, 0.9, 0.9)
            for k, w in enumerate(ndimage.find_objects(seen), start=1)
            if w is not None
        ]


@pytest.mark.parametrize("tile_px", [128, 200, 4000])
def test_no_cell_is_cut_or_doubled_at_a_seam(tile_px: int) -> None:
    rng = np.random.default_rng(3)
    grid = [(y, x) for y in range(14, 490, 27) for x in range(14, 620, 27)]
    cells = [disc(y + rng.uniform(-2, 2), x + rng.uniform(-2, 2), 11) for y, x in grid]
    truth = draw_labels(resolve_overlaps(cells, min_area_px=1), 0, 500, 640)
    pixels = np.stack((np.zeros(truth.shape), truth)).astype(np.float32)
    found = segment_image(Oracle(truth), pixels, diameter_px=24, tile_px=tile_px, min_area_px=1)
    np.testing.assert_array_equal(draw_labels(found, 0, 500, 640), truth)


def test_opposite_borders_never_meet() -> None:
    left = place(disc(50, 12, 9), Tile(0, 0, 0, 0, 100, 100), (100, 400))
    right = place(disc(50, 88, 9), Tile(0, 3, 0, 300, 100, 400), (100, 400))
    assert left.margin == 32
    assert right.margin == 32
    assert len(suppress_duplicates([left, right])) == 2


def test_batches_round_trip_and_frames_without_cells_are_empty(tmp_path) -> None:
    cells = [disc(30, 30, 7), disc(60, 60, 9.5)]
    paths = [tmp_path / f"{k}-of-2.parquet" for k in (1, 2)]
    for path, frame in zip(paths, (1, 3), strict=True):
        with BatchWriter(path, {"weights": "tiny"}) as writer:
            writer.add(frame, cells)
            writer.add(frame, [])
    frames = list(iter_frames(paths, 5))
    assert [len(f) for f in frames] == [0, 2, 0, 2, 0]
    for before, after in zip(cells, frames[3], strict=True):
        assert (before.y0, before.x0) == (after.y0, after.x0)
        np.testing.assert_array_equal(before.mask, after.mask)
    assert read_settings(paths) == {"weights": "tiny"}


def test_batches_of_different_settings_are_refused(tmp_path) -> None:
    paths = [tmp_path / f"{k}-of-2.parquet" for k in (1, 2)]
    for path, threshold in zip(paths, (0.4, 0.5), strict=True):
        with BatchWriter(path, {"score_threshold": threshold}):
            pass
    with pytest.raises(InputError, match="another score_threshold"):
        read_settings(paths)


def test_putting_cells_together_needs_no_torch() -> None:
    code = "import sys, cellsam_core.segmentation.stage, cellsam_core.segmentation.batches; "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
