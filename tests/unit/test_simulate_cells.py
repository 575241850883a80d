"""Training fields: valid labels, the right size, deterministic."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label as components

from cellsam_core.simulation import adherent as adherent_module
from cellsam_core.simulation import shapes
from cellsam_core.simulation.cells import STYLES, render_field
from cellsam_core.simulation.multiplex import multiplex
from cellsam_core.simulation.unstained import not_cells


def assert_connected(labels: np.ndarray) -> None:
    parts = components(labels, connectivity=1, background=0)
    assert parts.max() == len(np.unique(labels[labels > 0]))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_field_is_valid(style, seed):
    field = render_field(np.random.default_rng(seed), (120, 144), style=style, diameter_px=24)
    assert field.image.shape == (2, 120, 144)
    assert field.image.dtype == np.float32
    assert np.isfinite(field.image).all()
    assert field.labels.dtype == field.nucleus_labels.dtype == np.int32
    n = field.labels.max()
    assert n > 0
    assert np.array_equal(np.unique(field.labels[field.labels > 0]), np.arange(1, n + 1))
    assert_connected(field.labels)
    assert_connected(field.nucleus_labels)
    in_nucleus = field.nucleus_labels > 0
    assert np.array_equal(field.nucleus_labels[in_nucleus], field.labels[in_nucleus])
    assert np.bincount(field.labels.ravel())[1:].min() >= 20


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_field(style):
    first, again, other = (
        render_field(np.random.default_rng(s), (96, 96), style=style, diameter_px=20)
        for s in (5, 5, 6)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("diameter_px", [16, 40])
def test_cells_have_the_wanted_size(style, diameter_px):
    areas = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        labels = render_field(
            rng, (192, 192), style=style, diameter_px=diameter_px, density=0.8
        ).labels
        border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        area = np.bincount(labels.ravel())
        inner = np.setdiff1d(np.arange(1, len(area)), border)
        areas.extend(area[inner])
    diameter = 2 * np.sqrt(np.median(areas) / np.pi)
    assert 0.7 * diameter_px < diameter < 1.3 * diameter_px


@pytest.mark.parametrize("style", ["tissue", "fluo"])
def test_stains_are_brighter_where_they_belong(style):
    for seed in range(2):
        field = render_field(np.random.default_rng(seed), style=style, diameter_px=28)
        nuclear, cell = field.image
        assert nuclear[field.nucleus_labels > 0].mean() > 1.5 * nuclear[field.labels == 0].mean()
        assert cell[field.labels > 0].mean() > 1.2 * cell[field.labels == 0].mean()


@pytest.mark.parametrize("style", ["phase", "rods", "adherent"])
def test_unstained_styles_have_no_nuclear_channel(style):
    field = render_field(np.random.default_rng(0), (96, 96), style=style, diameter_px=20)
    assert not field.image[0].any()
    assert not field.nucleus_labels.any()
    assert field.image[1].std() > 0


def test_rods_are_elongated():
    from skimage.measure import regionprops

    labels = shapes.rods(np.random.default_rng(3), (256, 256), 24, 0.6)
    inner = [r for r in regionprops(labels) if min(r.bbox[:2]) > 0 and max(r.bbox[2:]) < 256]
    assert len(inner) > 10
    assert np.median([r.axis_major_length / r.axis_minor_length for r in inner]) > 2


def test_density_controls_coverage():
    sparse, dense = (
        shapes.tissue(np.random.default_rng(0), (256, 256), 24, d) > 0 for d in (0.1, 1.0)
    )
    assert sparse.mean() < 0.3
    assert dense.mean() > 0.8


def test_unknown_style_is_refused():
    with pytest.raises(ValueError, match="style 'gram'"):
        render_field(np.random.default_rng(0), style="gram", diameter_px=20)


def test_clean_keeps_the_largest_part_and_the_ids():
    labels = np.zeros((6, 8), dtype=np.int32)
    labels[0, :3] = 7
    labels[4, 0] = 7  # fragment
    labels[2, 2:4] = 5  # two parts of one size: the first stays
    labels[2, 6:8] = 5
    labels[5, 7] = 3  # too small
    cleaned = shapes.clean(labels, 2)
    assert np.array_equal(np.unique(cleaned), [0, 5, 7])
    assert (cleaned == 7).sum() == 3
    assert cleaned[2, 2] == 5
    assert cleaned[2, 6] == 0
    assert not shapes.clean(np.zeros((4, 4), dtype=np.int32), 1).any()


def test_depth_is_zero_outside_and_grows_inwards():
    labels = np.zeros((11, 20), dtype=np.int32)
    labels[2:9, 2:9] = 1
    labels[2:9, 9:16] = 2  # touching: their common border counts as border
    depth = shapes.depth_px(labels)
    assert not depth[labels == 0].any()
    assert depth[5, 8] == depth[5, 9] == 0.5
    assert depth[5, 5] == 3.5


def test_what_is_no_cell_is_drawn_beside_adherent_cells_not_on_them():
    rng = np.random.default_rng(3)
    labels = np.zeros((160, 160), np.int32)
    labels[40:120, 40:120] = 1
    drawn = not_cells(rng, labels, 30.0)
    assert np.abs(drawn[labels == 0]).max() > 0.2
    assert np.abs(drawn[60:100, 60:100]).max() < np.abs(drawn).max() / 5


def test_fans_reach_far_and_their_borders_bend_inwards():
    from skimage.measure import regionprops

    fans, spread = [], []
    for seed in range(4):
        cells = adherent_module._fans(np.random.default_rng(seed), (192, 192), 40.0, 0.4)
        for region in regionprops(cells.labels):
            fans.append(region.solidity)
            spread.append(region.feret_diameter_max / region.equivalent_diameter_area)
    assert 0.7 < np.median(fans) < 0.97
    assert np.median(spread) > 1.25


def test_round_cells_lie_among_flat_ones():
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        flat = adherent_module._sheet(rng, (160, 160), 30.0, 0.9)
        cells = adherent_module._with_round(rng, flat, 30.0)
        assert len(cells.soma) == len(cells.is_round) == cells.labels.max() + 1
        assert not cells.is_round[0]
        shares.append(cells.is_round.mean())
    assert min(shares) == 0
    assert max(shares) > 0.1


def test_of_cells_without_membrane_stain_the_nucleus_tells():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        _, labels, nuclei = multiplex(rng, (160, 160), 26.0, 0.7)
        assert labels.max() > 5
        assert (labels[nuclei > 0] == nuclei[nuclei > 0]).all()
