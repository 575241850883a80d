"""One hand-written folder in the layout of each vendor; further layouts are in test_spatial.py."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from refusals import follow
from test_spatial import inspect, make_generic, make_merscope, write_image

from cellsam_core.assignment.boundaries import read_polygons
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.stage import summary
from cellsam_core.samples.transcripts import iter_transcripts

BIG = "2667026000000000003"  # Beyond what a float holds.
OTHER = "2667026000000000005"


def rows(found: Manifest) -> dict[str, list]:
    assert found.transcripts is not None
    batches = list(iter_transcripts(found.transcripts))
    return pa.Table.from_batches(batches).to_pydict()


def labels_of_two_cells() -> np.ndarray:
    labels = np.zeros((40, 60), np.uint16)
    labels[5:15, 5:25], labels[20:35, 30:55] = 7, 12
    return labels


# CosMx


def make_cosmx(
    folder: Path,
    fovs: tuple[int, ...] = (1, 2),
    corners: dict[int, tuple[float, float]] | None = None,
    y_sign: int = -1,
) -> Path:
    """Write an export as AtoMx nests it: two cells a field, transcripts in local pixels.

    `corners` are the slide's pixels (x, y) of each field's first pixel, `y_sign` the direction of
    y on the slide.
    """
    description = {
        "MorphologyKit": [
            {"ChannelId": "U", "BiologicalTarget": "DNA"},
            {"ChannelId": "B", "BiologicalTarget": "Membrane"},
        ],
        "ChannelOrder": "BU",
    }
    cells = folder / "DecodedFiles" / "run" / "CellStatsDir"
    image = np.arange(2 * 40 * 60, dtype=np.uint16).reshape(2, 40, 60)
    table = []
    for fov in fovs:
        x0, y0 = corners[fov] if corners else (5000 + 60 * fov, 9000)
        stain = cells / "Morphology2D" / f"2026_S1_F{fov:05d}.TIF"
        stain.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            stain, image, photometric="minisblack", description=json.dumps(description), metadata={}
        )
        labels = cells / f"FOV{fov:05d}" / f"CellLabels_F{fov:05d}.tif"
        labels.parent.mkdir()
        tifffile.imwrite(labels, labels_of_two_cells())
        for cell, x, y in ((7, 6, 6), (7, 24, 14), (12, 31, 33), (0, 58, 1)):
            place = (x, y, x0 + x, y0 + y_sign * y)
            table.append((fov, cell, f"c_1_{fov}_{cell}", *place, 0, "NEGR1"))
    names = ["fov", "cell_ID", "cell", "x_local_px", "y_local_px", "x_global_px", "y_global_px"]
    names += ["z", "target"]
    flat = folder / "flatFiles"
    flat.mkdir()
    text = pd.DataFrame(table, columns=names).to_csv(index=False)
    (flat / "slide_tx_file.csv.gz").write_bytes(gzip.compress(text.encode()))
    summary = folder / "DecodedFiles" / "run" / "RunSummary"
    summary.mkdir()
    (summary / "Run_ExptConfig.txt").write_text("Objective: 20x\nImPixel_nm: 120.280945\n")
    return folder


def test_cosmx_field_of_view(tmp_path):
    found = inspect(make_cosmx(tmp_path), fov="2")
    assert found.format == "cosmx"
    # The file says that its first page is the channel B.
    assert found.channels == ["Membrane", "DNA"]
    assert [p.page for p in found.planes[0]] == [0, 1]
    assert [Path(p.path).name for p in found.planes[0]] == ["2026_S1_F00002.TIF"] * 2
    assert found.pixel_size_um == pytest.approx(0.120280945)
    assert found.labels is not None
    assert Path(found.labels).name == "CellLabels_F00002.tif"
    assert "one of 2" in found.warnings[0]
    table = rows(found)
    assert table["x_px"] == [6, 24, 31, 58]
    assert table["vendor_cell_id"] == ["7", "7", "12", None]
    assert table["feature"] == ["NEGR1"] * 4
    assert inspect(tmp_path, fov="2", channels=["DNA"]).planes[0][0].page == 1


@pytest.mark.parametrize("is_alone", [True, False])
def test_cosmx_transcripts_may_be_parquet(tmp_path, is_alone):
    """The folder was taken for a movie."""
    folder = make_cosmx(tmp_path)
    text = folder / "flatFiles/slide_tx_file.csv.gz"
    wanted = rows(inspect(folder, fov="1"))
    pd.read_csv(text).to_parquet(text.with_name("slide_tx_file.parquet"))
    if is_alone:
        text.unlink()
    assert rows(inspect(folder, fov="1")) == wanted


def test_cosmx_asks_for_one_of_several_fields(tmp_path):
    folder = make_cosmx(tmp_path)
    with pytest.raises(InputError, match="one named 3"):
        inspect(folder, fov="3")
    told = inspect(folder, fov="1", pixel_size_um=0.18).warnings
    assert any("of 0.18 um is used as given. By the files" in sentence for sentence in told)
    for file in folder.rglob("*_ExptConfig.txt"):
        file.unlink()
    with pytest.raises(InputError, match="give pixel_size_um"):
        inspect(folder, fov="1")


def test_cosmx_coordinates_must_fall_on_the_cells_that_the_vendor_gave(tmp_path):
    folder = make_cosmx(tmp_path, fovs=(1,))
    assert inspect(folder).transcripts is not None
    for file in folder.rglob("CellLabels*.tif"):
        tifffile.imwrite(file, labels_of_two_cells()[::-1])
    with pytest.raises(InputError, match="0 % of transcripts on the label of their own cell"):
        inspect(folder)


def test_cosmx_stains_without_names_are_asked_for(tmp_path):
    folder = make_cosmx(tmp_path, fovs=(1,))
    for file in folder.rglob("Morphology2D/*"):
        write_image(file, (2, 40, 60), metadata=None)
    names = ["Membrane", "DNA"]
    named = lambda: inspect(folder, channels=names)  # noqa: E731
    assert follow(lambda: inspect(folder), "give them as channels", then=named).channels == names


# Xenium


def make_xenium(folder: Path) -> Path:
    """Write a bundle as versions from 2.0 do, with text stored as bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "18S"]}, "PhysicalSizeX": 0.2125}
    metadata |= {"PhysicalSizeY": 0.2125}
    focus = folder / "morphology_focus" / "morphology_focus_0000.ome.tif"
    write_image(focus, (2, 40, 60), metadata=metadata)
    table = {
        "transcript_id": pa.array([2**62 + 1, 2**62 + 3, 2**62 + 5], pa.uint64()),
        "cell_id": pa.array([b"aaaaficg-1", b"UNASSIGNED", b"aaaaficg-1"], pa.binary()),
        "feature_name": pa.array([b"NANOG", b"antisense_x", b"NANOG"], pa.binary()),
        "codeword_category": ["predesigned_gene", "negative_control_probe", "predesigned_gene"],
        "x_location": pa.array([0.0, 5.0, 12.5], pa.float32()),
        "y_location": pa.array([0.0, 5.0, 8.0], pa.float32()),
        "z_location": pa.array([15.1, 16.2, 17.3], pa.float32()),
    }
    pq.write_table(pa.table(table), folder / "transcripts.parquet")
    (folder / "transcripts.csv.gz").write_bytes(gzip.compress(b"the same again\n"))
    vertices = {"cell_id": ["aaaaficg-1"] * 3, "vertex_x": [0.0, 9, 9], "vertex_y": [0.0, 0, 9]}
    pq.write_table(pa.table(vertices), folder / "cell_boundaries.parquet")
    return folder


