from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from cellsam_core.errors import InputError
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.spatial import inspect_spatial
from cellsam_core.samples.transcripts import iter_transcripts

SHAPE = (40, 60)
SCALE = 10.0  # px per um
OFFSET = (-20.0, 5.0)


def write_image(path: Path, shape: tuple[int, ...] = SHAPE, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    tifffile.imwrite(path, image, photometric="minisblack", **options)


def write_rows(path: Path, header: str, *xy: tuple[float, float]) -> None:
    rows = [f"{i},{x!r},{y!r},0,Gad1" for i, (x, y) in enumerate(xy)]
    path.write_text("\n".join([header, *rows]) + "\n")


def make_merscope(folder: Path, planes: tuple[int, ...] = tuple(range(7))) -> Path:
    """Write a region whose transcripts lie at pixels (0, 0) and (50, 30)."""
    for stain in ("PolyT", "DAPI", "Cellbound1"):
        for z in planes:
            write_image(folder / "images" / f"mosaic_{stain}_z{z}.tif")
    transform = f"{SCALE} 0 {OFFSET[0]}\n0 {SCALE} {OFFSET[1]}\n0 0 1\n"
    (folder / "images" / "micron_to_mosaic_pixel_transform.csv").write_text(transform)
    bbox = [2.0, -0.5, 8.0, 3.5]
    manifest = {
        "mosaic_width_pixels": SHAPE[1],
        "mosaic_height_pixels": SHAPE[0],
        "microns_per_pixel": 0.1,
        "bbox_microns": bbox,
    }
    (folder / "images" / "manifest.json").write_text(json.dumps(manifest))
    header = ",global_x,global_y,global_z,gene"
    write_rows(folder / "detected_transcripts.csv", header, (2.0, -0.5), (7.0, 2.5))
    return folder


def inspect(folder: Path, **options: object) -> Manifest:
    return inspect_spatial(folder, sample="s", assay="merfish", **options)


def test_merscope_region(tmp_path):
    found = inspect(make_merscope(tmp_path))
    assert found.format == "merscope"
    # By name, not in the order of a set: the order must not change with the hash seed.
    assert found.channels == ["Cellbound1", "DAPI", "PolyT"]
    assert [Path(p.path).name for p in found.planes[0]] == [
        f"mosaic_{name}_z3.tif" for name in found.channels
    ]
    assert (found.shape_yx, found.dtype, found.n_frames) == (SHAPE, "uint16", 1)
    assert found.pixel_size_um == pytest.approx(0.1)
    assert "z plane 3 of 7" in found.warnings[0]
    assert found.transcripts is not None
    assert found.transcripts.n_rows == 2
    (batch,) = iter_transcripts(found.transcripts)
    np.testing.assert_allclose(batch["x_px"].to_numpy(), [0, 50])
    np.testing.assert_allclose(batch["y_px"].to_numpy(), [0, 30])


def test_images_of_a_region_that_are_not_read_are_named(tmp_path):
    folder = make_merscope(tmp_path)
    for z in range(7):
        image = folder / f"images/mosaic_DAPI_z{z}.tif"
        image.rename(image.with_name(f"Nuclei_z{z}.tif"))
    found = inspect(folder)
    assert found.channels == ["Cellbound1", "PolyT"]
    assert found.warnings[-1] == (
        "Not read: images/Nuclei_z0.tif and 6 more, because stains are named"
        " mosaic_<stain>_z<plane>.tif."
    )


def test_stains_with_special_characters_are_read(tmp_path):
    """MERSCOPE Ultra writes such characters as a URL does, for Windows."""
    folder = make_merscope(tmp_path)
    for z in range(7):
        for name in ("Anti-Rat%2FMouse", "CD4 high"):
            write_image(folder / "images" / f"mosaic_{name}_z{z}.tif")
    found = inspect(folder)
    assert found.channels == ["Anti-Rat/Mouse", "CD4 high", "Cellbound1", "DAPI", "PolyT"]
    assert not [sentence for sentence in found.warnings if "Not read" in sentence]


def test_a_manifest_survives_its_file(tmp_path):
    found = inspect(make_merscope(tmp_path / "region"))
    (tmp_path / "m.json").write_text(found.to_json())
    assert Manifest.load(tmp_path / "m.json") == found


def test_merscope_run_with_one_region_and_chosen_channels(tmp_path):
    make_merscope(tmp_path / "region_0", planes=(0, 1, 2, 6))
    found = inspect(tmp_path, channels=["PolyT", "DAPI"])
    assert found.channels == ["PolyT", "DAPI"]
    assert "mosaic_PolyT_z1.tif" in found.planes[0][0].path
    make_merscope(tmp_path / "region_1", planes=(3,))
    with pytest.raises(InputError, match="2 regions"):
        inspect(tmp_path)


def test_the_transform_must_fit_manifest_images_and_sample_sheet(tmp_path):
    folder = make_merscope(tmp_path)
    transform = folder / "images" / "micron_to_mosaic_pixel_transform.csv"
    original = transform.read_text()
    with pytest.raises(InputError, match="pixel_size_um in the sample sheet"):
        inspect(folder, pixel_size_um=0.2)
    transform.write_text(original.replace("-20.0", "100"))
    with pytest.raises(InputError, match="corners 120 px off") as error:
        inspect(folder)
    assert transform.name in str(error.value)
    transform.write_text(original.replace("10.0 ", "5 "))
    with pytest.raises(InputError, match=r"manifest\.json: found 0\.1 um"):
        inspect(folder)
    transform.write_text("1 2\n3 4\n")
    with pytest.raises(InputError, match="3 rows of 3 numbers"):
        inspect(folder)
    transform.unlink()
    with pytest.raises(InputError, match="no images/micron_to_mosaic"):
        inspect(folder)


def test_a_transform_that_puts_transcripts_off_the_image_is_refused(tmp_path):
    folder = make_merscope(tmp_path)
    (folder / "images" / "manifest.json").unlink()
    transform = folder / "images" / "micron_to_mosaic_pixel_transform.csv"
    transform.write_text("10 0 500\n0 10 5\n0 0 1\n")
    with pytest.raises(InputError, match="2 of 2 transcripts outside"):
        inspect(folder)


def test_merscope_sizes_that_contradict_are_refused(tmp_path):
    folder = make_merscope(tmp_path)
    write_image(folder / "images" / "mosaic_PolyT_z3.tif", (41, 60))
    with pytest.raises(InputError, match=r"mosaic_PolyT_z3\.tif: found 60 x 41 px"):
        inspect(folder)
    (folder / "images" / "mosaic_PolyT_z3.tif").unlink()
    with pytest.raises(InputError, match=r"no mosaic_PolyT_z3\.tif"):
        inspect(folder)
    write_image(folder / "images" / "mosaic_PolyT_z3.tif")
    manifest = folder / "images" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("60", "61"))
    with pytest.raises(InputError, match="mosaics of 61 x 40 px"):
        inspect(folder)
    manifest.write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json: found a file that can't be read"):
        inspect(folder)


