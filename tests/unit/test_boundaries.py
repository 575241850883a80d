from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from cellsam_core.assignment.boundaries import footprints, read_polygons, write_boundaries
from cellsam_core.assignment.label_cells import open_label_cells
from cellsam_core.errors import InputError
from cellsam_core.labels.image import LabelImage
from cellsam_core.labels.tiles import LabelTiles


def label_cells(labels, um_to_px):
    tiles = LabelTiles(lambda y, x: labels[y, x], labels.shape)
    return open_label_cells(LabelImage(tiles, None), um_to_px)


def test_polygons_in_um_have_the_area_of_the_labels(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 6, (6, 8)), 5, 0), 5, 1).astype(np.uint32)
    # y down in the image and up on the slide, and an offset, as in real transforms
    um_to_px = np.array([[4.0, 0, 100], [0, -4.0, 50], [0, 0, 1]])
    cells = label_cells(labels, um_to_px)
    path = tmp_path / "boundaries.parquet"
    write_boundaries(path, cells.outlines())
    table = pq.read_table(path)
    assert table["cell_id"].to_pylist() == cells.table["cell_id"].tolist() == [1, 2, 3, 4, 5]
    polygons = shapely.from_wkb(table["geometry"].to_numpy())
    assert shapely.is_valid(polygons).all()
    np.testing.assert_allclose(shapely.area(polygons), cells.table["area_um2"])
    centres = shapely.get_coordinates(shapely.centroid(polygons))
    np.testing.assert_allclose(centres, cells.table[["x_um", "y_um"]])
    # A cell's polygon contains the transcripts that the lookup gives it.
    batch = pa.record_batch({"x_px": rng.uniform(0, 39, 200), "y_px": rng.uniform(0, 29, 200)})
    owner = cells.owners(batch).cell_id
    x, y = (batch["x_px"].to_numpy() - 100) / 4, (batch["y_px"].to_numpy() - 50) / -4
    inside = shapely.contains(polygons[:, None], shapely.points(x, y))
    np.testing.assert_array_equal(inside, owner == np.arange(1, 6)[:, None])


def test_the_file_is_geoparquet(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    path = tmp_path / "b.parquet"
    write_boundaries(path, [(4_294_967_295, shapely.box(0, 0, 2, 1))])
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"] is None
    frame = geopandas.read_parquet(path)
    assert frame.crs is None
    assert frame["cell_id"].tolist() == [4_294_967_295]
    assert frame.geometry.area.tolist() == [2]


def test_an_empty_file_is_valid_and_bytes_are_the_same(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_boundaries(tmp_path / name, [])
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    polygons, ids = read_polygons(tmp_path / "a.parquet")
    assert (len(polygons.geometry), ids, footprints(polygons)) == (0, [], [])


def test_reading_what_was_written(tmp_path):
    boxes = [(9, shapely.box(0, 0, 2, 1)), (3, shapely.box(5, 5, 6, 6))]
    write_boundaries(tmp_path / "b.parquet", boxes)
    polygons, ids = read_polygons(tmp_path / "b.parquet")
    assert ids == ["3", "9"]
    assert polygons.cell_id.tolist() == [2, 1]
    assert polygons.plane is None
    assert [g.area for g in footprints(polygons)] == [1, 2]


def test_empty_planes_are_no_polygons(tmp_path):
    wkb = [shapely.to_wkb(shapely.box(0, 0, 1, 1)), None, None]
    table = {"cell_id": ["b", "b", "a"], "ZIndex": [0, 1, 0], "geometry": wkb}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    polygons, ids = read_polygons(tmp_path / "p.parquet")
    assert ids == ["b"]
    assert polygons.plane is not None
    assert polygons.plane.tolist() == [0]


def test_files_without_polygons_are_refused(tmp_path):
    pq.write_table(pa.table({"cell_id": [1]}), tmp_path / "no_geometry.parquet")
    pq.write_table(pa.table({"cell_id": [1], "geometry": [b"xx"]}), tmp_path / "no_wkb.parquet")
    (tmp_path / "no_parquet.parquet").write_text("x")
    for path in [*tmp_path.iterdir(), tmp_path / "absent.parquet"]:
        with pytest.raises(InputError, match=path.name):
            read_polygons(path)


def test_polygons_that_cross_themselves_are_made_valid(tmp_path):
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    square = shapely.box(0, 0, 2, 2)
    path = tmp_path / "polygons.parquet"
    geometry = pa.array(shapely.to_wkb([bow_tie, bow_tie, square]), pa.binary())
    rows = {"EntityID": [7, 7, 9], "ZIndex": [0, 1, 0], "Geometry": geometry}
    pq.write_table(pa.table(rows), path)
    polygons, ids = read_polygons(path)
    assert ids == ["7", "9"]
    whole = footprints(polygons)
    assert shapely.is_valid(whole).all()
    np.testing.assert_allclose(shapely.area(whole), [2, 4])


def test_a_polygon_without_an_id_is_refused(tmp_path):
    path = tmp_path / "polygons.parquet"
    geometry = pa.array(shapely.to_wkb([shapely.box(0, 0, 2, 2)] * 2), pa.binary())
    pq.write_table(pa.table({"EntityID": pa.array([7, None]), "Geometry": geometry}), path)
    with pytest.raises(InputError, match="1 polygons without an id"):
        read_polygons(path)