def test_xenium_bundle(tmp_path):
    found = inspect(make_xenium(tmp_path))
    assert (found.format, found.channels) == ("xenium", ["DAPI", "18S"])
    assert found.pixel_size_um == pytest.approx(0.2125)
    assert found.boundaries == str(tmp_path / "cell_boundaries.parquet")
    table = rows(found)
    np.testing.assert_allclose(table["x_px"], [0, 5 / 0.2125, 12.5 / 0.2125])
    assert table["vendor_cell_id"] == ["aaaaficg-1", None, "aaaaficg-1"]
    assert table["feature_type"][1] == "negative_control_probe"
    (tmp_path / "experiment.xenium").write_text("{}")
    with pytest.raises(InputError, match="no pixel_size"):
        inspect(tmp_path)


def test_old_xenium_bundle_has_one_image_and_csv(tmp_path):
    folder = make_xenium(tmp_path)
    table = pq.read_table(folder / "transcripts.parquet").to_pandas()
    text = [table[name].str.decode("ascii") for name in ("cell_id", "feature_name")]
    table = table.assign(cell_id=text[0], feature_name=text[1]).drop(columns="codeword_category")
    (folder / "transcripts.parquet").unlink()
    table.to_csv(folder / "transcripts.csv.gz", index=False)
    next(folder.glob("morphology_focus/*")).unlink()
    write_image(folder / "morphology_mip.ome.tif", metadata={"axes": "YX"})
    found = inspect(folder)
    assert found.channels == ["DAPI"]
    assert Path(found.planes[0][0].path).name == "morphology_mip.ome.tif"
    assert rows(found)["vendor_cell_id"] == ["aaaaficg-1", None, "aaaaficg-1"]


