"""Raw rounds as ``.dax`` and Zarr: read like the same images as TIFF, or refused in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from refusals import follow

import cellsam_core as cc
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.raw_images import header_of, list_raw_images, plane_of
from cellsam_core.errors import InputError
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack


def write_dax(path: Path, frames: np.ndarray, order: str = "little") -> None:
    n, height, width = frames.shape
    frames.astype(">u2" if order == "big" else "<u2").tofile(path)
    path.with_suffix(".inf").write_text(
        f"information file for\n{path}\nmachine name = x\nframe dimensions = {width} x {height}\n"
        f"number of frames = {n}\nbinning = 1 x 1\n"
        f" data type = 16 bit integers (binary, {order} endian)\n"
    )


def write_array(path: Path, frames: np.ndarray, version: int) -> None:
    array = zarr.create_array(
        str(path), shape=frames.shape, chunks=(1, 40, 40), dtype="uint16", zarr_format=version
    )
    array[:] = frames


def write_ome(path: Path, frames: np.ndarray, pixel_size_um: float = 0.5) -> None:
    group = zarr.create_group(str(path), zarr_format=3)
    array = group.create_array("0", shape=frames.shape, chunks=(1, 40, 40), dtype="uint16")
    array[:] = frames
    units = [{"name": "z", "type": "space"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "yx"
    ]
    scale = [{"type": "scale", "scale": [1.0, pixel_size_um, pixel_size_um]}]
    dataset = {"path": "0", "coordinateTransformations": scale}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": units, "datasets": [dataset]}]}


WRITERS = {
    "little.dax": write_dax,
    "big.dax": lambda path, frames: write_dax(path, frames, "big"),
    "v2.zarr": lambda path, frames: write_array(path, frames, 2),
    "v3.zarr": lambda path, frames: write_array(path, frames, 3),
    "ome.zarr": write_ome,
}


@pytest.mark.parametrize("name", WRITERS)
def test_pages_and_windows_are_those_of_the_array(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 65536, size=(3, 50, 70), dtype=np.uint16)
    path = tmp_path / name
    WRITERS[name](path, frames)
    assert [image.name for image in list_raw_images(tmp_path)] == [name]
    assert header_of(path) == ((50, 70), 0.5 if name == "ome.zarr" else None)
    for page in range(3):
        pixels = read_plane(plane_of(path, page))
        assert pixels.dtype == np.dtype("=u2")
        np.testing.assert_array_equal(pixels, frames[page])
    window = read_plane(plane_of(path, 2), (10, 45, 60, 70))
    np.testing.assert_array_equal(window, frames[2, 10:45, 60:70])
    with pytest.raises(InputError, match=r"(frame|plane) 3 of 3"):
        read_plane(plane_of(path, 3))


def test_a_dax_is_a_movie_of_frames(tmp_path):
    frames = np.arange(2 * 12 * 16, dtype=np.uint16).reshape(2, 12, 16)
    write_dax(tmp_path / "a.dax", frames)
    stack = read_stack(tmp_path / "a.dax")
    assert (len(stack.planes), stack.shape_yx, stack.dtype) == (2, (12, 16), "uint16")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    options = cc.TissueOptions(size_px=96, cells=3, transcripts=100)
    for kind in ("merfish", "seqfish"):
        cc.simulate_tissue(folder / kind, kind=kind, seed=2, options=options, raw_rounds=True)
    return folder


def as_format(raw: Path, folder: Path, suffix: str, write) -> Path:
    """Copy raw rounds with their images in another format."""
    shutil.copytree(raw, folder)
    for path in folder.rglob("*.tif"):
        if "truth" not in path.parts:
            write(path.with_suffix(suffix), tifffile.imread(path))
            path.unlink()
    for sheet in folder.glob("rounds.csv"):
        sheet.write_text(sheet.read_text().replace(".tif", suffix))
    return folder


@pytest.mark.parametrize(
    ("kind", "name"), [("merfish", "big.dax"), ("merfish", "v2.zarr"), ("seqfish", "ome.zarr")]
)
def test_rounds_give_the_same_planes_in_each_format(raw, tmp_path, kind, name):
    suffix = Path(name).suffix
    folder = as_format(raw / kind, tmp_path / "raw", suffix, WRITERS[name])
    one, other = open_raw(raw / kind), open_raw(folder)
    assert (one.shape_yx, one.pixel_size_um) == (other.shape_yx, other.pixel_size_um)
    assert [field.name for field in one.fields] == [field.name for field in other.fields]
    for ours, theirs in zip(one.fields, other.fields, strict=True):
        planes = [*ours.bits[0], *ours.fiducials.values(), *ours.stains.values()]
        others = [*theirs.bits[0], *theirs.fiducials.values(), *theirs.stains.values()]
        for plane, twin in zip(planes, others, strict=True):
            np.testing.assert_array_equal(one.read(plane), other.read(twin))


def test_dax_rounds_are_decoded_to_the_same_bytes(raw, tmp_path):
    folder = as_format(raw / "merfish", tmp_path / "raw", ".dax", write_dax)
    for path, name in ((raw / "merfish", "tif"), (folder, "dax")):
        cc.decode(path, tmp_path / name)
    for path in (tmp_path / "tif").iterdir():
        assert path.read_bytes() == (tmp_path / "dax" / path.name).read_bytes()


def test_what_a_dax_lacks_is_mended_as_told(tmp_path):
    frames = np.zeros((2, 8, 9), np.uint16)
    path = tmp_path / "a.dax"
    write_dax(path, frames)
    inf = path.with_suffix(".inf")
    text = inf.read_text()
    read = lambda: read_plane(Plane(str(path)))  # noqa: E731
    mend = lambda: inf.write_text(text)  # noqa: E731
    inf.unlink()
    follow(read, "into the folder of the .dax file", mend)
    for words in ("frame dimensions = 9 x 8\n", "number of frames = 2\n", "little endian"):
        inf.write_text(text.replace(words, ""))
        follow(read, "or add the lines", mend)
    path.write_bytes(path.read_bytes()[:-2])
    follow(read, "copy both files again", lambda: write_dax(path, frames))


def test_a_zarr_that_holds_no_planes_is_written_anew_as_told(tmp_path):
    path = tmp_path / "a.zarr"
    line = zarr.create_array(str(path), shape=(5,), chunks=(5,), dtype="uint16")
    line[:] = 1

    def anew():
        shutil.rmtree(path)
        write_array(tmp_path / "b.zarr", np.zeros((1, 40, 40), np.uint16), 3)

    follow(
        lambda: plane_of(path, 0),
        "write the images anew",
        anew,
        then=lambda: plane_of(tmp_path / "b.zarr", 0),
    )
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="can't be opened"):
        plane_of(tmp_path / "c.zarr", 0)
