"""Levels of lower resolution of images and label images, in both versions of OME-Zarr."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from cellsam_core.config.sheet import load_config
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr, omezarr_arrays, pyramid
from cellsam_core.labels.source import open_labels

VERSIONS = ["0.5", "0.4"]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(pyramid, "CHUNK_PX", 16)
    monkeypatch.setattr(omezarr_arrays, "CHUNK_PX", 16)
    monkeypatch.setattr(pyramid, "BLOCK_ROWS", 6)


def write(path, data, axes, *, band=7, version="0.5"):
    """Write an image by bands of some rows."""
    store = omezarr.create(
        path,
        shape=data.shape,
        axes=axes,
        dtype=str(data.dtype),
        channels=("nuclear", "cell")[: data.shape[-3]] if "c" in axes else (),
        pixel_size_um=0.5,
        frame_interval_s=60.0 if "t" in axes else None,
        version=version,
    )
    with pyramid.PyramidWriter(store) as writer:
        for plane in np.ndindex(data.shape[:-2]):
            for y0 in range(0, data.shape[-2], band):
                writer.write(plane, y0, data[plane][y0 : y0 + band])
    return path


def some_image(shape=(1, 2, 43, 29)):
    return np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)


def some_labels(shape=(2, 43, 29)):
    labels = np.random.default_rng(1).integers(0, 9, shape, dtype=np.uint32)
    return np.repeat(np.repeat(labels, 5, axis=-1), 3, axis=-2)[..., : shape[-2], : shape[-1]]


def halved(plane, choose):
    """Halve a plane pixel by pixel, the slow and simple way."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    out = np.zeros((plane.shape[0] // 2, plane.shape[1] // 2), plane.dtype)
    for y, x in np.ndindex(out.shape):
        out[y, x] = choose(plane[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist())
    return out


def mean(pixels):
    return (sum(pixels) + 2) // 4


def mode(pixels):
    return max(pixels, key=pixels.count)  # of equals, the first


@pytest.mark.parametrize(("band", "version"), [(1, "0.5"), (7, "0.4"), (75, "0.5")])
def test_each_level_is_the_level_before_at_half_the_size(tmp_path, version, band):
    for name, data, axes, choose in (
        ("f.zarr", some_image(), "tcyx", mean),
        ("m.zarr", some_labels(), "tyx", mode),
    ):
        opened = omezarr.open_(write(tmp_path / name, data, axes, band=band, version=version))
        assert opened.level_paths == ("0", "1", "2")
        np.testing.assert_array_equal(opened.array[:], data)
        for k in range(1, 3):
            before, level = opened.level(k - 1)[:], opened.level(k)[:]
            for plane in np.ndindex(data.shape[:-2]):
                np.testing.assert_array_equal(level[plane], halved(before[plane], choose))
        assert max(opened.level(2).shape[-2:]) <= 16 < max(opened.level(1).shape[-2:])


def test_levels_lie_where_the_image_lies(tmp_path):
    path = write(tmp_path / "f.zarr", some_image((1, 64, 64)), "cyx")
    datasets = zarr.open_group(path, mode="r").attrs["ome"]["multiscales"][0]["datasets"]
    assert [d["coordinateTransformations"][0]["scale"] for d in datasets] == [
        [1, 0.5, 0.5],
        [1, 1, 1],
        [1, 2, 2],
    ]
    shifts = [d["coordinateTransformations"][1]["translation"] for d in datasets[1:]]
    assert shifts == [[0, 0.25, 0.25], [0, 0.75, 0.75]]
    assert omezarr.open_(path).pixel_size_um == 0.5


def test_a_small_image_has_one_level(tmp_path):
    opened = omezarr.open_(write(tmp_path / "m.zarr", some_labels((16, 9)), "yx"))
    assert opened.level_paths == ("0",)
    assert sorted(p.name for p in (tmp_path / "m.zarr").iterdir()) == ["0", "zarr.json"]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    stores = [write(tmp_path / n, some_labels(), "tyx", band=b) for n, b in (("a", 3), ("b", 16))]
    a, b = (
        {p.relative_to(store): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}
        for store in stores
    )
    assert a == b


@pytest.mark.parametrize("version", VERSIONS)
def test_damage_of_a_level_is_found_when_it_is_read(tmp_path, version):
    path = write(tmp_path / "m.zarr", some_labels(), "tyx", version=version)
    (path / "2/0/0/0" if version == "0.4" else path / "2/c/0/0/0").unlink()
    opened = omezarr.open_(path)  # the stages read the full resolution only
    assert opened.level(1).shape == (2, 22, 15)
    with pytest.raises(InputError, match=r"level 2 damaged \(1 of its 2 chunks\)"):
        opened.level(2)


def test_an_image_that_was_not_finished_names_no_levels(tmp_path):
    store = omezarr.create(tmp_path / "m.zarr", shape=(40, 40), axes="yx", dtype="uint32")
    with pytest.raises(KeyboardInterrupt), pyramid.PyramidWriter(store):
        raise KeyboardInterrupt
    datasets = zarr.open_group(store.path, mode="r").attrs["ome"]["multiscales"][0]["datasets"]
    assert [d["path"] for d in datasets] == ["0"]


def test_version_0_4_reads_back(tmp_path):
    labels = some_labels()
    path = write(tmp_path / "m.zarr", labels, "tyx", version="0.4")
    assert (path / ".zattrs").is_file()
    assert (path / "0/1/0/0").is_file()
    source = open_labels(path)
    assert (source.pixel_size_um, source.frame_interval_s, source.is_own) == (0.5, 60, True)
    np.testing.assert_array_equal(source.frame(1), labels[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_other_programs_find_image_and_labels_valid(tmp_path, version):
    models = pytest.importorskip("ome_zarr_models")
    for name, data, axes in (
        ("f.zarr", some_image(), "tcyx"),
        ("g.zarr", some_image((1, 43, 29)), "cyx"),
        ("m.zarr", some_labels(), "tyx"),
        ("n.zarr", some_labels((43, 29)), "yx"),
    ):
        path = write(tmp_path / name, data, axes, version=version)
        found = models.open_ome_zarr(zarr.open_group(path, mode="r"))
        assert type(found).__name__ == ("Image" if "c" in axes else "ImageLabel")
        assert found.ome_zarr_version == version


@pytest.mark.parametrize("version", VERSIONS)
def test_ome_zarr_reads_every_level(tmp_path, version):
    pytest.importorskip("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    for name, data, axes in (("f.zarr", some_image(), "tcyx"), ("m.zarr", some_labels(), "tyx")):
        path = write(tmp_path / name, data, axes, version=version)
        node = next(iter(Reader(parse_url(str(path)))()))
        assert [level.shape[-2:] for level in node.data] == [(43, 29), (22, 15), (11, 8)]
        np.testing.assert_array_equal(np.asarray(node.data[0]), data)
        if "c" in axes:
            assert node.metadata["channel_names"] == ["nuclear", "cell"]


@pytest.mark.parametrize("value", [0.4, "0.4"])
def test_the_config_takes_the_version_without_quotes(tmp_path, value):
    (tmp_path / "m").mkdir()
    (tmp_path / "samples.tsv").write_text("sample\tassay\tpath\nm\tmerfish\tm\n")
    config = load_config({"samples": "samples.tsv", "preprocess": {"ome_zarr": value}}, [tmp_path])
    assert config.settings("m", "preprocess")["ome_zarr"] == "0.4"
