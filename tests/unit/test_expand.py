from __future__ import annotations

import anndata
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from cellsam_core.cli import main
from cellsam_core.labels.expand import expand
from cellsam_core.labels.tiles import LabelTiles


def tiles(labels: np.ndarray, tile_px: int = 1024) -> LabelTiles:
    return LabelTiles(lambda rows, columns: labels[rows, columns], labels.shape, tile_px)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0, 3.5, 8.0]), st.integers(5, 20))
def test_growing_does_not_depend_on_the_tiles(seed, distance_px, tile_px):
    rng = np.random.default_rng(seed)
    labels = np.zeros((41, 37), np.uint32)
    n = int(rng.integers(0, 25))
    labels[rng.integers(0, 41, n), rng.integers(0, 37, n)] = np.arange(1, n + 1)
    whole = expand(tiles(labels), distance_px).window(0, 41, 0, 37)
    pieces = expand(tiles(labels, tile_px), distance_px).window(0, 41, 0, 37)
    np.testing.assert_array_equal(whole, pieces)
    np.testing.assert_array_equal(whole[labels > 0], labels[labels > 0])
    # Brute force: grown where a cell is near, and to one of the nearest.
    y, x = np.nonzero(labels)
    to_each = np.hypot(*(np.indices(labels.shape)[:, :, :, None] - np.array([y, x])[:, None, None]))
    nearest = to_each.min(axis=2, initial=np.inf)
    np.testing.assert_array_equal(whole > 0, nearest <= distance_px)
    own = np.isin(labels[y, x], whole) & (whole[:, :, None] == labels[y, x])
    np.testing.assert_allclose(
        np.where(own, to_each, np.inf).min(axis=2, initial=np.inf)[whole > 0], nearest[whole > 0]
    )


@pytest.fixture
def folder(tmp_path):
    labels = np.zeros((40, 60), np.uint16)
    labels[10:20, 10:20] = 4
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    (tmp_path / "t.csv").write_text("x_px,y_px,gene\n12,12,A\n21.4,15,A\n30,30,A\n")
    return tmp_path


def assign(folder, *options: str) -> int:
    files = ["--labels", str(folder / "labels.tif"), "--transcripts", str(folder / "t.csv")]
    return main(["assign", *files, "--pixel-size-um", "0.5", *options, "-o", str(folder / "out")])


def test_grown_cells_own_what_is_near_and_are_measured_anew(folder):
    assert assign(folder, "--expand-um", "1") == 0
    transcripts = pq.read_table(folder / "out/transcripts.parquet")
    assert transcripts["cell_id"].to_pylist() == [4, 4, 0]
    cells = anndata.read_h5ad(folder / "out/cells.h5ad")
    # Two pixels on each side, and one at each corner.
    n_px = 10 * 10 + 4 * 2 * 10 + 4
    assert cells.obs["area_um2"].tolist() == [n_px / 4]
    outline = shapely.from_wkb(
        pq.read_table(folder / "out/boundaries.parquet")["geometry"][0].as_py()
    )
    assert outline.area == n_px / 4


@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_no_length_is_refused(folder, capsys, value):
    assert assign(folder, f"--expand-um={value}") == 1
    assert "option `expand_um`" in capsys.readouterr().err
