from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from cellsam_core.assignment.counts import CountTable, FeatureIndex, assignment_quality
from cellsam_core.assignment.polygons import CellPolygons, assign_polygons
from cellsam_core.features import classify_feature
from cellsam_core.labels.lookup import lookup
from cellsam_core.labels.outline import outlines
from cellsam_core.labels.tiles import LabelArray, LabelTiles, measure_cells


def tiles(labels: np.ndarray, tile_px: int = 4) -> LabelTiles:
    return LabelTiles(lambda y, x: labels[y, x], labels.shape, tile_px)


@pytest.mark.parametrize(
    "gene",
    [
        *("NANOG", "Nanos1", "NEGR1", "Negr1", "Blnk", "BLNK", "NA", "nan", "False1", "Blanka"),
        *("NEG1", "Negative", "CTRL", "Deprecated", "Unassigned", "Intergenic", "SystemControl"),
    ],
)
def test_genes_whose_names_begin_like_controls_stay_genes(gene):
    assert classify_feature(gene) == "gene"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Blank-1", "blank"),
        ("blank12", "blank"),
        ("Blank-01", "blank"),
        ("BLANK_0022", "blank"),
        ("Blank 1", "blank"),
        ("blank_1_x", "blank"),
        ("bLank-1a", "blank"),
        ("NegControlProbe_00031", "negative_control_probe"),
        ("NegControlCodeword_0500", "negative_control_codeword"),
        ("UnassignedCodeword_0037", "unassigned_codeword"),
        ("NegPrb3", "negative_control_probe"),
        ("SystemControl11", "system_control"),
        ("FalseCode4", "false_code"),
    ],
)
def test_controls_are_known_by_their_whole_name(name, kind):
    assert classify_feature(name) == kind
    assert classify_feature("x" + name) == "gene"
    # MERlin names blanks in any way that holds the word.
    assert classify_feature(name + "x") == ("blank" if kind == "blank" else "gene")


def test_pixel_centres_are_at_integers():
    labels = np.array([[1, 2], [3, 4]], dtype=np.uint16)
    x = np.array([-0.5, -0.50001, 0.49, 0.5, 1.49, 1.5, 0.0, 1e300])
    y = np.array([0.0, 0.0, -0.5, 0.5, 1.49, 0.0, 1.5, 0.0])
    cell_id, is_inside = lookup(tiles(labels), x, y)
    assert cell_id.tolist() == [1, 0, 1, 4, 4, 0, 0, 0]
    assert is_inside.tolist() == [True, False, True, True, True, False, False, False]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_lookup_equals_brute_force_for_any_tile_size(seed, height, width, tile_px):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, (height, width)) * 1_000_000_000 % 2**32
    x, y = rng.uniform(-2, width + 1, 40), rng.uniform(-2, height + 1, 40)
    cell_id, is_inside = lookup(tiles(labels, tile_px), x, y)
    whole, _ = lookup(LabelArray(labels), x, y)
    np.testing.assert_array_equal(whole, cell_id)
    for px, py, owner, inside in zip(x, y, cell_id, is_inside, strict=True):
        column, row = int(np.floor(px + 0.5)), int(np.floor(py + 0.5))
        expected = 0 <= column < width and 0 <= row < height
        assert inside == expected
        assert owner == (labels[row, column] if expected else 0)