def make_generic(folder: Path) -> Path:
    for name in ("polyT_z0.tif", "dapi_z0.tif", "polyT_z1.tif", "dapi_z1.tif"):
        write_image(folder / name)
    write_image(folder / "cells_label_z0.tif", (3, 3))
    header = "id,x_px,y_px,z,target"
    write_rows(folder / "my_transcripts.csv", header, (0.0, 0.0), (59.0, 39.0))
    return folder


def test_generic_folder(tmp_path):
    found = inspect(make_generic(tmp_path), pixel_size_um=0.5)
    assert (found.format, found.channels) == ("generic", ["dapi", "polyT"])
    assert [Path(p.path).name for p in found.planes[0]] == ["dapi_z0.tif", "polyT_z0.tif"]
    assert found.pixel_size_um == pytest.approx(0.5)
    assert "z plane 0 of 2" in found.warnings[0]
    assert found.transcripts is not None
    assert (found.transcripts.gene, found.transcripts.unit) == ("target", "px")


def test_generic_stains_may_be_an_ome_zarr(tmp_path):
    write_rows(tmp_path / "transcripts.csv", "id,x_um,y_um,z,gene", (1, 1), (5, 3))
    group = zarr.open_group(tmp_path / "stains.zarr", mode="w")
    group.create_array("0", data=np.ones((2, *SHAPE), np.uint16), chunks=(1, *SHAPE))
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": [1, 0.1, 0.1]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    channels = [{"label": "DAPI"}, {"label": "PolyT"}]
    ome = {"version": "0.5", "multiscales": [image], "omero": {"channels": channels}}
    group.attrs["ome"] = ome
    found = inspect(tmp_path)
    assert found.channels == ["DAPI", "PolyT"]
    assert found.pixel_size_um == pytest.approx(0.1)
    assert [int(plane.max()) for plane in read_frame(found, 0)] == [1, 1]
    write_image(tmp_path / "dapi.tif")
    told = inspect(tmp_path, pixel_size_um=0.1)
    assert told.channels == ["dapi"]
    assert "Not read: stains.zarr, because stains are read from the TIFFs" in str(told.warnings)


