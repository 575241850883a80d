from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellsam_core.files import omezarr
from cellsam_core.reporting.figures import spatial as figures_spatial
from cellsam_core.reporting.figures import traces as figures_traces
from cellsam_core.reporting.figures import tracks as figures_tracks
from cellsam_core.reporting.figures.common import encode, figure_histograms, histogram_bins
from cellsam_core.reporting.pictures.images import (
    area_means,
    id_colours,
    outlines,
    overlay,
    read_window,
    stretch,
    window_around,
)
from cellsam_core.reporting.results import trace_matrix
from cellsam_core.reporting.sections.transcript_summary import MAX_SPOTS, summarise
from cellsam_core.reporting.units import Units

ONSET = figures_traces.Onset(1, "drug")
PX = Units(None, None)
UM = Units(0.5, 60.0)


def test_windows_stay_inside_and_are_strided(tmp_path):
    assert window_around((4000, 2000)).stride == 8
    window = window_around((300, 400), (5, 395), 100)
    assert (window.y0, window.y1, window.x0, window.x1, window.stride) == (0, 100, 300, 400, 1)
    image = omezarr.create(
        tmp_path / "i.zarr", shape=(2, 1, 50, 60), axes="tcyx", dtype="uint16", channels=("a",)
    )
    pixels = np.arange(3000, dtype=np.uint16).reshape(50, 60)
    image.array[1, 0] = pixels
    window = window_around((50, 60), (25, 30), 40, max_side_px=20)
    corners = pixels[window.y0 : window.y1 : 2, window.x0 : window.x1 : 2]
    means = corners + (0 + 1 + 60 + 61) / 4
    np.testing.assert_array_equal(read_window(image, 1, 0, window), means)
    edge = area_means(np.arange(10.0).reshape(2, 5), 2)
    np.testing.assert_array_equal(edge, [[3, 5, 6.5]])


def test_outlines_and_colours():
    labels = np.zeros((7, 8), np.uint32)
    labels[1:6, 1:4] = 1
    labels[1:6, 4:7] = 2
    edge = outlines(labels)
    assert edge.sum() == 30 - 6  # each cell of 5 x 3 px has 3 x 1 px inside
    rgb = overlay(np.zeros((7, 8)), labels, np.array([0, 7, 0]))
    expected = (255 * id_colours(np.array([7]))[0]).astype(np.uint8)
    assert rgb[1, 1].tolist() == expected.tolist()
    assert rgb[1, 5].tolist() == [160] * 3
    assert rgb[3, 2].tolist() == [0] * 3
    assert stretch(np.full((3, 3), 7)).max() == 0


def test_pictures_are_reproducible_and_hold_no_metadata():
    uris = {encode(lambda: figure_histograms([(np.arange(9), "x (px)")])) for _ in range(2)}
    assert len(uris) == 1
    image = Image.open(io.BytesIO(base64.b64decode(uris.pop().split(",")[1])))
    assert "Software" not in image.info
    assert image.size[0] == 902


@pytest.mark.parametrize(
    ("units", "x", "t"), [(PX, "x (px)", "frame"), (UM, "x (µm)", "time (min)")]
)
def test_axes_carry_units(units, x, t):
    objects = pd.DataFrame({"frame": [0, 1, 0], "track_id": [1, 1, 2], "y": 3.0, "x": [1, 5, 9]})
    window = window_around((10, 20))
    rows = [(1, 0, 0, 1), (2, 0, 0, 0)]
    tracks = pd.DataFrame(rows, columns=["track_id", "parent_id", "first_frame", "last_frame"])
    paths = figures_tracks.track_paths(objects, tracks)
    grey = np.zeros((10, 20), np.uint8)
    axes = figures_tracks.figure_tracks(grey, window, units, paths).axes[0]
    assert axes.get_xlabel() == x
    path = axes.collections[0].get_segments()[0]
    np.testing.assert_allclose(path, np.array([[1, 3], [5, 3]]) * units.per_px)
    figure = figures_tracks.figure_counts(np.array([1, 2, 3]), [1, 1], units)
    assert figure.axes[0].get_xlabel() == t
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0, 2, 2]


def test_rows_are_sorted_by_response():
    matrix = pd.DataFrame([[1, 1.1], [1, 2.0], [1, np.nan], [1, 1.5]], index=[3, 5, 6, 9])
    assert figures_traces.sort_by_response(matrix, ONSET).index.tolist() == [5, 9, 3, 6]
    axes = figures_traces.figure_heat_map(matrix, ONSET, PX).axes[0]
    assert axes.lines[0].get_xdata() == [0.5, 0.5]  # between frames 0 and 1
    assert [label.get_text() for label in axes.get_yticklabels()] == ["5", "9", "3", "6"]
    figures_traces.figure_heat_map(pd.DataFrame(np.full((2, 3), -0.5)), ONSET, PX)


def test_traces_have_the_colours_of_their_tracks():
    matrix = pd.DataFrame([[1, 1.1], [1, 2.0]], index=[3, 5])
    lines = figures_traces.figure_traces(matrix, ONSET, PX).axes[0].lines[:2]
    np.testing.assert_allclose([line.get_color() for line in lines], id_colours(matrix.index))


