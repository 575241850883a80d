from __future__ import annotations

import numpy as np
import pytest
import zarr

from cellsam_core.errors import InputError
from cellsam_core.io import omezarr


def test_movie_round_trip(tmp_path):
    path = tmp_path / "frames.zarr"
    data = np.random.default_rng(0).integers(0, 60000, (3, 2, 40, 50), dtype=np.uint16)
    store = omezarr.create(
        path,
        shape=data.shape,
        axes="tcyx",
        dtype="uint16",
        channels=("nuclear", "cell"),
        pixel_size_um=0.65,
        frame_interval_s=300.0,
    )
    store.array[:] = data
    opened = omezarr.open_(path)
    assert (opened.axes, opened.channels) == ("tcyx", ("nuclear", "cell"))
    assert (opened.pixel_size_um, opened.frame_interval_s) == (0.65, 300.0)
    assert (opened.n_frames, opened.shape_yx) == (3, (40, 50))
    np.testing.assert_array_equal(opened.frame(2), data[2])
    attributes = dict(zarr.open_group(path, mode="r").attrs)["ome"]
    assert attributes["version"] == "0.5"
    assert attributes["multiscales"][0]["axes"][0] == {
        "name": "t",
        "type": "time",
        "unit": "second",
    }


def test_labels_without_scale(tmp_path):
    store = omezarr.create(tmp_path / "m.zarr", shape=(40, 50), axes="yx", dtype="uint32")
    store.array[:] = 0
    opened = omezarr.open_(tmp_path / "m.zarr")
    assert (opened.n_frames, opened.channels) == (1, ())
    assert opened.pixel_size_um is None
    assert opened.frame_interval_s is None
    assert opened.frame(0).shape == (40, 50)
    assert "image-label" in dict(zarr.open_group(tmp_path / "m.zarr", mode="r").attrs)["ome"]


def test_what_is_no_image(tmp_path):
    for path in (tmp_path / "missing.zarr", tmp_path):
        with pytest.raises(InputError, match="no OME-Zarr image"):
            omezarr.open_(path)
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    with pytest.raises(InputError, match="no OME-Zarr image"):
        omezarr.open_(tmp_path / "other.zarr")


def write_labels(path):
    store = omezarr.create(path, shape=(3, 40, 50), axes="tyx", dtype="uint32")
    store.array[:] = np.arange(3)[:, None, None]  # the first frame is empty, yet written
    return path


def test_no_chunk_goes_missing_in_silence(tmp_path):
    path = write_labels(tmp_path / "m.zarr")
    assert omezarr.open_(path).frame(0).max() == 0
    (path / "0/c/0/0/0").unlink()
    with pytest.raises(InputError, match="2 of its 3 chunks"):
        omezarr.open_(path)


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_changed_bit_of_a_chunk_is_found(tmp_path, at):
    chunk = write_labels(tmp_path / "m.zarr") / "0/c/2/0/0"
    content = bytearray(chunk.read_bytes())
    content[at] ^= 4
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="a damaged chunk"):
        omezarr.open_(tmp_path / "m.zarr").frame(2)


def test_a_changed_array_is_found(tmp_path):
    metadata = write_labels(tmp_path / "m.zarr") / "0/zarr.json"
    metadata.write_text(metadata.read_text().replace('"little"', '"big"'))
    with pytest.raises(InputError, match="metadata were changed"):
        omezarr.open_(tmp_path / "m.zarr")


def test_images_of_others_may_leave_out_empty_chunks(tmp_path):
    path = write_labels(tmp_path / "m.zarr")
    group = zarr.open_group(path)
    del group.attrs[omezarr.OWN_KEY]
    (path / "0/c/0/0/0").unlink()
    assert omezarr.open_(path).frame(0).max() == 0
