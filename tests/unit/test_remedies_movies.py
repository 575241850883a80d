"""What a refusal of a movie's images or labels tells the user to do is done here, and works."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from refusals import follow

from cellsam_core.files import ngff
from cellsam_core.labels.by_name import label_files
from cellsam_core.labels.image import as_label_image, open_label_image
from cellsam_core.labels.movie import open_label_movie
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.positions import expand_row, read_plate_map
from cellsam_core.samples.stage import inspect

SHAPE = (30, 40)
Make = Callable[[Path], object]
NS = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def images(
    *names: str, shape: tuple[int, ...] = SHAPE, dtype: str = "uint16", **options: Any
) -> Make:
    """Write images, each of which has another value."""

    def make(folder: Path) -> None:
        for i, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full(shape, i + 1, dtype)
            if options.get("photometric") == "rgb":  # three colours, not a grey image
                pixels += np.arange(3, dtype=dtype)
            given = {"photometric": "minisblack", "metadata": None} | options
            tifffile.imwrite(folder / name, pixels, **given)

    return make


def text(name: str, content: str | bytes) -> Make:
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(content)


def remove(*names: str) -> Make:
    return lambda folder: [(folder / name).unlink() for name in names]


def move(*names: str) -> Make:
    """Move files to another folder, outside of the movie."""

    def make(folder: Path) -> None:
        other = folder.parent / "other"
        other.mkdir(exist_ok=True)
        for name in names:
            (folder / name).rename(other / name)

    return make


def rename(old: str, new: str) -> Make:
    return lambda folder: (folder / old).rename(folder / new)


def every(*makes: Make) -> Make:
    return lambda folder: [make(folder) for make in makes]


def fiji(name: str, axes: str, *shape: int) -> Make:
    return images(name, shape=(*shape, *SHAPE), imagej=True, metadata={"axes": axes})


def ome(name: str, pixels: str, *shape: int, body: str = "<TiffData/>") -> Make:
    """Write an OME-TIFF of one image with the given attributes."""
    sizes = f'SizeX="{SHAPE[1]}" SizeY="{SHAPE[0]}"'
    xml = (
        f'<?xml version="1.0"?><OME {NS}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYCZT" Type="uint16" {sizes} {pixels}>{body}</Pixels></Image></OME>'
    )
    return images(name, shape=(*shape, *SHAPE), description=xml)


def frames(*channels: str, n: int = 3, first: int = 0) -> Make:
    return images(*(f"{c}_t{t}.tif" for c in channels for t in range(first, first + n)))


def one_page(name: str, **options: Any) -> Make:
    return images(name, **options)


ONE_T = 'SizeC="1" SizeZ="1" SizeT="1"'
OBLONG = ome("a.ome.tif", f'{ONE_T} PhysicalSizeX="0.5" PhysicalSizeY="0.7"')
SQUARE = ome("a.ome.tif", f'{ONE_T} PhysicalSizeX="0.5" PhysicalSizeY="0.5"')
PALETTE = {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16), "dtype": "uint8"}
BINARY_ONLY = (
    f'<?xml version="1.0"?><OME {NS}>'
    '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/></OME>'
)
TWO_NAMES = '<Channel ID="Channel:0:0" Name="a"/><Channel ID="Channel:0:1" Name="a"/><TiffData/>'

# What is there, options, words of the remedy, what is done to the files, options then. The option
# `path` names a file or folder in the movie's.
CASES: dict[str, tuple[Make, dict[str, Any], str, Make | None, dict[str, Any]]] = {
    "no folder": (images("a.tif"), {"path": "b"}, "correct the path", None, {}),
    "no format": (
        frames("DAPI"),
        {"format": "tiff"},
        "correct the column `format`",
        None,
        {"format": "tiff_series"},
    ),
    "a file for a folder": (
        images("a.tif"),
        {"path": "a.tif", "format": "tiff_series"},
        "name the folder as `path`",
        None,
        {"format": "tiff_series"},
    ),
    "a file for a folder, auto": (
        images("a.tif"),
        {"path": "a.tif", "format": "ctc"},
        "set `format` to auto",
        None,
        {"path": "a.tif"},
    ),
    "microscope and image": (
        every(images("a.tif"), text("b.nd2", b"\xda\xce\xbe\x0a")),
        {},
        "name one of the two as `path`",
        None,
        {"path": "a.tif"},
    ),
    "images for a file": (
        frames("DAPI"),
        {"format": "tiff_stack"},
        "name the file as `path`",
        None,
        {"path": "DAPI_t0.tif", "format": "tiff_stack"},
    ),
    "no challenge": (
        frames("DAPI"),
        {"format": "ctc"},
        "set the column `format` to auto",
        None,
        {},
    ),
    "label without image": (
        every(images("t000.tif", "t001.tif"), images("man_track000.tif", "man_track002.tif")),
        {},
        "add the missing image",
        images("t002.tif"),
        {},
    ),
    "no images": (
        # Three levels where there are several folders, and one more.
        every(
            images("sub/a/b/c/e.tif"),
            images("sub/a/more/masks/e.tif"),
            images("sub/more/masks/e.tif"),
            images("more/masks/e.tif"),
        ),
        {},
        "correct the columns `path`",
        None,
        {"path": "sub/a/b"},
    ),
    "channels for a series": (
        frames("DAPI", "GFP"),
        {"format": "tiff_series"},
        "set the column `format` to channel_files",
        None,
        {"format": "channel_files"},
    ),
    "no OME": (
        images("a.tif"),
        {"path": "a.tif", "format": "ome_tiff"},
        "set the column `format` to auto",
        None,
        {"path": "a.tif"},
    ),
    "five channels, time": (
        fiji("a.tif", "CYX", 5),
        {},
        "set the column `format` to tiff_stack",
        None,
        {"format": "tiff_stack"},
    ),
    "five channels, names": (
        fiji("a.tif", "CYX", 5),
        {},
        "name them in the column `channels`",
        None,
        {"channels": [*"abcde"]},
    ),
    "a stack among images": (
        every(images("t0.tif", "t2.tif"), images("t1.tif", shape=(3, *SHAPE))),
        {},
        "name one of the stacks as `path`",
        None,
        {"path": "t1.tif"},
    ),
    "z in names": (
        images(*(f"a_t{t}_z{z}.tif" for t in range(2) for z in range(3))),
        {},
        "column `z_policy`",
        None,
        {"z_policy": "max"},
    ),
    "a z plane lacks": (
        images("a_t0_z0.tif", "a_t0_z1.tif", "a_t1_z0.tif"),
        {"z_policy": "max"},
        "add the missing image",
        images("a_t1_z1.tif"),
        {"z_policy": "max"},
    ),
    "frames in a z plane": (
        images("a_z0.tif", "a_z1.tif", shape=(3, *SHAPE)),
        {"z_policy": "max"},
        "name one of the files as `path`",
        None,
        {"path": "a_z0.tif"},
    ),
    "another size": (
        every(frames("DAPI"), images("DAPI_t3.tif", shape=(31, 40))),
        {},
        "move the images of another camera setting",
        move("DAPI_t3.tif"),
        {},
    ),
    "another size of a channel": (
        every(frames("DAPI"), images("GFP_t0.tif", "GFP_t1.tif", "GFP_t2.tif", shape=(31, 40))),
        {},
        "leave this channel out",
        None,
        {"channels": ["DAPI"]},
    ),
    "a lost frame, added": (
        images("t0.tif", "t1.tif", "t3.tif"),
        {},
        "add the missing image",
        images("t2.tif"),
        {},
    ),
    "a lost frame, renumbered": (
        images("t0.tif", "t1.tif", "t3.tif"),
        {},
        "renumber the images",
        rename("t3.tif", "t2.tif"),
        {},
    ),
    "channels in a channel": (
        images("DAPI_t0.tif", "GFP_t0.tif", shape=(*SHAPE, 3), photometric="rgb"),
        {},
        "split the channels into files",
        frames("DAPI", "GFP", n=1),
        {},
    ),
    "fewer frames in a stack": (
        every(images("DAPI.tif", shape=(4, *SHAPE)), images("GFP.tif", shape=(3, *SHAPE))),
        {},
        "leave the channel out",
        None,
        {"channels": ["DAPI"]},
    ),
    "fewer frames in a stack, again": (
        every(images("DAPI.tif", shape=(4, *SHAPE)), images("GFP.tif", shape=(3, *SHAPE))),
        {},
        "export all of its frames",
        images("GFP.tif", shape=(4, *SHAPE)),
        {},
    ),
    "a frame of a channel": (
        every(frames("DAPI", n=5), frames("GFP", n=3)),
        {},
        "add the missing image",
        frames("GFP", n=5),
        {},
    ),
    "a frame of a channel, left out": (
        every(frames("DAPI", n=5), frames("GFP", n=3)),
        {},
        "leave a channel out",
        None,
        {"channels": ["DAPI"]},
    ),
    "a plane of another policy": (
        fiji("a.tif", "ZYX", 3),
        {"z_policy": "max", "z_plane": 1},
        "leave one of the two columns empty",
        None,
        {"z_plane": 1},
    ),
    "no policy": (
        fiji("a.tif", "ZYX", 3),
        {"z_policy": "sum"},
        "correct the column `z_policy`",
        None,
        {"z_policy": "mean"},
    ),
    "no z planes": (
        images("t0.tif", "t1.tif"),
        {"z_plane": 1},
        "leave the column `z_plane` empty",
        None,
        {},
    ),
    "no such z plane": (
        fiji("a.tif", "ZYX", 3),
        {"z_plane": 3},
        "correct the column `z_plane`",
        None,
        {"z_plane": 2},
    ),
    "a z axis": (fiji("a.tif", "TZYX", 2, 3), {}, "column `z_policy`", None, {"z_policy": "focus"}),
    "z is time": (
        fiji("a.tif", "ZCYX", 4, 2),
        {},
        "set the column `format` to tiff_stack",
        None,
        {"format": "tiff_stack"},
    ),
    "names of channels": (
        ome("a.ome.tif", 'SizeC="2" SizeZ="1" SizeT="1"', 2, body=TWO_NAMES),
        {},
        "give the names in the column `channels`",
        None,
        {"channels": ["a", "b"]},
    ),
    "no such channel": (
        frames("DAPI", "GFP"),
        {"channels": ["DAPI", "RFP"]},
        "correct the column `channels`",
        None,
        {"channels": ["GFP"]},
    ),
    "a pattern that fits nothing": (
        images("t0.tif", "t1.tif"),
        {"pattern": "a{time}"},
        "for example to t{time}",
        None,
        {"pattern": "t{time}"},
    ),
    "a pattern": (
        images("t0.tif", "t1.tif"),
        {"pattern": "t{tiem}"},
        "correct the column `pattern`",
        None,
        {"pattern": "t{time}"},
    ),
    "twins": (
        images("a_1.tif", "a_01.tif", "a_2.tif"),
        {},
        "move one of them to another folder",
        move("a_01.tif"),
        {},
    ),
    "too many channels": (
        images(*(f"img_c{t:03d}.tif" for t in range(20))),
        {},
        r"with img_c{time}",
        None,
        {"pattern": "img_c{time}"},
    ),
    "several positions": (
        images("a_s1_t0.tif", "a_s2_t0.tif"),
        {},
        "name one in the column `position`",
        None,
        {"position": "s2"},
    ),
    "no such position": (
        images("a_s1_t0.tif", "a_s2_t0.tif"),
        {"position": "s3"},
        "correct the column `position`",
        None,
        {"position": "s1"},
    ),
    # Files
    "oblong pixels": (OBLONG, {}, "resample the images to square pixels", SQUARE, {}),
    "a palette": (
        images("a.tif", **PALETTE),
        {},
        "save the image as grey or RGB",
        images("a.tif"),
        {},
    ),
    "complex pixels": (
        images("a.tif", dtype="complex64"),
        {},
        "convert the image to 16 bit",
        images("a.tif"),
        {},
    ),
    "a damaged file": (
        text("a.tif", b"II*\0"),
        {},
        "copy the file again from the microscope",
        images("a.tif"),
        {},
    ),
    "pages by channels": (
        images("a.tif", shape=(5, *SHAPE)),
        {"format": "tiff_stack", "channels": ["a", "b"]},
        "as each frame has, or none",
        None,
        {"format": "tiff_stack"},
    ),
    "axes without names": (
        images("a.tif", shape=(3, 2, *SHAPE), metadata={}),
        {},
        "name the 2 channels in the column `channels`",
        None,
        {"channels": ["a", "b"]},
    ),
    "channels last": (
        images("a.tif", shape=(*SHAPE, 5), metadata={}),
        {"channels": ["a"]},
        "correct the column `channels`",
        None,
        {"channels": [*"abcde"]},
    ),
    "narrow pages": (
        images("a.tif", shape=(3, 40, 5), metadata={}),
        {},
        "axes named TCYX",
        fiji("a.tif", "TCYX", 3, 5),
        {"channels": [*"abcde"]},
    ),
    "a companion that is not there": (
        images("t0.ome.tif", "t1.ome.tif", description=BINARY_ONLY),
        {},
        "set the column `format` to channel_files or tiff_series",
        None,
        {"format": "tiff_series"},
    ),
    "a foreign file": (
        text("a.avi", b"RIFF"),
        {},
        "export it as OME-TIFF",
        every(remove("a.avi"), SQUARE),
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_remedy_works(tmp_path, case):
    make, options, words, mend, then = CASES[case]
    folder = tmp_path / "movie"
    folder.mkdir()
    make(folder)

    def look(given: dict[str, Any]) -> object:
        rest = {key: value for key, value in given.items() if key != "path"}
        return inspect_movie(folder / given.get("path", "."), sample="s", assay="movie", **rest)

    repair = None if mend is None else (lambda: mend(folder))
    follow(lambda: look(options), re.escape(words), repair, lambda: look(then))


def companion(n_frames: int) -> Make:
    files = "".join(
        f'<TiffData FirstT="{t}" FirstC="0" FirstZ="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="t{t}.ome.tif">urn:uuid:2</UUID></TiffData>'
        for t in range(n_frames)
    )
    pixels = f'Type="uint16" SizeX="40" SizeY="30" SizeC="1" SizeZ="1" SizeT="{n_frames}"'
    return text(
        "a.companion.ome",
        f'<OME {NS}><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" {pixels}>'
        f"{files}</Pixels></Image></OME>",
    )


def test_a_companion_is_copied_beside_its_images_as_told(tmp_path):
    images("t0.ome.tif", description=BINARY_ONLY)(tmp_path)
    look = lambda: inspect_movie(tmp_path, sample="s", assay="movie")  # noqa: E731
    found = follow(look, "copy it there", lambda: companion(1)(tmp_path))
    assert found.n_frames == 1
    companion(2)(tmp_path)
    second = images("t1.ome.tif", description=BINARY_ONLY)
    found = follow(look, "copy the missing file", lambda: second(tmp_path))
    assert found.n_frames == 2


# Options of `inspect`


@pytest.mark.parametrize(
    ("assay", "wrong", "words", "right"),
    [
        (
            "movie",
            {"pixel_size_um": float("nan")},
            "correct the column `pixel_size_um`|correct it",
            {"pixel_size_um": 0.5},
        ),
        ("movie", {"channels": "a,,b"}, "correct the names", {"channels": "a"}),
        ("movie", {"fov": "1"}, "the column `position` chooses one", {}),
        ("movie", {"min_qv": 20.0}, "leave the columns empty", {}),
    ],
)
def test_options_are_corrected_as_told(tmp_path, assay, wrong, words, right):
    images("t0.tif", "t1.tif")(tmp_path)

    def look(options: dict[str, Any]) -> object:
        return inspect(tmp_path, assay=assay, options=InspectOptions(**options))

    follow(lambda: look(wrong), words, then=lambda: look(right))


# Plate maps


PLATES = {
    "columns": ("place,drug\nB02,a\n", "name the columns so", "well,condition\nB02,a\n"),
    "a well twice": (
        "well,condition\nB2,a\nB02,b\n",
        "correct the well",
        "well,condition\nB2,a\nB03,b\n",
    ),
    "no well": ("well,condition\nQ1,a\n", "correct the well", "well,condition\nP1,a\n"),
}


@pytest.mark.parametrize("case", PLATES)
def test_plate_maps_are_corrected_as_told(tmp_path, case):
    wrong, words, right = PLATES[case]
    path = tmp_path / "plate.csv"
    path.write_text(wrong)
    follow(lambda: read_plate_map(path), words, lambda: path.write_text(right))


def test_conditions_of_a_plate_are_completed_as_told(tmp_path):
    images("m/x_B02_t0.tif", "m/x_C03_t0.tif")(tmp_path)
    row = {"sample": "s", "path": "m", "plate_map": "plate.csv"}
    plate = tmp_path / "plate.csv"
    plate.write_text("well,condition\nB02,a\n")
    rows = follow(
        lambda: expand_row(row, tmp_path),
        "add the well",
        lambda: plate.write_text("well,condition\nB02,a\nC03,\n"),
    )
    assert [r.get("condition") for r in rows] == ["a", None]
    own = row | {"condition": "b"}
    follow(
        lambda: expand_row(own, tmp_path),
        "empty the cell `condition`",
        then=lambda: expand_row(row, tmp_path),
    )
    left = {k: v for k, v in own.items() if k != "plate_map"}
    follow(
        lambda: expand_row(own, tmp_path),
        "leave out the plate map",
        then=lambda: expand_row(left, tmp_path),
    )
    follow(
        lambda: expand_row(row | {"position": "D04"}, tmp_path),
        "correct the column `position`",
        then=lambda: expand_row(row | {"position": "C03"}, tmp_path),
    )


# Labels


def cells(dtype: str = "uint16") -> np.ndarray:
    labels = np.zeros(SHAPE, dtype)
    labels[3:9, 3:9], labels[15:22, 20:29], labels[15:22, 3:9] = 1, 2, 3
    return labels


def label_tiff(name: str, array: np.ndarray) -> Make:
    return lambda folder: tifffile.imwrite(
        folder / name, array, photometric="minisblack", metadata=None
    )


MASK = (cells() > 0).astype(np.uint8) * 255
LABELS: dict[str, tuple[Make, str, str, Make | None, str]] = {
    "a mask": (
        label_tiff("a.tif", MASK),
        "a.tif",
        "number the cells of the mask, for example with skimage",
        label_tiff("a.tif", cells()),
        "a.tif",
    ),
    "background is 1": (
        label_tiff("a.tif", cells() + 1),
        "a.tif",
        "set the pixels of number 1 to 0",
        label_tiff("a.tif", np.where(cells() == 0, 0, cells() + 1)),
        "a.tif",
    ),
    "one bit": (
        label_tiff("a.tif", MASK > 0),
        "a.tif",
        "number the cells, with skimage.measure.label",
        label_tiff("a.tif", cells()),
        "a.tif",
    ),
    "scaled": (
        label_tiff("a.tif", cells() / np.float32(255)),
        "a.tif",
        "without scaling",
        label_tiff("a.tif", cells()),
        "a.tif",
    ),
    "two movies": (
        every(*(label_tiff(f"a_s{s}_t{t}.tif", cells()) for s in (1, 2) for t in (0, 1))),
        ".",
        "put them into a folder of their own",
        move("a_s2_t0.tif", "a_s2_t1.tif"),
        ".",
    ),
    "a gap": (
        every(*(label_tiff(f"t{t}.tif", cells()) for t in (0, 1, 3))),
        ".",
        "add the missing label image",
        label_tiff("t2.tif", cells()),
        ".",
    ),
    "a gap, renumbered": (
        every(*(label_tiff(f"t{t}.tif", cells()) for t in (0, 1, 3))),
        ".",
        "renumber the images",
        rename("t3.tif", "t2.tif"),
        ".",
    ),
    "negative": (
        label_tiff("a.tif", cells("int16") - 1),
        "a.tif",
        "label TIFFs",
        label_tiff("a.tif", cells()),
        "a.tif",
    ),
    "no labels": (
        text("notes.txt", ""),
        ".",
        "give a folder of label TIFFs",
        label_tiff("a.tif", cells()),
        ".",
    ),
    "a broken array": (
        text("a.npy", b"x"),
        "a.npy",
        "save it again, as .npy or as TIFF",
        lambda f: np.save(f / "a.npy", cells()),
        "a.npy",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_mended_as_told(tmp_path, case):
    make, path, words, mend, then = LABELS[case]
    folder = tmp_path / "labels"
    folder.mkdir()
    make(folder)

    def look(name: str) -> int:
        return int(open_labels(folder / name).frame(0).max())

    repair = None if mend is None else (lambda: mend(folder))
    assert follow(lambda: look(path), re.escape(words), repair, lambda: look(then)) >= 3


def test_label_images_of_tissues_are_given_as_told(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([cells(), cells()]), photometric="minisblack", metadata=None)
    one = lambda: label_tiff("a.tif", cells())(tmp_path)  # noqa: E731
    follow(lambda: open_label_image(path), "give a single label image", one)
    tall = lambda: as_label_image(np.stack([cells(), cells()]), "labels")  # noqa: E731
    follow(tall, "give one plane of labels", then=lambda: as_label_image(cells(), "labels"))
    renumbered = cells()
    huge = np.where(cells() > 0, cells().astype(np.uint64) + 2**33, 0)
    follow(
        lambda: as_label_image(huge, "labels"),
        "renumber the labels",
        then=lambda: as_label_image(renumbered, "labels"),
    )
    follow(
        lambda: open_label_movie(cells()),
        "one label image per frame",
        then=lambda: open_label_movie(cells()[None]),
    )


def test_folders_of_labels_by_name_are_mended_as_told(tmp_path):
    folder = tmp_path / "truth"
    follow(lambda: label_files(folder), "correct the path", folder.mkdir, folder.exists)
    follow(
        lambda: label_files(folder),
        "save them as TIFF",
        lambda: label_tiff("a.tif", cells())(folder),
    )
    (folder / "a.png").write_bytes(b"")
    assert list(
        follow(lambda: label_files(folder), "move one of the two", lambda: move("a.png")(folder))
    ) == ["a"]


# Zarr


def write_zarr(path: Path, **changes: Any) -> None:
    shutil.rmtree(path, ignore_errors=True)
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=np.ones(SHAPE, changes.pop("dtype", "uint16")), chunks=SHAPE)
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    scale = [{"type": "scale", "scale": changes.pop("scale", [0.5, 0.5])}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}


def test_ome_zarr_is_mended_as_told(tmp_path):
    path = tmp_path / "a.zarr"
    look = lambda: inspect_movie(path, sample="s", assay="movie")  # noqa: E731
    again = lambda: write_zarr(path)  # noqa: E731
    write_zarr(path, dtype="complex64")
    follow(look, "convert the image to 16 bit", again)
    write_zarr(path, scale=[0.5, 0.7])
    follow(look, "resample the images to square pixels", again)
    other = tmp_path / "b.zarr"
    (other / "sub").mkdir(parents=True)
    (other / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group"}))
    shutil.copytree(path, other / "image")
    follow(
        lambda: inspect_movie(other, sample="s", assay="movie"),
        "name the folder that has its .zattrs or zarr.json",
        then=lambda: inspect_movie(other / "image", sample="s", assay="movie"),
    )
    image = ngff.open_image(path, ngff.list_images(path)[0])
    chunk = next(p for p in path.rglob("c/*/*"))
    chunk.write_bytes(b"broken")
    follow(lambda: image.read(image.page(0, 0, 0)), "make the folder again", again)
