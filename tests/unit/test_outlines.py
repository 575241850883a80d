"""Outlines of cells from many programs: read ring by ring, tested like label images."""

from __future__ import annotations

import gzip
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import zarr

from cellsam_core.assignment.assigned import assign_transcripts
from cellsam_core.assignment.boundaries import footprints, open_outlines
from cellsam_core.assignment.polygon_cells import open_polygon_cells
from cellsam_core.assignment.rings import join_rings
from cellsam_core.errors import InputError
from cellsam_core.samples.manifest import Fields, TranscriptSource
from cellsam_core.samples.placement import place_in_um

CENTRES = np.array([(x, y) for x in range(20, 200, 30) for y in range(20, 200, 30)], float)
CELLS = shapely.buffer(shapely.points(CENTRES), 10)
IDS = 2667026000000000001 + np.arange(len(CELLS))
UM_TO_PX = [[1 / 0.108, 0, 500], [0, 1 / 0.108, 700], [0, 0, 1]]


def write_transcripts(path: Path, n: int = 700, planes: int = 7, **columns: object) -> Path:
    """Write transcripts of which each is in the cell ``cell``, and in a z plane."""
    rng = np.random.default_rng(0)
    cell = rng.integers(len(CENTRES), size=n)
    xy = CENTRES[cell] + rng.uniform(-6, 6, (n, 2))
    table = {"x_um": xy[:, 0], "y_um": xy[:, 1], "z": rng.integers(0, planes, n).astype(float)}
    table |= {"gene": rng.choice(["Gad1", "Sst"], n), "cell": IDS[cell]}
    pd.DataFrame(table).assign(**columns).to_csv(path, index=False)
    return path


def write_geoparquet(
    path: Path, geometry: Any, planes: tuple[int, ...] | None = None, **columns: object
) -> Path:
    """Write GeoParquet as VPT does, each cell once for each plane."""
    n = len(planes or (0,))
    table = {"EntityID": np.tile(IDS[: len(geometry)], n)} | columns
    if planes is not None:
        table["ZIndex"] = np.repeat(planes, len(geometry))
    table["Geometry"] = list(shapely.to_wkb(geometry)) * n
    pq.write_table(pa.table(table), path)
    return path