def test_empty_images_and_no_points_are_ordinary():
    no_points = np.empty(0)
    assert len(lookup(tiles(np.ones((3, 3), np.uint8)), no_points, no_points)[0]) == 0
    for empty in (tiles(np.zeros((0, 0), np.uint8)), LabelArray(np.zeros((0, 0), np.uint8))):
        cell_id, is_inside = lookup(empty, np.zeros(2), np.zeros(2))
        assert not cell_id.any()
        assert not is_inside.any()
    assert len(measure_cells(tiles(np.zeros((3, 3), np.uint8)))) == 0
    assert len(measure_cells(tiles(np.zeros((0, 0), np.uint8)))) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_counts_equal_brute_force_whatever_the_chunks(seed, n_chunks):
    rng = np.random.default_rng(seed)
    cells = np.array([0, 2, 5, 4_294_967_295], dtype=np.uint32)
    cell_id, feature = rng.choice(cells, 60), rng.integers(0, 6, 60)
    table = CountTable()
    for part in np.array_split(np.arange(60), n_chunks):
        table.add(cell_id[part], feature[part])
    matrix = table.matrix(cells[1:], 6)
    assert matrix.dtype == np.int32
    expected = Counter(zip(cell_id.tolist(), feature.tolist(), strict=True))
    for i, cell in enumerate(cells[1:].tolist()):
        assert matrix[i].toarray()[0].tolist() == [expected[cell, f] for f in range(6)]
    assert matrix.sum() == (cell_id > 0).sum()


def test_features_keep_their_number_and_type_across_chunks():
    index = FeatureIndex()
    first = index.add(np.array([1, 0, 1]), ["NEGR1", "Blank-2"], [None, None])
    second = index.add(np.array([0, 1]), ["Blank-2", "Gad1"], [None, None])
    assert [index.names[i] for i in [*first, *second]] == [
        *("Blank-2", "NEGR1", "Blank-2", "Blank-2", "Gad1")
    ]
    assert dict(zip(index.names, index.types, strict=True)) == {
        "NEGR1": "gene",
        "Blank-2": "blank",
        "Gad1": "gene",
    }
    assert dict(zip(index.names, index.counts.tolist(), strict=True)) == {
        "NEGR1": 1,
        "Blank-2": 3,
        "Gad1": 1,
    }


def test_a_feature_that_no_transcript_has_is_none():
    index = FeatureIndex()
    index.add(np.array([2, 2]), ["Never", "Blank-1", "Gad1"], [None, None, None])
    index.add(np.array([], dtype=int), ["Blank-1", "Gad1"], [None, None])
    assert (index.names, index.types, index.counts.tolist()) == (["Gad1"], ["gene"], [2])
    index.add(np.array([1]), ["Gad1", "Never"], ["blank", "blank"])  # no Gad1 is a blank
    assert (index.names, index.types) == (["Gad1", "Never"], ["gene", "blank"])


def test_a_feature_type_column_wins_over_the_name():
    index = FeatureIndex()
    index.add(np.array([0, 1]), ["Blank-1", "Odd"], ["Gene Expression", "Negative Control Probe"])
    assert index.types == ["gene", "negative_control_probe"]
    with pytest.raises(ValueError, match="'Odd' is both"):
        index.add(np.array([0]), ["Odd"], ["gene"])


def polygons(*boxes: tuple[int, int, float, float, float, float]) -> CellPolygons:
    """Boxes as (cell_id, plane, x0, y0, x1, y1)."""
    array = np.array(boxes)
    return CellPolygons(
        shapely.box(*array[:, 2:].T), array[:, 0].astype(np.uint32), array[:, 1].astype(np.int64)
    )


def test_a_transcript_in_two_cells_is_counted_once():
    overlapping = polygons((2, 0, 0, 0, 4, 4), (1, 0, 2, 0, 6, 4), (1, 0, 3, 0, 6, 4))
    x, y = np.array([1.0, 3.5, 5.0, 9.0]), np.ones(4)
    owner, n_contested = assign_polygons(overlapping, x, y, np.zeros(4))
    assert owner.tolist() == [2, 1, 1, 0]
    assert n_contested == 1


