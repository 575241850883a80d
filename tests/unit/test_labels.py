from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels.source import open_labels, write_label_tiff


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 90000, (4, 20, 30)).astype(np.uint32)


def check(source, labels):
    assert source.n_frames == len(labels)
    assert source.shape_yx == labels.shape[1:]
    for i, expected in enumerate(labels):
        np.testing.assert_array_equal(source.frame(i), expected)


def test_folder_of_label_tiffs(tmp_path, labels):
    for i, frame in enumerate(labels):
        write_label_tiff(tmp_path / f"cells {9 + i}.tif", frame)
    check(open_labels(tmp_path), labels)


def test_the_palette_of_label_images_is_for_display(tmp_path):
    """ImageJ saves labels of 8 bit with colours that change from cell to cell."""
    frame = np.kron(np.arange(24).reshape(4, 6), np.ones((5, 5))).astype(np.uint8)
    colormap = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "l.tif", frame, photometric="palette", colormap=colormap)
    check(open_labels(tmp_path / "l.tif"), frame[None])
    check(open_labels(tmp_path), frame[None])


@pytest.mark.parametrize("n_cells", [3, 23], ids=["2 bits", "8 bits"])
def test_the_palette_of_a_png_is_for_display(tmp_path, n_cells):
    """Programs for annotation save PNGs of numbers with colours, as the VOC data set has them."""
    frame = np.kron(np.arange(n_cells + 1), np.ones((5, 5))).astype(np.uint8)
    picture = Image.fromarray(frame, "P")
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 3 * (n_cells + 1)).tolist())
    picture.save(tmp_path / "l.png", bits=2 if n_cells == 3 else 8)
    check(open_labels(tmp_path / "l.png"), frame[None])
    check(open_labels(tmp_path), frame[None])


def test_labels_beside_raw_images(tmp_path, labels):
    for i, frame in enumerate(labels):
        tifffile.imwrite(tmp_path / f"t{i:03d}.tif", np.zeros((20, 30), np.float32))
        write_label_tiff(tmp_path / f"man_track{i:03d}.tif", frame)
    check(open_labels(tmp_path), labels)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "options",
    [{}, {"metadata": None}, {"imagej": True}, {"metadata": {"axes": "TYX"}}, {"ome": True}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_multi_page_tiff(tmp_path, labels, n, options):
    stack = labels[:n].astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, **options)
    check(open_labels(tmp_path / "a.tif"), stack)


def test_masks_zarr(tmp_path, labels):
    store = omezarr.create(tmp_path / "masks.zarr", shape=labels.shape, axes="tyx", dtype="uint32")
    store.array[:] = labels
    check(open_labels(tmp_path / "masks.zarr"), labels)


def test_single_frame_zarr(tmp_path, labels):
    store = omezarr.create(tmp_path / "m.zarr", shape=(20, 30), axes="yx", dtype="uint32")
    store.array[:] = labels[0]
    check(open_labels(tmp_path / "m.zarr"), labels[:1])


def test_label_tiff_is_compressed_uint32_and_the_same_twice(tmp_path, labels):
    for name in ("a.tif", "b.tif"):
        write_label_tiff(tmp_path / name, labels[0].astype(np.int64))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert tif.pages[0].dtype == np.uint32
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_what_is_no_label_image(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        open_labels(tmp_path / "missing")
    with pytest.raises(InputError, match="no images"):
        open_labels(tmp_path)
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 30), 0.5, np.float32))
    with pytest.raises(
        InputError, match=r"a\.tif: found numbers that are not whole between 0 and 1"
    ):
        open_labels(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 30), -1, np.int16))
    with pytest.raises(InputError, match="negative labels in frame 0"):
        open_labels(tmp_path).frame(0)
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((20, 31), np.int16))
    with pytest.raises(InputError, match=r"b\.tif: found 20 x 31 px after 20 x 30 px"):
        open_labels(tmp_path)
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="3 channels"):
        open_labels(tmp_path / "c.tif")


@pytest.mark.data
def test_real_labels(shared_data):
    source = open_labels(shared_data / "movies/Fluo-N2DL-HeLa_02_first20/SEG_pred")
    assert source.n_frames == 20
    assert 124 <= len(np.unique(source.frame(0))) - 1 <= 195
    assert open_labels(shared_data / "movies/ctc_evaluation_software_test/03_RES").n_frames == 7


def test_a_lost_frame_is_told_where_a_word_follows_the_number(tmp_path, labels):
    for t in (4, 6, 7):
        tifffile.imwrite(tmp_path / f"img_t{t:03d}_cp_masks.tif", labels[0].astype(np.uint16))
    tifffile.imwrite(tmp_path / "img_t005_cp_masks.tif", labels[0].astype(np.uint16))
    assert open_labels(tmp_path).n_frames == 4
    (tmp_path / "img_t005_cp_masks.tif").unlink()
    with pytest.raises(InputError, match="no frame 5 after frame 4"):
        open_labels(tmp_path)


def test_a_tiff_says_its_pixel_size_and_interval(tmp_path, labels):
    path = tmp_path / "labels.tif"
    said = {"axes": "TYX", "unit": "um", "finterval": 30.0}
    stack = labels.astype(np.uint16)
    tifffile.imwrite(path, stack, imagej=True, resolution=(2, 2), metadata=said)
    source = open_labels(path)
    assert (source.pixel_size_um, source.frame_interval_s) == (0.5, 30.0)