def test_generic_pixel_size_and_channels_from_ome(tmp_path):
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["PolyT", "DAPI"]},
        "PhysicalSizeX": 0.25,
        "PhysicalSizeY": 0.25,
    }
    write_image(tmp_path / "stains.ome.tif", (2, *SHAPE), metadata=metadata)
    write_rows(tmp_path / "spots.csv", "id,x_um,y_um,z,gene", (0.0, 0.0), (10.0, 9.0))
    found = inspect(tmp_path)
    assert found.channels == ["PolyT", "DAPI"]
    assert found.pixel_size_um == pytest.approx(0.25)
    assert [p.page for p in found.planes[0]] == [0, 1]


def test_pixel_sizes_that_contradict_each_other_are_told(tmp_path):
    def write(name, size_um):
        scale = {"axes": "YX", "PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
        write_image(tmp_path / f"{name}.ome.tif", metadata=scale)

    write("DAPI", 0.25)
    write("PolyT", 0.25)
    write_rows(tmp_path / "spots.csv", "id,x_px,y_px,z,gene", (0.0, 0.0), (59.0, 39.0))
    assert not inspect(tmp_path).warnings
    assert not inspect(tmp_path, pixel_size_um=0.251).warnings
    given = inspect(tmp_path, pixel_size_um=0.5)
    assert given.pixel_size_um == pytest.approx(0.5)
    told = "of 0.5 um is used as given. By the metadata of the images, it is 0.25 um."
    assert given.warnings == [f"The pixel size {told}"]
    write("PolyT", 0.5)
    assert (
        "DAPI.ome.tif has 0.25 um a pixel, and PolyT.ome.tif 0.5 um"
        in inspect(tmp_path).warnings[0]
    )


def test_generic_channels_without_names_are_asked_for(tmp_path):
    write_image(tmp_path / "stain.tif", (2, *SHAPE), metadata={"axes": "CYX"})
    write_rows(tmp_path / "spots.csv", "id,x_px,y_px,z,gene", (0.0, 0.0))
    with pytest.raises(InputError, match="give them as channels in the sample sheet"):
        inspect(tmp_path, pixel_size_um=1.0)
    with pytest.raises(InputError, match="3 names"):
        inspect(tmp_path, pixel_size_um=1.0, channels=["a", "b", "c"])
    assert inspect(tmp_path, pixel_size_um=1.0, channels=["b", "a"]).channels == ["b", "a"]


@pytest.mark.parametrize(
    ("remove", "message"),
    [("*.tif", "no stain images"), ("*.csv", "no transcript table")],
)
def test_what_is_missing_is_named(tmp_path, remove, message):
    folder = make_generic(tmp_path)
    for file in folder.glob(remove):
        file.unlink()
    with pytest.raises(InputError, match=message):
        inspect(folder, pixel_size_um=0.5)


def test_generic_pixel_size_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="give pixel_size_um in the sample sheet"):
        inspect(make_generic(tmp_path))