def test_daughters_begin_where_their_mother_ended():
    rows = [(0, 1, 5, 5), (1, 1, 5, 6), (2, 2, 4, 6), (2, 3, 6, 6), (1, 4, 9, 9), (2, 4, 9, 8)]
    objects = pd.DataFrame(rows, columns=["frame", "track_id", "y", "x"])
    rows = [(1, 0, 0, 1), (2, 1, 2, 2), (3, 1, 2, 2), (4, 1, 1, 2)]  # 4 is a bud
    tracks = pd.DataFrame(rows, columns=["track_id", "parent_id", "first_frame", "last_frame"])
    ids, paths = figures_tracks.track_paths(objects, tracks)
    assert ids.tolist() == [1, 2, 3, 4]
    assert paths[1].tolist() == [[6, 5], [6, 4]]
    assert paths[2].tolist() == [[6, 5], [6, 6]]
    assert paths[3].tolist() == [[9, 9], [8, 9]]


def test_lineage_layout():
    rows = [(1, 0, 0, 4), (2, 1, 5, 9), (3, 1, 5, 7), (4, 3, 8, 9), (5, 3, 8, 9), (9, 99, 3, 9)]
    tracks = pd.DataFrame(rows, columns=["track_id", "parent_id", "first_frame", "last_frame"])
    layout = figures_tracks.lineage_layout(tracks)
    assert layout == {2: 0, 4: 1, 5: 2, 3: 1.5, 1: 0.75, 9: 3}
    budding = pd.DataFrame([(1, 0, 0, 9), (2, 1, 3, 9)], columns=tracks.columns)
    assert figures_tracks.lineage_layout(budding) == {1: 0, 2: 1}
    axes = figures_tracks.figure_lineages(tracks, UM).axes[0]
    assert axes.get_xlabel() == "time (min)"
    texts = [text.get_text() for text in axes.texts]
    assert {"5 min", "8 min", "1", "2"} <= set(texts)


def test_histogram_bins():
    edges = histogram_bins(np.array([0, 1, 2, 2]), 40)
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert len(histogram_bins(np.linspace(0, 1, 50), 10)) == 11
    assert histogram_bins(np.array([2.0, 2.0]), 10).tolist() == [1.5, 2.5]
    for values in (np.array([0, 1, 7]), np.arange(1000.0), np.array([3])):
        heights = [p.get_height() for p in figure_histograms([(values, "x")]).axes[0].patches]
        assert sum(heights) == len(values)  # none is cut off


def test_trace_matrix():
    rows = pd.DataFrame({"track_id": [3, 1, 3, 2], "frame": [0, 1, 2, 0]})
    matrix = trace_matrix(rows, pd.Series([1.0, 2.0, 3.0, np.nan]), 3)
    assert matrix.index.tolist() == [1, 3]
    np.testing.assert_array_equal(matrix, [[np.nan, 2, np.nan], [1, np.nan, 3]])


def test_transcripts_are_summed_and_thinned(tmp_path):
    n = 50_000
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "x_um": rng.uniform(0, 10, n),
            "y_um": rng.uniform(0, 5, n),
            "feature": rng.choice(["A", "B"], n),
            "cell_id": rng.integers(0, 3, n),
        }
    )
    table.loc[0, "x_um"] = -50
    path = tmp_path / "t.parquet"
    table.to_parquet(path)
    affine = [[10, 0, 0], [0, 10, 0], [0, 0, 1]]
    window, corner = window_around((51, 101)), window_around((51, 101), (5, 5), 10)
    summary = summarise(path, affine, (51, 101), [window, corner])
    outside_and_free = int(table.loc[0, "cell_id"] == 0)
    assert summary.unassigned.sum() == (table["cell_id"] == 0).sum() - outside_and_free
    assert MAX_SPOTS / 2 < len(summary.spots[0].xy_px) <= MAX_SPOTS
    in_corner = (table[["x_um", "y_um"]] * 10 < 9.5).all(axis=1) & (table["x_um"] > -1)
    assert len(summary.spots[1].xy_px) == in_corner.sum()


def test_cell_map():
    xy = np.array([[0.0, 0.0], [1.0, 2.0]])
    figure = figures_spatial.figure_cell_map(xy, np.array([0, 0]), "transcripts", UM)
    assert len(figure.axes) == 1  # no colour bar
    squares = [np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) + corner for corner in xy]
    figure = figures_spatial.figure_cell_map(squares, np.array([0, 30]), "transcripts", UM)
    axes, bar = figure.axes
    assert axes.get_ylabel() == "y (µm)"
    assert bar.get_ylabel() == "transcripts"
    bottom, top = axes.get_ylim()
    assert bottom > top  # y points down, as in the image
    (cells,) = axes.collections
    assert cells.get_paths()[1].vertices[:4].tolist() == squares[1].tolist()
    assert cells.get_facecolor()[0, :3].tolist() == [0.8, 0.8, 0.8]  # no transcript: grey