def assign(
    folder: Path,
    polygons: Path,
    table: Path,
    source: TranscriptSource | None = None,
    **options: Any,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Owner of each transcript by the vendor's id, and the quality figures."""
    outside = options.pop("outside", "refuse")
    cells = open_polygon_cells(polygons, source, **options)
    source = source or place_in_um(table)
    out = folder / "transcripts.parquet"
    assigned = assign_transcripts(source, cells, out, outside=outside)
    names = np.array(["", *assigned.cells["vendor_cell_id"]])
    owners = names[pq.read_table(out)["cell_id"].to_numpy()]
    return owners, assigned.quality


def n_in_cells(folder: Path, polygons: Path, table: Path, **options: Any) -> int:
    return int((assign(folder, polygons, table, **options)[0] != "").sum())


# Rings


def ring(x: float, y: float, radius: float = 4.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 13)
    corners = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    corners[-1] = corners[0]
    return corners.astype(np.float32)


TWO = [("aaab-1", 10, 10), ("aaab-1", 40, 10), ("aaac-1", 25, 10), ("aaad-1", 25, 40)]
THREE = [("aaab-1", 10, 10), ("aaab-1", 40, 10), ("aaab-1", 25, 40), ("aaac-1", 25, 22)]


@pytest.mark.parametrize("kind", ["parquet", "csv.gz"])
@pytest.mark.parametrize("has_labels", [True, False])
@pytest.mark.parametrize("nuclei", [TWO, THREE])
def test_each_nucleus_of_a_cell_is_a_polygon(tmp_path, nuclei, has_labels, kind):
    rows = [
        (cell, x, y, label)
        for label, (cell, *centre) in enumerate(nuclei, 1)
        for x, y in ring(*centre)
    ]
    table = pd.DataFrame(rows, columns=["cell_id", "vertex_x", "vertex_y", "label_id"])
    table = table if has_labels else table.drop(columns="label_id")
    path = tmp_path / f"nucleus_boundaries.{kind}"
    table.to_parquet(path) if kind == "parquet" else table.to_csv(path, index=False)
    outlines = open_outlines(path)
    assert len(outlines.polygons.geometry) == 4
    assert outlines.vendor_ids == sorted({cell for cell, *_ in nuclei})
    n_nuclei = [sum(cell == name for cell, *_ in nuclei) for name in outlines.vendor_ids]
    np.testing.assert_allclose(
        shapely.area(footprints(outlines.polygons)), 48 * np.array(n_nuclei), rtol=1e-5
    )
    # A transcript between the nuclei is in none of them.
    between = tmp_path / "t.csv"
    places = [(x, y, cell) for cell, x, y in nuclei] + [(25, 15.5, ""), (30, 27.5, "")]
    pd.DataFrame(places, columns=["x_um", "y_um", "gene"]).assign(gene="ACTB").to_csv(between)
    owners, _ = assign(tmp_path, path, between)
    assert owners.tolist() == [cell for *_, cell in places]


def test_rings_are_parted_where_they_come_back():
    a, b = ring(0, 0), ring(20, 0)
    group = np.array([1] * 13 + [0] * 4 + [1] * 13)
    square = np.array([(50, 0), (52, 0), (52, 2), (50, 2)], np.float32)  # not closed
    found = join_rings(group, np.concatenate([a, square, b]).astype(float))
    assert found.group.tolist() == [0, 1, 1]
    np.testing.assert_allclose(shapely.area(found.geometry), [4, 48, 48], rtol=1e-5)
    doubled = np.repeat(square, 2, axis=0).astype(float)  # every vertex twice
    assert shapely.area(join_rings(np.zeros(8, int), doubled).geometry).tolist() == [4]
    empty = join_rings(np.zeros(0, int), np.zeros((0, 2)))
    assert len(empty.geometry) == 0


@pytest.mark.parametrize("bad", [[(0, 0), (1, 1)], [(0, 0), (np.nan, 1), (1, 1), (1, 0)]])
def test_one_bad_outline_is_left_out_and_told(tmp_path, bad):
    rows = [("bad", *xy) for xy in bad] + [("good", *xy) for xy in ring(5, 5)]
    table = pd.DataFrame(rows, columns=["cell_id", "vertex_x", "vertex_y"])
    table.to_parquet(tmp_path / "b.parquet")
    outlines = open_outlines(tmp_path / "b.parquet")
    assert outlines.vendor_ids == ["good"]
    assert outlines.warnings == [
        "1 of 2 outlines in b.parquet enclose no area or have broken coordinates and are left "
        "out: cells bad."
    ]
    table[table["cell_id"] == "bad"].to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="1 outlines, none of which encloses an area"):
        open_outlines(tmp_path / "b.parquet")


def test_broken_geometries_of_parquet_are_left_out_and_told(tmp_path):
    line, point = shapely.LineString([(0, 0), (1, 1)]), shapely.Point(0, 0)
    infinite = shapely.Polygon([(0, 0), (np.inf, 0), (1, 1)])
    geometry = [b"xx", *shapely.to_wkb([line, point, infinite, CELLS[0]]), None]
    table = {"EntityID": [1, 2, 3, 4, 5, 6], "Geometry": pa.array(geometry, pa.binary())}
    pq.write_table(pa.table(table), tmp_path / "b.parquet")
    outlines = open_outlines(tmp_path / "b.parquet")
    assert outlines.vendor_ids == ["5"]  # 6 has no outline in this file, which is not bad
    assert outlines.warnings[0].startswith("4 of 5 outlines")
    assert outlines.warnings[0].endswith("cells 1, 2, 3, 4.")


# Place, unit and plane


