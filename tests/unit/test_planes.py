from __future__ import annotations

import numpy as np
import pytest
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import read_plane
from cellsam_core.samples.frames import channel_index, read_frame
from cellsam_core.samples.manifest import Manifest

WINDOW = (5, 50, 10, 77)


@pytest.fixture
def pages(rng):
    return rng.integers(0, 60000, (3, 100, 90), dtype=np.uint16)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "lzw", "tile": (32, 32)},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib", "tile": (16, 16)},
        {"bigtiff": True},
        {"imagej": True},
        {"imagej": True, "truncate": True},
    ],
    ids=str,
)
def test_pages_and_windows_come_back_in_native_byte_order(tmp_path, pages, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages, photometric="minisblack", **options)
    for page in range(3):
        plane = Plane(str(path), page)
        pixels = read_plane(plane)
        assert pixels.dtype == np.uint16
        assert pixels.dtype.isnative
        np.testing.assert_array_equal(pixels, pages[page])
        y0, y1, x0, x1 = WINDOW
        np.testing.assert_array_equal(read_plane(plane, WINDOW), pages[page, y0:y1, x0:x1])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_samples_of_colour_pages(tmp_path, pages, planar, compression):
    path = tmp_path / "rgb.tif"
    image = np.moveaxis(pages, 0, -1) if planar == "contig" else pages
    tifffile.imwrite(
        path, image, photometric="rgb", planarconfig=planar, compression=compression, rowsperstrip=9
    )
    for sample in range(3):
        plane = Plane(str(path), 0, sample)
        np.testing.assert_array_equal(read_plane(plane), pages[sample])
        np.testing.assert_array_equal(read_plane(plane, WINDOW), pages[sample, 5:50, 10:77])


def test_png_grey_and_colour_without_opacity(tmp_path, rng):
    imagecodecs = pytest.importorskip("imagecodecs")
    grey = rng.integers(0, 255, (20, 30), dtype=np.uint8)
    rgba = rng.integers(0, 255, (20, 30, 4), dtype=np.uint8)
    (tmp_path / "grey.png").write_bytes(imagecodecs.png_encode(grey))
    (tmp_path / "rgba.PNG").write_bytes(imagecodecs.png_encode(rgba))
    np.testing.assert_array_equal(read_plane(Plane(str(tmp_path / "grey.png"))), grey)
    for sample in range(3):
        plane = Plane(str(tmp_path / "rgba.PNG"), 0, sample)
        np.testing.assert_array_equal(read_plane(plane), rgba[..., sample])


def test_file_that_changes_is_opened_again(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 9), np.uint8))
    assert read_plane(Plane(str(path))).max() == 0
    tifffile.imwrite(path, np.full((18, 19), 7, np.uint8))
    assert read_plane(Plane(str(path))).shape == (18, 19)


def test_more_files_than_stay_open(tmp_path):
    for i in range(20):
        tifffile.imwrite(tmp_path / f"{i}.tif", np.full((4, 5), i, np.uint8))
    for i in [*range(20), *range(20)]:
        assert read_plane(Plane(str(tmp_path / f"{i}.tif"))).max() == i


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_file_is_named(tmp_path, pages, compression):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, pages[0], compression=compression)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"cut\.tif.*truncated"):
        read_plane(Plane(str(path)))


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_unreadable_and_missing_files_are_named(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=name):
        read_plane(Plane(str(path)))
    path.write_bytes(b"no image at all")
    with pytest.raises(InputError, match=f"{name}.*unreadable"):
        read_plane(Plane(str(path)))


def test_damaged_compressed_data(tmp_path, pages):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages[0], compression="zlib")
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif"):
        read_plane(Plane(str(path)))


def test_page_that_is_not_there(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), metadata=None)
    with pytest.raises(InputError, match="page 3"):
        read_plane(Plane(str(tmp_path / "a.tif"), 3))


def test_read_frame_selects_channels_by_name(tmp_path, pages):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages, photometric="minisblack")
    manifest = Manifest(
        sample="s",
        assay="movie",
        format="tiff_stack",
        channels=["a", "b", "c"],
        n_frames=1,
        shape_yx=(100, 90),
        dtype="uint16",
        pixel_size_um=None,
        frame_interval_s=None,
        planes=[[Plane(str(path), i) for i in range(3)]],
    )
    np.testing.assert_array_equal(read_frame(manifest, 0), pages)
    np.testing.assert_array_equal(read_frame(manifest, 0, ["c", "a"]), pages[[2, 0]])
    np.testing.assert_array_equal(read_frame(manifest, 0, ["b"], WINDOW), pages[1:2, 5:50, 10:77])
    with pytest.raises(InputError, match=r"'d'.*one of a, b, c"):
        channel_index(manifest, "d")


def test_an_lzw_strip_that_begins_with_an_unknown_code_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    plane = np.random.default_rng(0).integers(0, 60, (48, 48)).astype(np.uint16)
    tifffile.imwrite(path, plane, compression="lzw", rowsperstrip=16)
    np.testing.assert_array_equal(read_plane(Plane(str(path), 0)), plane)
    with tifffile.TiffFile(path) as tif:
        last = tif.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[last + 1] |= 0x40  # the first pixel's code is now behind the table's end
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged LZW data in page 0"):
        read_plane(Plane(str(path), 0))