def test_xenium_transcripts_beyond_the_image_are_refused(tmp_path):
    folder = make_xenium(tmp_path)
    table = pq.read_table(folder / "transcripts.parquet")
    x = pa.array([100.0, 200, 300], pa.float32())
    pq.write_table(table.set_column(4, "x_location", x), folder / "transcripts.parquet")
    with pytest.raises(InputError, match="3 of 3 transcripts outside the image"):
        inspect(folder)


# Resolve


def make_resolve(folder: Path, region: str = "A1-1") -> Path:
    folder.mkdir(exist_ok=True)
    spots = "0\t0\t1\tNANOG\t\n58\t39\t2\tBlank1\t\n30.5\t3\t2\tNANOG\t\n"
    (folder / f"{region}_results.txt").write_text(spots)
    write_image(folder / f"{region}_DAPI.tiff")
    write_image(folder / f"{region}_PolyT.tiff")
    write_image(folder / f"{region}_mask.tiff", (3, 3))
    return folder


def test_resolve_table_has_no_header(tmp_path):
    found = inspect(make_resolve(tmp_path))
    assert (found.format, found.channels) == ("resolve", ["DAPI", "PolyT"])
    assert found.pixel_size_um == pytest.approx(0.138)
    assert "taken to be" in found.warnings[0]
    assert inspect(tmp_path, pixel_size_um=0.2).pixel_size_um == pytest.approx(0.2)
    table = rows(found)
    assert table["feature"] == ["NANOG", "Blank1", "NANOG"]
    assert table["x_px"] == [0, 58, 30.5]
    assert table["z"] == [1, 2, 2]
    make_resolve(tmp_path, "B1-1")
    assert inspect(tmp_path, fov="B1-1").planes[0][0].path.endswith("B1-1_DAPI.tiff")
    with pytest.raises(InputError, match=r"2 regions \(A1-1, B1-1\)"):
        inspect(tmp_path)


def test_resolve_table_with_a_header_is_refused(tmp_path):
    table = make_resolve(tmp_path) / "A1-1_results.txt"
    table.write_text("x\ty\tz\tgene\t\n" + table.read_text())
    with pytest.raises(InputError, match="'x' in column 'x_px', row 1"):
        inspect(tmp_path)


# Spatial Genomics seqFISH


def test_images_of_resolve_that_are_not_read_are_named(tmp_path):
    folder = make_resolve(tmp_path)
    (folder / "A1-1_DAPI.tiff").rename(folder / "nuclei.tiff")
    found = inspect(folder)
    assert found.channels == ["PolyT"]
    assert found.warnings[-1] == (
        "Not read: nuclei.tiff, because the images of a region begin with its name."
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [("make_xenium", "experiment.xenium"), ("make_cosmx", "flatFiles/slide_tx_file.csv.gz")],
)
def test_a_folder_of_a_vendor_without_its_file_is_told_so(tmp_path, make, name):
    folder = globals()[make](tmp_path / "s")
    aside = tmp_path / "aside"
    (folder / name).rename(aside)
    found = follow(
        lambda: inspect(folder),
        "copy it from the instrument's output",
        lambda: aside.rename(folder / name),
    )
    assert found.format == make.removeprefix("make_")