def test_outlines_in_micrometres_own_their_transcripts(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    path = write_geoparquet(tmp_path / "micron.parquet", CELLS, tuple(range(7)))
    owners, quality = assign(tmp_path, path, table)
    assert owners.tolist() == pd.read_csv(table, dtype=str)["cell"].tolist()
    assert quality["warnings"] == []


@pytest.mark.parametrize(
    "moved", [lambda xy: xy / 0.108 + [500, 700], lambda xy: xy / 0.108, lambda xy: xy + 5000]
)
def test_outlines_of_another_place_or_unit_are_refused(tmp_path, moved):
    table = write_transcripts(tmp_path / "t.csv")
    path = write_geoparquet(tmp_path / "p.parquet", shapely.transform(CELLS, moved))
    with pytest.raises(InputError, match="outlines away from the transcripts") as error:
        assign(tmp_path, path, table)
    assert "in micrometres, or in pixels with --polygons-unit px" in str(error.value)


def test_outlines_in_pixels_are_read_as_the_refusal_says(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    source = replace(place_in_um(table), um_to_px=UM_TO_PX)
    mosaic = shapely.transform(CELLS, lambda xy: xy / 0.108 + [500, 700])
    path = write_geoparquet(tmp_path / "mosaic.parquet", mosaic)
    with pytest.raises(InputError, match="they fit as pixels of the image: give --polygons-unit"):
        assign(tmp_path, path, table, source)
    owners, _ = assign(tmp_path, path, table, source, unit="px")
    assert owners.tolist() == pd.read_csv(table, dtype=str)["cell"].tolist()


def test_outlines_of_a_part_are_read_as_the_refusal_says(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    path = write_geoparquet(tmp_path / "p.parquet", CELLS[:6])
    with pytest.raises(InputError, match=r"transcripts away from the outlines.*--outside drop"):
        assign(tmp_path, path, table)
    assert 0 < n_in_cells(tmp_path, path, table, outside="drop") < 200
    # Of nothing in common there is no part.
    far = write_geoparquet(tmp_path / "far.parquet", shapely.transform(CELLS, lambda xy: xy + 5000))
    with pytest.raises(InputError, match="away from the transcripts"):
        assign(tmp_path, far, table, outside="drop")


def test_outlines_between_the_transcripts_are_refused_or_warned_of(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    beside = shapely.buffer(shapely.points(CENTRES + 15), 3)
    with pytest.raises(InputError, match="none of 700 transcripts in 36 cells"):
        assign(tmp_path, write_geoparquet(tmp_path / "p.parquet", beside), table)
    even = np.random.default_rng(1).uniform(15, 175, (2, 700))
    write_transcripts(tmp_path / "even.csv", x_um=even[0], y_um=even[1])
    path = write_geoparquet(tmp_path / "p.parquet", CELLS)
    _, quality = assign(tmp_path, path, tmp_path / "even.csv")
    assert "no denser in cells than between them" in quality["warnings"][0]


def test_transcripts_in_others_cells_are_refused(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    source = replace(place_in_um(table), cell="cell")
    path = write_geoparquet(tmp_path / "p.parquet", CELLS)
    owners, _ = assign(tmp_path, path, table, source)
    assert (owners != "").all()
    write_geoparquet(tmp_path / "p.parquet", np.roll(CELLS, 1))
    with pytest.raises(InputError, match="700 of 700 transcripts in another cell than the vendor"):
        assign(tmp_path, path, table, source)


@pytest.mark.parametrize(
    ("planes", "z", "message"),
    [
        (tuple(range(7)), lambda z: z + 1, "planes 1, 2, 3, 4, 5, 6, 7 beside"),
        (tuple(range(7)), lambda z: z * 2, "planes 0, 2, 4, 6, 8, 10, 12 beside"),
        (tuple(range(7)), lambda z: z * 1.5, "no z plane index"),
        ((3,), lambda z: z, "beside outlines of the planes 3"),
    ],
)
def test_planes_are_compared_and_the_remedy_works(tmp_path, planes, z, message):
    table = write_transcripts(tmp_path / "t.csv")
    given = pd.read_csv(table)
    write_transcripts(table, z=z(given["z"]))
    path = write_geoparquet(tmp_path / "p.parquet", CELLS, planes)
    with pytest.raises(InputError, match=message) as error:
        assign(tmp_path, path, table)
    assert "--outlines-in-all-planes" in str(error.value)
    owners, _ = assign(tmp_path, path, table, all_planes=True)
    assert owners.tolist() == given["cell"].astype(str).tolist()
    if planes != (3,):
        write_transcripts(table)  # numbered alike
        assert n_in_cells(tmp_path, path, table) == 700


def test_transcripts_of_a_few_planes_without_outlines_are_told(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    path = write_geoparquet(tmp_path / "p.parquet", CELLS, tuple(range(6)))
    _, quality = assign(tmp_path, path, table)
    n = int((pd.read_csv(table)["z"] == 6).sum())
    assert quality["warnings"] == [
        f"{n} of 700 transcripts lie in z planes without outlines and are in no cell."
    ]


# Other programs


def feature(number: int, geometry: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": json.loads(shapely.to_geojson(geometry))} | more


def test_geojson_of_baysor_qupath_and_others(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    by_property = [feature(i, g, properties={"cell": i}) for i, g in enumerate(CELLS)]
    by_id = [feature(i, g, id=f"cell-{i}", properties={}) for i, g in enumerate(CELLS)]
    old = [json.loads(shapely.to_geojson(g)) | {"cell": i} for i, g in enumerate(CELLS)]
    qupath = [feature(i, g, properties={"objectType": "cell"}) for i, g in enumerate(CELLS)]
    region = feature(99, shapely.box(0, 0, 500, 500), properties={"objectType": "annotation"})
    contents = {
        "a.geojson": {"type": "FeatureCollection", "features": by_property},
        "b.geojson": {"type": "FeatureCollection", "features": by_id},
        "c.json": {"type": "GeometryCollection", "geometries": old},
        "d.geojson": [region, *qupath],
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
        assert n_in_cells(tmp_path, tmp_path / name, table) == 700, name
    names = [open_outlines(tmp_path / name).vendor_ids for name in contents]
    assert "cell-7" in names[1]
    assert [len(ids) for ids in names] == [36] * 4
    zipped = tmp_path / "a.geojson.gz"
    zipped.write_bytes(gzip.compress((tmp_path / "a.geojson").read_bytes()))
    assert open_outlines(zipped).vendor_ids == names[0]
    for broken in ("{", "[1]", '{"type": "FeatureCollection", "features": 3}'):
        (tmp_path / "a.geojson").write_text(broken)
        with pytest.raises(InputError, match="can't be read"):
            open_outlines(tmp_path / "a.geojson")


@pytest.mark.parametrize("where", ["id", "name", "name and id"])
def test_names_of_kinds_are_no_ids_of_cells(tmp_path, where):
    path = tmp_path / "a.geojson"
    kinds = ["Tumor", "Stroma"]

    def features(geometry):
        for i, outline in enumerate(geometry):
            more = {"properties": {"name": kinds[i % 2]} if "name" in where else {}}
            yield feature(i, outline, **more | ({"id": "PathCellObject"} if "id" in where else {}))

    # Cells of a kind touch each other.
    squares = [shapely.box(x - 15, y - 15, x + 15, y + 15) for x, y in CENTRES]
    path.write_text(json.dumps(list(features(squares))))
    assert set(open_outlines(path).vendor_ids) == {str(i + 1) for i in range(len(CENTRES))}
    # Outlines of one cell in several planes lie over each other.
    cells = list(zip(CELLS, IDS.tolist(), strict=True))
    planes = [feature(i, c.buffer(-z), id=i) for z in range(3) for c, i in cells]
    path.write_text(json.dumps(planes))
    assert sorted(open_outlines(path).vendor_ids) == sorted(map(str, IDS))
    # Few cells of many parts are cells.
    parts = [feature(0, CELLS[i], id=1) for i in (0, 5)]
    parts += [feature(0, c, id=i + 2) for i, c in enumerate(CELLS[6:])]
    path.write_text(json.dumps(parts))
    assert len(open_outlines(path).vendor_ids) == len(CELLS) - 5


def test_a_file_without_an_outline_gives_no_cells(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    owners, quality = assign(tmp_path, path, table)
    assert (quality["n_cells"], quality["n_assigned"], set(owners)) == (0, 0, {""})


def test_geojson_in_pixels_counts_from_the_corner(tmp_path):
    square = shapely.box(0, 0, 10, 10)  # pixels 0 to 9 of the image
    (tmp_path / "a.geojson").write_text(json.dumps([feature(1, square)]))
    found = open_outlines(tmp_path / "a.geojson", pixel_size_um=0.5, unit="px")
    assert found.polygons.geometry[0].bounds == (-0.25, -0.25, 4.75, 4.75)


def test_shapes_of_sopa_and_spatialdata_have_their_ids_in_the_index(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    table = write_transcripts(tmp_path / "t.csv")
    names = [f"aaaaaa{i:02d}-1" for i in range(len(CELLS))]
    element = tmp_path / "data.zarr" / "shapes" / "cell_boundaries"
    element.mkdir(parents=True)
    shapes = geopandas.GeoDataFrame(geometry=CELLS, index=names)
    shapes.to_parquet(element / "shapes.parquet")
    for path in (element / "shapes.parquet", element, tmp_path / "data.zarr"):
        assert open_outlines(path).vendor_ids == names
        assert n_in_cells(tmp_path, path, table) == 700
    shapes.rename_axis("cell").to_parquet(element / "shapes.parquet")
    assert open_outlines(element).vendor_ids == names
    for other in ("nuclei", "patches"):
        (tmp_path / "data.zarr" / "shapes" / other).mkdir()
        shapes.to_parquet(tmp_path / "data.zarr" / "shapes" / other / "shapes.parquet")
    assert open_outlines(tmp_path / "data.zarr").vendor_ids == names  # the cells, by their name
    element.rename(element.with_name("cells"))
    with pytest.raises(InputError, match=r"3 sets of shapes \(cells, nuclei, patches\)") as error:
        open_outlines(tmp_path / "data.zarr")
    named = str(error.value).rpartition("such as ")[2].rstrip(".")
    assert open_outlines(named).vendor_ids == names


def write_cosmx_polygons(path: Path, **columns: object) -> Path:
    """Write two fields side by side, 1000 px wide, each with cells 1 and 2."""
    corners = ((0, 0), (90, 0), (90, 80), (0, 80))
    rows = [
        (fov, cell, x + dx, y + 10, 1000 * (fov - 1) + x + dx + 5000, 9000 - y - 10)
        for fov in (1, 2)
        for cell, dx in ((1, 100), (2, 500))
        for x, y in corners
    ]
    names = ["fov", "cellID", "x_local_px", "y_local_px", "x_global_px", "y_global_px"]
    pd.DataFrame(rows, columns=names).assign(**columns).to_csv(path, index=False)
    return path


def test_polygons_of_cosmx_are_keyed_by_field(tmp_path):
    path = write_cosmx_polygons(tmp_path / "S-polygons.csv")
    with pytest.raises(InputError, match="outlines in pixels and no pixel size") as error:
        open_outlines(path)
    assert "give the option --pixel-size-um" in str(error.value)
    found = open_outlines(path, pixel_size_um=0.12)
    assert found.vendor_ids == ["1_1", "1_2", "2_1", "2_2"]
    np.testing.assert_allclose(shapely.area(found.polygons.geometry), 90 * 80 * 0.12**2)
    left, _, _, top = found.polygons.geometry[2].bounds
    assert (left, top) == pytest.approx(((5000 + 1000 + 100) * 0.12, 8990 * 0.12))
    slides = open_outlines(
        write_cosmx_polygons(path, slide_ID=[1] * 8 + [2] * 8), pixel_size_um=0.12
    )
    assert slides.vendor_ids == ["1_1_1", "1_1_2", "2_2_1", "2_2_2"]


def test_polygons_of_one_field_of_cosmx_are_in_its_own_pixels(tmp_path):
    path = write_cosmx_polygons(tmp_path / "S-polygons.csv")
    scale = np.diag([1 / 0.12, 1 / 0.12, 1.0]).tolist()
    source = TranscriptSource("t", "x_local_px", "y_local_px", "target", None, "px", scale, 0)
    found = open_outlines(path, source=replace(source, keep=("fov", 2.0)))
    assert found.vendor_ids == ["1", "2"]
    assert found.polygons.geometry[0].bounds == pytest.approx((12, 1.2, 22.8, 10.8))
    of_all = replace(source, fields=Fields("fov", (1, 2), ((0, 0), (0, 1000)), (200, 1000)))
    assert open_outlines(path, source=of_all).vendor_ids == ["1_1", "1_2", "2_1", "2_2"]


def test_ids_that_stand_in_several_fields_are_several_cells(tmp_path):
    boxes = shapely.box([0, 10, 20], 0, [5, 15, 25], 5)
    table = {"cell_id": ["1", "2", "1"], "fov": [1, 1, 2], "geometry": list(shapely.to_wkb(boxes))}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    assert open_outlines(tmp_path / "p.parquet").vendor_ids == ["1_1", "1_2", "2_1"]
    table["cell_id"] = ["1", "2", "3"]
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    assert open_outlines(tmp_path / "p.parquet").vendor_ids == ["1", "2", "3"]


@pytest.mark.parametrize("is_zip", [True, False])
def test_masks_of_xenium_are_outlines_to_the_pixel(tmp_path, is_zip):
    labels = np.zeros((40, 60), np.uint32)
    labels[5:15, 5:25], labels[20:35, 30:55] = 1, 2
    root = zarr.open_group(tmp_path / "cells.zarr", mode="w", zarr_format=2)
    root.create_array("masks/1", data=labels, chunks=(16, 16))
    root.create_array("cell_id", data=np.array([(0x052F, 1), (0xA, 1)], np.uint32))
    path = tmp_path / "cells.zarr"
    if is_zip:
        path = tmp_path / "cells.zarr.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in (tmp_path / "cells.zarr").rglob("*"):
                archive.write(file, file.relative_to(tmp_path / "cells.zarr"))
    found = open_outlines(path, pixel_size_um=0.2125)
    assert found.vendor_ids == ["aaaaaaak-1", "aaaaafcp-1"]
    np.testing.assert_allclose(
        shapely.area(footprints(found.polygons)), [375 * 0.2125**2, 200 * 0.2125**2]
    )


def test_what_a_refusal_of_outlines_asks_for_is_read(tmp_path):
    path = tmp_path / "p.csv"
    pd.DataFrame(ring(5, 5), columns=["x", "y"]).assign(poly_ID="1").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"the columns x, y, poly_ID.*cell_id, vertex_x, vertex_y"):
        open_outlines(path)
    renamed = pd.read_csv(path).rename(columns={"x": "vertex_x", "y": "vertex_y"})
    renamed.to_csv(path, index=False)
    assert open_outlines(path).vendor_ids == ["1"]
    floats = {"EntityID": IDS[:2].astype(float), "Geometry": list(shapely.to_wkb(CELLS[:2]))}
    pq.write_table(pa.table(floats), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="store the ids as text"):
        open_outlines(tmp_path / "p.parquet")
    floats["EntityID"] = [str(number) for number in IDS[:2]]
    pq.write_table(pa.table(floats), tmp_path / "p.parquet")
    assert open_outlines(tmp_path / "p.parquet").vendor_ids == floats["EntityID"]
