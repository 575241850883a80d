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
    omezarr.create(tmp_path / "m.zarr", shape=(40, 50), axes="yx", dtype="uint32")
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
