from __future__ import annotations

import numpy as np

import cellsam_core as cc
from cellsam_core.evaluation.segmentation import match_image
from cellsam_core.segmentation.dark_cells import drop_dark
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import Instance
from cellsam_core.simulation.cells import render_field


def square(y0: int, x0: int, side: int = 10, score: float = 0.4) -> Instance:
    return Instance(y0, x0, np.ones((side, side), bool), score, 0.9)


def test_what_is_darker_than_its_surroundings_is_left_out():
    pixels = np.full((2, 60, 60), 0.3, np.float32)
    bright, hole, at_border = square(5, 5), square(5, 35), square(50, 50)
    pixels[0, 5:15, 5:15] = 0.6
    pixels[:, 5:15, 35:45] = 0.1
    pixels[1, 50:, 50:] = 0.5  # bright in one channel alone
    pixels[0, 50:, 50:] = 0.1
    assert drop_dark([bright, hole, at_border], pixels, 16) == [bright, at_border]


def test_cells_between_bright_membranes_are_kept():
    """Of a tissue with a membrane stain alone no cell was left."""
    pixels = np.zeros((2, 64, 64), np.float32)
    pixels[1] = 0.8
    cells = [square(y, x) for y in range(3, 54, 12) for x in range(3, 54, 12)]
    for cell in cells:
        pixels[1, cell.y0 : cell.y0 + 10, cell.x0 : cell.x0 + 10] = 0.1
    assert drop_dark(cells, pixels, 10) == cells


def test_a_dark_cell_among_bright_ones_is_kept_if_the_model_is_sure():
    pixels = np.full((2, 60, 60), 0.3, np.float32)
    bright = [square(5, 5), square(40, 5), square(40, 40)]
    for cell in bright:
        pixels[0, cell.y0 : cell.y0 + 10, cell.x0 : cell.x0 + 10] = 0.6
    pixels[:, 5:15, 35:45] = 0.1
    for score, kept in ((0.4, bright), (0.8, [*bright, square(5, 35, score=0.8)])):
        found = drop_dark([*bright, square(5, 35, score=score)], pixels, 16)
        assert [(c.y0, c.x0) for c in found] == [(c.y0, c.x0) for c in kept]


def test_a_tissue_with_a_membrane_stain_alone_is_segmented():
    drawn = render_field(np.random.default_rng(7), (200, 200), style="membranes", diameter_px=30)
    stain = np.clip(5000 * drawn.image[1:] + 100, 0, 65535).astype(np.uint16)
    frames = cc.preprocess(stain, channels=["membrane"])
    found, _ = cc.segment_frames(
        frames, cc.load_model("tiny", device="cpu"), options=cc.SegmentOptions(cell_diameter_px=30)
    )
    hits, false, missed = match_image(np.asarray(found).astype(np.int64), drawn.labels).counts[0]
    assert hits > 20
    assert false + missed < 0.3 * hits


def test_neighbours_are_no_surroundings():
    # A dim cell beside a bright one is brighter than the background that both share.
    pixels = np.zeros((2, 40, 40), np.float32)
    dim, bright = square(10, 10), square(10, 20)
    pixels[0, 10:20, 10:20] = 0.2
    pixels[0, 10:20, 20:30] = 0.9
    assert drop_dark([dim, bright], pixels, 24) == [dim, bright]


def test_a_cell_without_surroundings_is_kept():
    pixels = np.zeros((2, 10, 10), np.float32)
    alone = square(0, 0)
    assert drop_dark([alone], pixels, 10) == [alone]
    assert drop_dark([], pixels, 10) == []


def test_one_image_is_segmented_without_holes_if_that_is_asked_for():
    pixels = np.full((2, 60, 60), 0.3, np.float32)
    pixels[0, 5:15, 5:15], pixels[:, 5:15, 35:45] = 0.6, 0.1

    class Model:
        fits_tiles = True

        def segment(self, pixels, diameter_px):
            return [square(5, 5), square(5, 35)]

    def found(image, drops_dark):
        options = {"diameter_px": 16, "tile_px": 512, "min_area_px": 1, "drops_dark": drops_dark}
        return [i.x0 for i in segment_image(Model(), image, **options)]

    assert found(pixels, drops_dark=False) == [5, 35]
    assert found(pixels, drops_dark=True) == [5]
    assert found(np.full_like(pixels, 0.3), drops_dark=False) == []  # one brightness, no cells