def test_two_tables_are_ambiguous_unless_one_is_the_instruments(tmp_path):
    folder = make_generic(tmp_path)
    write_rows(folder / "spots.csv", "id,x_px,y_px,z,gene", (0.0, 0.0))
    with pytest.raises(InputError, match=r"2 transcript tables \(my_transcripts.csv, spots.csv\)"):
        inspect(folder, pixel_size_um=0.5)
    write_rows(folder / "detected_transcripts.csv", ",global_x,global_y,global_z,gene", (0.0, 0.0))
    found = inspect(folder, pixel_size_um=0.5)
    assert found.transcripts is not None
    assert found.transcripts.path.endswith("detected_transcripts.csv")


def test_a_file_or_nothing_in_place_of_a_folder(tmp_path):
    (tmp_path / "f").touch()
    for path in (tmp_path / "f", tmp_path / "absent"):
        with pytest.raises(InputError, match="a folder with stain images"):
            inspect(path)


@pytest.mark.data
def test_real_mouse_brain(shared_data):
    folder = shared_data / "spatial" / "vizgen_mousebrain_mini"
    with pytest.raises(InputError, match="give pixel_size_um"):  # its x, y name no unit
        inspect(folder)
    found = inspect(folder, pixel_size_um=0.1086)
    assert found.channels == ["dapi", "polyT"]
    assert found.pixel_size_um == pytest.approx(0.1086, rel=1e-3)
    assert found.transcripts is not None
    assert found.transcripts.n_rows == 80_343
    # The table's own pixel columns are the truth; the affine from its um columns must agree.
    table = shared_data / "spatial" / "vizgen_mousebrain_mini" / "transcripts.csv.gz"
    truth = np.loadtxt(table, delimiter=",", skiprows=1, usecols=(4, 5))
    px = [np.stack([b["x_px"], b["y_px"]], axis=1) for b in iter_transcripts(found.transcripts)]
    assert np.abs(np.concatenate(px) - truth).max() < 0.01


@pytest.mark.data
def test_real_mouse_liver(shared_data):
    folder = shared_data / "spatial" / "merscope_vpt_mouseliver"
    found = inspect(folder, channels=["DAPI", "Cellbound1", "Cellbound2"])
    assert found.shape_yx == (512, 512)
    assert [(Path(p.path).name, p.sample) for p in found.planes[0]] == [
        ("stain_z3.tif", 0),
        ("stain_z3.tif", 1),
        ("stain_z3.tif", 2),
    ]
    assert found.boundaries == str(folder / "cells_cellpose.parquet")
    assert found.pixel_size_um == pytest.approx(0.107996, rel=1e-5)
    # This table was cut without the transform's offset, as its notes say.
    assert any("44 %" in warning for warning in found.warnings)


def test_stains_are_told_from_label_images_by_whole_words(tmp_path):
    for name in ("DAPI.tif", "CellMask.tif", "cell_boundary.tif", "nuclei_labels.tif"):
        write_image(tmp_path / name)
    write_rows(tmp_path / "spots.csv", "id,x_px,y_px,z,gene", (0.0, 0.0), (59.0, 39.0))
    found = inspect(tmp_path, pixel_size_um=0.5)
    assert sorted(found.channels) == ["CellMask", "DAPI", "cell_boundary"]
    assert "Taken for label images, not for stains: nuclei_labels.tif." in found.warnings
    named = inspect(tmp_path, pixel_size_um=0.5, channels=["DAPI", "nuclei_labels"])
    assert named.channels == ["DAPI", "nuclei_labels"]


def test_z_in_micrometres_does_not_choose_transcripts_of_a_plane(tmp_path):
    for z in range(4):
        write_image(tmp_path / f"dapi_z{z}.tif")
    table = tmp_path / "spots.csv"
    one = {"pixel_size_um": 0.5, "z_policy": "one", "z_plane": 3}
    for step, is_plane in ((1, True), (1.5, False)):
        rows = "".join(f"{i % 60},{i % 40},{i % 4 * step},NANOG\n" for i in range(240))
        table.write_text(f"x_px,y_px,z,gene\n{rows}")
        if is_plane:
            source = inspect(tmp_path, **one).transcripts
            assert source is not None
            assert source.n_rows == 60
            continue
        with pytest.raises(InputError, match=r"0, 1\.5, 3, 4\.5 in the column z"):
            inspect(tmp_path, **one)
