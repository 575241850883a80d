from __future__ import annotations

import numpy as np
import pytest
import zarr

from cellsam_core.errors import InputError
from cellsam_core.files import ome_xml, omezarr
from cellsam_core.files.multiscale import MICRONS, SECONDS
from cellsam_core.files.omezarr_arrays import OWN_KEY
from cellsam_core.labels.source import open_labels


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
    del group.attrs[OWN_KEY]
    (path / "0/c/0/0/0").unlink()
    assert omezarr.open_(path).frame(0).max() == 0


def write_foreign(path, scales, units=(None, None, None), version="0.5"):
    """Labels ``(t, y, x)`` as another program writes them; `scales` of the array and the image."""
    kinds = {"t": "time", "y": "space", "x": "space"}
    axes = [
        {"name": name, "type": kinds[name]} | ({} if unit is None else {"unit": unit})
        for name, unit in zip("tyx", units, strict=True)
    ]
    shift = {"type": "translation", "translation": [0, 7.0, 7.0]}
    steps = [{"type": "scale", "scale": list(scale)} for scale in scales]
    image = {
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": [steps[0], shift]}],
        "coordinateTransformations": steps[1:],
    }
    ome = {"multiscales": [image | {"version": version}]}
    zarr_format = 2 if version == "0.4" else 3
    attributes = ome if zarr_format == 2 else {"ome": ome | {"version": version}}
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format, attributes=attributes)
    array = group.create_array("0", shape=(2, 16, 12), dtype="uint16", chunks=(1, 16, 12))
    array[:] = np.arange(2)[:, None, None]
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("name", ["m.zarr", "masks"])
def test_images_of_others_have_the_size_that_their_units_say(tmp_path, version, name):
    scales, units = [(5, 650, 650)], ("minute", "nanometer", "nanometer")
    labels = open_labels(write_foreign(tmp_path / name, scales, units, version))
    assert labels.pixel_size_um == pytest.approx(0.65)
    assert labels.frame_interval_s == pytest.approx(300)
    assert [labels.frame(i).max() for i in range(2)] == [0, 1]
    assert omezarr.open_(tmp_path / name).version.isdigit()


@pytest.mark.parametrize(
    ("units", "pixel_size_um", "frame_interval_s"),
    [
        (("second", "micrometer", "micrometer"), 2, 3),
        (("millisecond", "millimeter", "millimeter"), 2000, 0.003),
        (("hour", "meter", "meter"), 2e6, 3 * 3600),
        (("day", "angstrom", "angstrom"), 2e-4, 3 * 86400),
        (("microsecond", "picometer", "picometer"), 2e-6, 3e-6),
        (("second", "inch", "inch"), 50_800, 3),
        ((None, None, None), None, None),
        (("second", "pixel", "pixel"), None, 3),
        (("frame", "micrometer", "micrometer"), 2, None),
    ],
)
def test_units_are_read_by_their_names(tmp_path, units, pixel_size_um, frame_interval_s):
    found = omezarr.open_(write_foreign(tmp_path / "m.zarr", [(3, 2, 2)], units))
    wanted = (pixel_size_um, frame_interval_s)
    assert (found.pixel_size_um, found.frame_interval_s) == pytest.approx(wanted)


def test_every_unit_of_the_standard_is_known():
    words = [name for name in {**MICRONS, **SECONDS} if name not in ome_xml.MICRONS]
    words = [name for name in words if name not in ome_xml.SECONDS]
    assert len(words) == 26 + 23 - len({"micrometer", "hour"})
    assert MICRONS["micrometer"] == MICRONS["µm"] == SECONDS["second"] == SECONDS["s"] == 1


def test_the_scale_of_the_whole_image_counts_too(tmp_path):
    units = ("second", "micrometer", "micrometer")
    path = write_foreign(tmp_path / "m.zarr", [(1, 2, 2), (60, 0.25, 0.25)], units)
    found = omezarr.open_(path)
    assert (found.pixel_size_um, found.frame_interval_s) == (0.5, 60)


@pytest.mark.parametrize(
    ("scale", "units", "found"),
    [
        ((1, 2, 1), ("micrometer", "micrometer"), "2 x 1 um"),
        ((1, 1, 1), ("micrometer", "nanometer"), "1 x 0.001 um"),
        ((1, 2, 1), (None, None), "2 x 1 units"),
    ],
)
def test_pixels_that_are_not_square_are_refused(tmp_path, scale, units, found):
    path = write_foreign(tmp_path / "m.zarr", [scale], ("second", *units))
    with pytest.raises(InputError, match=f"found pixels of {found}, expected square pixels"):
        open_labels(path)


def test_equal_lengths_in_two_units_are_square(tmp_path):
    units = ("second", "micrometer", "nanometer")
    path = write_foreign(tmp_path / "m.zarr", [(1, 0.5, 500)], units)
    assert omezarr.open_(path).pixel_size_um == pytest.approx(0.5)


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_scale_that_is_no_length_is_not_known(tmp_path, size):
    units = ("second", "micrometer", "micrometer")
    found = omezarr.open_(write_foreign(tmp_path / "m.zarr", [(size, size, size)], units))
    assert found.pixel_size_um is found.frame_interval_s is None