def make_seqfish(folder: Path, scale: float, names: tuple[str, ...]) -> Path:
    """Write a region whose spots lie at pixels (10, 10) and (50, 30), coordinates x `scale`."""
    table, stain, mask = names
    spots = [("NANOG", 10 * scale, 10 * scale, 7), ("Negr1", 50 * scale, 30 * scale, 12)]
    pd.DataFrame(spots, columns=["name", "x", "y", "cell"]).to_csv(folder / table, index=False)
    size = {"axes": "YX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}
    tifffile.imwrite(folder / stain, np.ones((40, 60), np.uint16), metadata=size, ome=True)
    tifffile.imwrite(folder / mask, labels_of_two_cells())
    return folder


FIRST = ("TranscriptList_section1.csv", "DAPI_section1.ome.tiff", "CellMask_section1.tiff")
SECOND = ("Roi1_TranscriptList.csv", "Roi1_DAPI.tiff", "Roi1_Segmentation.tiff")


@pytest.mark.parametrize(
    ("names", "scale", "unit"), [(FIRST, 1.0, "px"), (SECOND, 0.1, "um"), (SECOND, 1.0, "px")]
)
def test_seqfish_units_are_those_that_span_the_image(tmp_path, names, scale, unit):
    found = inspect(make_seqfish(tmp_path, scale, names))
    assert (found.format, found.channels) == ("spatial_genomics", ["DAPI"])
    assert found.transcripts is not None
    assert found.transcripts.unit == unit
    np.testing.assert_allclose(rows(found)["x_px"], [10, 50])
    np.testing.assert_allclose(rows(found)["x_um"], [1, 5])
    assert rows(found)["vendor_cell_id"] == ["7", "12"]
    assert found.labels == str(tmp_path / names[2])


def test_seqfish_in_neither_unit_is_refused(tmp_path):
    with pytest.raises(InputError, match="neither"):
        inspect(make_seqfish(tmp_path, 37.0, SECOND))


def test_seqfish_asks_for_one_of_several_regions(tmp_path):
    make_seqfish(tmp_path, 1.0, SECOND)
    make_seqfish(tmp_path, 1.0, tuple(name.replace("Roi1", "Roi2") for name in SECOND))
    with pytest.raises(InputError, match=r"2 regions \(Roi1, Roi2\)"):
        inspect(tmp_path)
    assert inspect(tmp_path, fov="Roi2").planes[0][0].path.endswith("Roi2_DAPI.tiff")


# MERSCOPE variants


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_merscope_tables_of_any_kind_keep_19_digit_ids(tmp_path, kind):
    folder = make_merscope(tmp_path)
    table = pd.read_csv(folder / "detected_transcripts.csv", index_col=0)
    table["cell_id"] = np.array([int(BIG), -1])
    (folder / "detected_transcripts.csv").unlink()
    path = folder / f"detected_transcripts.{kind}"
    table.to_parquet(path) if kind == "parquet" else table.to_csv(path)
    assert rows(inspect(folder))["vendor_cell_id"] == [BIG, None]


def test_ids_that_went_through_floats_are_refused(tmp_path):
    folder = make_merscope(tmp_path)
    table = pd.read_csv(folder / "detected_transcripts.csv", index_col=0)
    table["cell_id"] = np.array([float(BIG), -1])
    (folder / "detected_transcripts.csv").unlink()
    table.to_parquet(folder / "detected_transcripts.parquet")
    with pytest.raises(InputError, match="'cell_id' stored as floating point"):
        rows(inspect(folder))


def write_hdf5(path: Path, cells: dict[str, dict[int, list[shapely.Polygon]]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as store:
        for cell_id, planes in cells.items():
            group = store.create_group(f"featuredata/{cell_id}")
            group["z_coordinates"] = np.arange(7.0)
            for z in range(7):
                plane = group.create_group(f"zIndex_{z}")
                for i, polygon in enumerate(planes.get(z, [])):
                    plane[f"p_{i}/coordinates"] = shapely.get_coordinates(polygon)[None]


def test_merscope_polygons_as_hdf5(tmp_path):
    folder = make_merscope(tmp_path)
    left, right = shapely.box(0, 0, 2, 1), shapely.box(5, 0, 6, 1)
    write_hdf5(folder / "cell_boundaries/feature_data_0.hdf5", {OTHER: {0: [left, right]}})
    write_hdf5(folder / "cell_boundaries/feature_data_1.hdf5", {BIG: {2: [left]}, "9": {}})
    found = inspect(folder)
    assert found.boundaries == str(folder / "cell_boundaries")
    polygons, ids = read_polygons(found.boundaries)
    assert ids == [BIG, OTHER]
    assert polygons.plane is not None
    listed = zip(polygons.cell_id, polygons.plane, shapely.area(polygons.geometry), strict=True)
    assert sorted(listed) == [(1, 2, 2.0), (2, 0, 1.0), (2, 0, 2.0)]
    (folder / "cell_boundaries/feature_data_1.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="can't be read"):
        read_polygons(folder / "cell_boundaries")


def test_a_transcript_in_two_parts_of_a_cell_is_owned_once(tmp_path):
    write_hdf5(
        tmp_path / "cell_boundaries/feature_data_0.hdf5",
        {BIG: {0: [shapely.box(0, 0, 4, 4), shapely.box(4, 0, 8, 4)]}},
    )
    (tmp_path / "t.csv").write_text("x_um,y_um,z,gene\n4,2,0,NANOG\n4,2,1,NANOG\n")
    files = ["--polygons", tmp_path / "cell_boundaries", "--transcripts", tmp_path / "t.csv"]
    assert main(["assign", *map(str, files), "-o", str(tmp_path / "out")]) == 0
    out = pq.read_table(tmp_path / "out/transcripts.parquet")
    assert out["cell_id"].to_pylist() == [1, 0]


def test_z_policies(tmp_path, monkeypatch):
    folder = make_merscope(tmp_path, planes=(0, 1, 2))
    bright = np.zeros((40, 60), np.uint16)
    bright[3, 4] = 60_000
    tifffile.imwrite(folder / "images" / "mosaic_DAPI_z2.tif", bright)
    table = folder / "detected_transcripts.csv"
    table.write_text(table.read_text() + "2,2.0,-0.5,1.0,Gad1\n")

    one = inspect(folder, z_policy="one", z_plane=1)
    assert rows(one)["z"] == [1]
    assert one.transcripts is not None
    assert one.transcripts.n_rows == 1
    assert "this plane alone" in one.warnings[0]

    every = inspect(folder, z_plane=2)
    assert {Path(p.path).name[-6:] for p in every.planes[0]} == {"z2.tif"}
    assert rows(every)["z"] == [0, 0, 1]

    top = inspect(folder, z_policy="max", channels=["DAPI"])
    assert "maximum projection of 3 z planes" in top.warnings[0]
    (tmp_path / "m.json").write_text(top.to_json())
    image = read_frame(Manifest.load(tmp_path / "m.json"), 0)[0]
    expected = tifffile.imread(folder / "images" / "mosaic_DAPI_z0.tif")
    expected[3, 4] = 60_000
    np.testing.assert_array_equal(image, expected)

    monkeypatch.chdir(tmp_path.parent)
    assert inspect(Path(tmp_path.name), z_policy="max", channels=["DAPI"]).planes == top.planes

    for wrong in ({"z_plane": 3}, {"z_plane": 1, "z_policy": "max"}):
        with pytest.raises(InputError, match="z_plane"):
            inspect(folder, **wrong)
    write_image(folder / "images" / "mosaic_DAPI_z2.tif", (41, 60))
    with pytest.raises(InputError, match="in plane 2 of DAPI"):
        inspect(folder, z_policy="max", channels=["DAPI"])


def test_projection_of_a_generic_folder(tmp_path):
    found = inspect(make_generic(tmp_path), pixel_size_um=0.5, z_policy="max", channels=["polyT"])
    assert [p.also for p in found.planes[0]] == [(str(tmp_path / "polyT_z1.tif"),)]


@pytest.mark.parametrize("of_each_stain", [True, False])
def test_z_planes_inside_the_files_of_a_generic_folder(tmp_path, of_each_stain):
    stack = np.arange(3 * 2 * 40 * 60, dtype=np.uint16).reshape(3, 2, 40, 60)
    scale = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    if of_each_stain:
        for c, name in enumerate(("DAPI", "PolyT")):
            tifffile.imwrite(
                tmp_path / f"{name}.ome.tif", stack[:, c], metadata=scale | {"axes": "ZYX"}
            )
    else:
        named = scale | {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "PolyT"]}}
        tifffile.imwrite(tmp_path / "stains.ome.tif", stack, metadata=named)
    text = "x_px,y_px,z,gene\n0,0,0,Gad1\n59,39,1,Gad1\n30,9,2,Gad1\n"
    (tmp_path / "transcripts.csv").write_text(text)

    middle = inspect(tmp_path)
    assert middle.warnings[0].startswith("Cells are segmented on z plane 1 of 3;")
    assert rows(middle)["z"] == [0, 1, 2]
    np.testing.assert_array_equal(read_frame(middle, 0), stack[1])
    np.testing.assert_array_equal(read_frame(inspect(tmp_path, z_plane=0), 0), stack[0])
    np.testing.assert_array_equal(read_frame(inspect(tmp_path, z_policy="max"), 0), stack[2])
    one = inspect(tmp_path, z_policy="one")
    assert rows(one)["z"] == [1]
    with pytest.raises(InputError, match="expected a plane out of 0, 1, 2"):
        inspect(tmp_path, z_plane=3)


@pytest.mark.parametrize("of_each_stain", [True, False])
def test_pages_without_an_axis_are_z_planes_of_a_stain(tmp_path, of_each_stain):
    stack = np.arange(3 * 2 * 40 * 60, dtype=np.uint16).reshape(3, 2, 40, 60)
    if of_each_stain:
        for c, name in enumerate(("DAPI", "PolyT")):
            tifffile.imwrite(tmp_path / f"{name}.tif", stack[:, c], photometric="minisblack")
    else:
        pages = stack.reshape(6, 40, 60)
        tifffile.imwrite(tmp_path / "stains.tif", pages, photometric="minisblack")
        with pytest.raises(InputError, match="6 planes and no names"):
            inspect(tmp_path, pixel_size_um=0.5)
    (tmp_path / "transcripts.csv").write_text("x_px,y_px,z,gene\n0,0,0,Gad1\n59,39,1,Gad1\n")
    asked = {"pixel_size_um": 0.5, "channels": ["DAPI", "PolyT"]}
    middle = inspect(tmp_path, **asked)
    assert middle.warnings[0].startswith("Cells are segmented on z plane 1 of 3;")
    np.testing.assert_array_equal(read_frame(middle, 0), stack[1])
    most = inspect(tmp_path, z_policy="max", **asked)
    np.testing.assert_array_equal(read_frame(most, 0), stack[2])


@pytest.mark.parametrize("choice", [{"z_plane": 1}, {"z_policy": "one"}, {"z_policy": "most"}])
def test_planes_are_not_chosen_where_there_are_none(tmp_path, choice):
    with pytest.raises(InputError, match="z_p"):
        inspect(make_xenium(tmp_path), **choice)


def test_a_field_is_not_chosen_where_there_is_none(tmp_path):
    with pytest.raises(InputError, match="fov 2 asked for"):
        inspect(make_xenium(tmp_path), fov="2")


# Through the command line


def test_vendor_ids_are_kept_beside_ours(tmp_path, capsys):
    folder = make_cosmx(tmp_path / "export")
    command = ["inspect", str(folder), "--sample", "s", "--assay", "merfish", "--fov", "1"]
    assert main([*command, "-o", str(tmp_path / "m.json")]) == 0
    assert "format cosmx" in capsys.readouterr().out
    manifest = Manifest.load(tmp_path / "m.json")
    files = ["--manifest", str(tmp_path / "m.json"), "--labels", str(manifest.labels)]
    assert main(["assign", *files, "-o", str(tmp_path / "out")]) == 0
    out = pq.read_table(tmp_path / "out/transcripts.parquet").to_pydict()
    assert out["cell_id"] == [7, 7, 12, 0]
    assert out["vendor_cell_id"] == ["7", "7", "12", None]
    movie = ["inspect", str(folder), "--sample", "s", "--assay", "movie", "--fov", "1"]
    assert main([*movie, "-o", str(tmp_path / "m.json")]) == 1
    assert "for a movie" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize("fov", [2, 3])
def test_real_cosmx_fields_pass_the_test_by_their_labels(shared_data, fov):
    found = inspect(
        shared_data / "spatial" / "cosmx_lung12_mini",
        fov=str(fov),
        pixel_size_um=0.18,
        channels=["membrane", "PanCK", "DAPI"],
    )
    assert (found.format, found.shape_yx) == ("cosmx", (648, 672))
    assert Path(str(found.labels)).name == f"cells_label_F00{fov}.tif"
    assert sum(v is not None for v in rows(found)["vendor_cell_id"]) > 6000


MAKERS = {"cosmx": make_cosmx, "xenium": make_xenium, "resolve": make_resolve}
MAKERS |= {"merscope": make_merscope, "generic": make_generic}
INSPECT_ALL = """
import sys
from cellsam_core.cli import main
for name in {names!r}:
    folder = f"{folder}/{{name}}"
    words = ["inspect", folder, "--sample", "s", "--assay", "merfish"]
    words += {{"cosmx": ["--fov", "2"], "generic": ["--pixel-size-um", "0.1"]}}.get(name, [])
    assert main([*words, "-o", f"{{folder}}-{{sys.flags.hash_randomization}}.json"]) == 0, name
"""


def test_manifests_do_not_depend_on_the_hash_seed(tmp_path):
    for name, make in MAKERS.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    script = INSPECT_ALL.format(names=list(MAKERS), folder=tmp_path)
    for seed in ("0", "12345"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    for name in MAKERS:
        first, second = ((tmp_path / f"{name}-{i}.json").read_text() for i in (0, 1))
        assert f'"format": "{name}"' in first
        assert first == second


@pytest.mark.parametrize("chunk_rows", [1, 3])
def test_a_field_is_the_same_in_any_chunks(tmp_path, chunk_rows):
    found = inspect(make_cosmx(tmp_path), fov="2")
    assert found.transcripts is not None
    batches = list(iter_transcripts(found.transcripts, chunk_rows))
    assert sum(batch.num_rows for batch in batches) == found.transcripts.n_rows == 4
    table = pa.Table.from_batches([b.cast(batches[0].schema) for b in batches]).to_pydict()
    assert table == rows(found)


# Xenium, a file for each stain


STAINS = ("DAPI", "ATP1A1/CD45/E-Cadherin", "18S")


def make_xenium_4(folder: Path, stains: tuple[str, ...] = STAINS) -> Path:
    """Write a bundle of which each stain is a file that names all the others."""
    make_xenium(folder)
    next(folder.glob("morphology_focus/*")).unlink()
    names = [f"ch{i:04d}_{stain.split('/')[0].lower()}.ome.tif" for i, stain in enumerate(stains)]
    channels = "".join(
        f'<Channel ID="Channel:{i}" Name="{stain}" SamplesPerPixel="1"/>'
        for i, stain in enumerate(stains)
    )
    data = "".join(
        f'<TiffData IFD="0" FirstC="{i}" FirstZ="0" FirstT="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:0000000{i}</UUID></TiffData>'
        for i, name in enumerate(names)
    )
    for i, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
            f'Schemas/OME/2016-06" UUID="urn:uuid:0000000{i}"><Image ID="Image:0"><Pixels '
            'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="60" SizeY="40" SizeZ="1" '
            f'SizeC="{len(stains)}" SizeT="1" PhysicalSizeX="0.2125" PhysicalSizeY="0.2125">'
            f"{channels}{data}</Pixels></Image></OME>"
        )
        with tifffile.TiffWriter(folder / "morphology_focus" / name) as tif:
            image = np.full((40, 60), 100 * (i + 1), np.uint16)
            options = {"photometric": "minisblack", "metadata": None}
            tif.write(image, subifds=1, description=xml.encode(), **options)
            tif.write(image[::2, ::2], subfiletype=1, **options)
    return folder


def test_xenium_with_a_file_for_each_stain(tmp_path):
    found = inspect(make_xenium_4(tmp_path))
    assert found.channels == list(STAINS)
    assert found.kit == {"nuclear": ["DAPI"], "cell": list(STAINS[1:])}
    told = "nuclear: DAPI; cell: ATP1A1/CD45/E-Cadherin + 18S, from the names of channels"
    assert told in summary(found)
    one = inspect(tmp_path, channels=["18S", "DAPI"])
    assert one.channels == ["18S", "DAPI"]
    assert [Path(p.path).name for p in one.planes[0]] == [
        "ch0002_18s.ome.tif",
        "ch0000_dapi.ome.tif",
    ]


def test_an_absent_file_of_a_stain_is_named_and_the_remedies_work(tmp_path):
    folder = make_xenium_4(tmp_path)
    absent = tmp_path / "morphology_focus/ch0001_atp1a1.ome.tif"
    content = absent.read_bytes()
    absent.unlink()
    for channels in (None, [STAINS[1]]):
        with pytest.raises(InputError, match=r"no file ch0001_atp1a1\.ome\.tif") as error:
            inspect(folder, channels=channels)
    asked = str(error.value).rpartition("are there: ")[2].rstrip(".")
    assert asked == "DAPI,18S"
    found = follow(
        lambda: inspect(folder),
        f"stains whose files are there: {asked}",
        then=lambda: inspect(folder, channels=asked.split(",")),
    )
    assert (found.channels, found.shape_yx) == (["DAPI", "18S"], (40, 60))
    (tmp_path / "m.json").write_text(found.to_json())
    image = read_frame(Manifest.load(tmp_path / "m.json"), 0)
    assert [int(plane.max()) for plane in image] == [100, 300]
    with pytest.raises(InputError, match="one named 'CD4'"):
        inspect(folder, channels=["CD4"])
    absent.write_bytes(content)
    assert inspect(folder).channels == list(STAINS)


# Names of Spatial Genomics


@pytest.mark.parametrize(
    ("names", "region"),
    [
        (FIRST, "section1"),
        (SECOND, "Roi1"),
        (
            (
                *("exp1_TranscriptList_section1.csv", "exp1_DAPI_section1.ome.tiff"),
                "exp1_CellMask_section1.tiff",
            ),
            "exp1_section1",
        ),
        (
            (
                *("Test_Set_TranscriptCoordinates_1.csv", "Test_Set_DAPI_1.ome.tiff"),
                "Test_Set_CellMask_1.tiff",
            ),
            "Test_Set_1",
        ),
        (("TranscriptList.csv", "DAPI.tiff", "Segmentation.TIFF"), "TranscriptList"),
    ],
)
def test_seqfish_files_are_named_by_region_run_or_both(tmp_path, names, region):
    found = inspect(make_seqfish(tmp_path, 1.0, names))
    assert (found.format, found.channels) == ("spatial_genomics", ["DAPI"])
    assert found.labels == str(tmp_path / names[2])
    assert inspect(tmp_path, fov=region) == found
    (tmp_path / names[2]).unlink()
    assert "could not be tested" in inspect(tmp_path).warnings[-1]


def test_seqfish_names_that_are_expected_are_told(tmp_path):
    names = ("Roi1_TranscriptList.csv", "Roi1_nuclei.tiff", "Roi1_Segmentation.tiff")
    folder = make_seqfish(tmp_path, 1.0, names)
    with pytest.raises(InputError, match=r"one DAPI image of Roi1, Roi1_DAPI\.tiff"):
        inspect(folder)
    right = lambda: (folder / names[1]).rename(folder / "Roi1_DAPI.tiff")  # noqa: E731
    assert follow(lambda: inspect(folder), "name it so", right).format == "spatial_genomics"
    (folder / names[0]).rename(folder / "Roi1_spots.csv")
    with pytest.raises(InputError, match=r"files named <roi>_TranscriptList\.csv"):
        inspect(folder, format="spatial_genomics")
    assert inspect(folder, channels=["Roi1_DAPI"]).format == "generic"
    found = follow(
        lambda: inspect(folder, format="spatial_genomics"),
        "rename the files so",
        lambda: (folder / "Roi1_spots.csv").rename(folder / names[0]),
    )
    assert found.format == "spatial_genomics"


def test_a_label_image_among_stains_is_left_out_as_the_refusal_says(tmp_path):
    make_generic(tmp_path)
    tifffile.imwrite(tmp_path / "CellMask_z0.tif", np.zeros((40, 60), np.uint32))
    found = follow(
        lambda: inspect(tmp_path, pixel_size_um=0.5),
        "fill the column channels of the sample sheet",
        then=lambda: inspect(tmp_path, pixel_size_um=0.5, channels=["dapi", "polyT"]),
    )
    assert found.channels == ["dapi", "polyT"]


def test_a_tissue_in_a_corner_is_placed_by_its_labels(tmp_path):
    table, stain, mask = SECOND
    labels = np.zeros((256, 256), np.uint32)
    labels[150:230, 20:100] = 1
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(22, 98, 4), np.arange(152, 228, 4)))
    rows = pd.DataFrame({"name": "ITGB1", "x": x, "y": y, "cell": 1})
    rows.to_csv(tmp_path / table, index=False)
    size = {"axes": "YX", "PhysicalSizeX": 0.107, "PhysicalSizeY": 0.107}
    tifffile.imwrite(tmp_path / stain, np.ones((256, 256), np.uint16), metadata=size, ome=True)
    tifffile.imwrite(tmp_path / mask, labels)
    found = inspect(tmp_path)
    assert found.transcripts is not None
    assert found.transcripts.unit == "px"
    tifffile.imwrite(tmp_path / mask, labels[::-1])
    with pytest.raises(InputError, match="0 % of transcripts on the label"):
        inspect(tmp_path)
    # Without labels to test it by, the unit must be named.
    rows.drop(columns="cell").to_csv(tmp_path / table, index=False)
    with pytest.raises(InputError, match=r"neither as um nor px .0% of them inside as um, 100%"):
        inspect(tmp_path)
    renamed = rows.rename(columns={"x": "x_px", "y": "y_px"}).drop(columns="cell")
    renamed.to_csv(tmp_path / table, index=False)
    found = inspect(tmp_path)
    assert found.transcripts is not None
    assert found.transcripts.unit == "px"
    assert "could not be tested" in found.warnings[-1]