def test_polygons_own_transcripts_of_their_plane_only():
    stacked = polygons((1, 0, 0, 0, 4, 4), (2, 1, 0, 0, 4, 4))
    owner, _ = assign_polygons(stacked, np.full(3, 2.0), np.full(3, 2.0), np.array([0.0, 1.0, 2.0]))
    assert owner.tolist() == [1, 2, 0]
    flat = CellPolygons(stacked.geometry[:1], stacked.cell_id[:1])
    owner, _ = assign_polygons(flat, np.full(3, 2.0), np.full(3, 2.0), None)
    assert owner.tolist() == [1, 1, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_measures_and_outlines_are_exact_for_any_tile_size(seed, tile_px):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (7, 9)).astype(np.uint32)
    image = tiles(labels, tile_px)
    cells = measure_cells(image)
    assert cells["label"].tolist() == [i for i in np.unique(labels) if i]
    for cell in cells.itertuples():
        y, x = np.nonzero(labels == cell.label)
        assert (cell.area_px, cell.y, cell.x) == (len(y), y.mean(), x.mean())
        box = (cell.bbox_y0, cell.bbox_y1, cell.bbox_x0, cell.bbox_x1)
        assert box == (y.min(), y.max() + 1, x.min(), x.max() + 1)
        assert cell.touches_border == (y.min() == 0 or x.min() == 0 or y.max() == 6 or x.max() == 8)
        mask = image.window(*box) == cell.label
        polygon = next(outlines([(mask, cell.bbox_y0, cell.bbox_x0)]))
        assert polygon.is_valid
        assert polygon.area == pytest.approx(cell.area_px)
        centres = shapely.points(*np.mgrid[0:9, 0:7].reshape(2, -1))
        inside = shapely.contains(polygon, centres).reshape(9, 7).T
        np.testing.assert_array_equal(inside, labels == cell.label)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
def test_outlines_of_any_mask_are_valid_and_cover_its_pixels(seed, density):
    mask = np.random.default_rng(seed).random((6, 7)) < density
    mask[2, 3] = True
    polygon = next(outlines([(mask, 10, 20)]))
    assert polygon.is_valid
    assert polygon.area == mask.sum()
    centres = shapely.points(*np.mgrid[20:27, 10:16].reshape(2, -1))
    np.testing.assert_array_equal(shapely.contains(polygon, centres).reshape(7, 6).T, mask)


@pytest.mark.parametrize(
    ("rows", "kind", "n_holes"),
    [
        (["###", "#.#", "###"], "Polygon", 1),
        (["##.", "##.", "..#"], "MultiPolygon", 0),
        (["###", ".##", "###"], "Polygon", 0),
        (["#.#", "#.#", "###"], "Polygon", 0),
        (["#.#", "...", "#.#"], "MultiPolygon", 0),
    ],
)
def test_outlines_of_shapes(rows, kind, n_holes):
    polygon = next(outlines([(np.array([[c == "#" for c in row] for row in rows]), 0, 0)]))
    assert polygon.geom_type == kind
    assert sum(len(part.interiors) for part in getattr(polygon, "geoms", [polygon])) == n_holes


def test_quality_figures_by_hand():
    features = pd.DataFrame(
        {
            "name": ["A", "B", "Blank-1", "Blank-2"],
            "feature_type": ["gene", "gene", "blank", "blank"],
            "n_transcripts": [60, 40, 3, 1],
        }
    )
    table = CountTable()
    table.add(np.array([1, 1, 3, 3, 3], np.uint32), np.array([0, 1, 0, 2, 0]))
    counts = table.matrix(np.array([1, 2, 3], np.uint32), 4)
    quality = assignment_quality(features, counts, n_outside=7, n_contested=0)
    assert quality["misidentification_rate"] == pytest.approx((4 / 2) / (100 / 2))
    assert quality["frac_assigned"] == pytest.approx(5 / 104)
    assert quality["n_control_transcripts_assigned"] == 1
    assert quality["n_cells_without_transcripts"] == 1
    assert quality["median_transcripts_per_cell"] == 2
    assert quality["median_genes_per_cell"] == 1
    assert quality["max_blank_transcripts"] == 3
    no_controls = assignment_quality(features[:2], counts[:, :2], 0, 0)
    assert no_controls["misidentification_rate"] is None
    assert no_controls["max_blank_transcripts"] is None
