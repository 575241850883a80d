from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.plane import Plane
from cellsam_core.preprocessing import contrast as preprocess
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.contrast import (
    intensity_limits,
    preprocess_bands,
    preprocess_plane,
)
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.samples.manifest import Manifest


def texture(shape, seed=0):
    noise = gaussian_filter(np.random.default_rng(seed).random(shape), 4)
    return (noise * 2e5 + np.linspace(0, 20000, shape[1])).astype(np.uint16)


def test_clip_uses_non_zero_pixels_only():
    plane = np.zeros((100, 100), np.uint16)
    plane[:10, :10] = np.arange(1, 101).reshape(10, 10)
    plane[0, 0] = 60000
    stretched = preprocess_plane(plane, clip_percentile=50, clahe_clip_limit=0)
    median = np.median(plane[plane > 0])
    np.testing.assert_allclose(stretched, np.minimum(plane / median, 1), atol=1e-6)
    assert stretched.dtype == np.float32


def test_clahe_is_that_of_scikit_image():
    from skimage.exposure import equalize_adapthist

    plane = texture((300, 280))
    high = np.percentile(plane[plane > 0], 99.9)
    scaled = (np.minimum(plane, high) - plane.min()) / (high - plane.min())
    expected = equalize_adapthist(scaled, kernel_size=128, clip_limit=0.01)
    # Half a grey level of its 14 bits may round the other way in single precision.
    np.testing.assert_allclose(preprocess_plane(plane), expected, atol=5e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int32", "float32", ">f4", "float64"])
def test_any_dtype_gives_0_to_1(dtype):
    plane = (texture((64, 70)) // 300).astype(dtype)
    result = preprocess_plane(plane)
    assert result.dtype == np.float32
    assert result.shape == plane.shape
    assert (result.min(), result.max()) == (0, 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (129, 127)])
@pytest.mark.parametrize("value", [0, 7])
def test_constant_planes_are_black(shape, value):
    assert not preprocess_plane(np.full(shape, value, np.uint16)).any()
    (band,) = preprocess_bands(
        lambda a, b: np.full(shape, value, np.uint16)[a:b],
        shape,
        PreprocessOptions(clahe_clip_limit=0.01),
    )
    assert not band[1].any()


def test_pixels_that_are_not_finite_count_as_0():
    plane = texture((40, 40)).astype(np.float32)
    plane[0, 0] = 0
    expected = preprocess_plane(plane)
    plane[0, 0] = np.nan
    np.testing.assert_array_equal(preprocess_plane(plane), expected)


@pytest.mark.parametrize(
    ("shape", "kernel_px"), [((1300, 400), 128), ((1025, 2100), 100), ((1024, 300), 64)]
)
@pytest.mark.parametrize("clip_limit", [0, 0.01])
def test_bands_equal_the_whole_plane(shape, kernel_px, clip_limit):
    plane = texture(shape)
    plane[: shape[0] // 8] = 0
    asked = []

    def read_rows(y0, y1):
        asked.append(y1 - y0)
        return plane[y0:y1]

    contrast = PreprocessOptions(clahe_kernel_px=kernel_px, clahe_clip_limit=clip_limit)
    whole = preprocess_plane(plane, clahe_kernel_px=kernel_px, clahe_clip_limit=clip_limit)
    starts, bands = zip(*preprocess_bands(read_rows, shape, contrast), strict=True)
    assert list(starts) == list(range(0, shape[0], preprocess.BAND_PX))
    np.testing.assert_allclose(np.concatenate(bands), whole, atol=1e-6)
    assert max(asked) <= preprocess.BAND_PX + 4 * kernel_px


def test_limits_of_a_large_plane_are_sampled_evenly(monkeypatch):
    plane = texture((700, 300))
    exact = intensity_limits([plane], plane.size, 99)
    monkeypatch.setattr(preprocess, "MAX_SAMPLED_PX", 20000)
    bands = [plane[:111], plane[111:400], plane[400:]]
    low, high = intensity_limits(bands, plane.size, 99)
    assert low == exact[0] == plane.min()
    assert high == pytest.approx(exact[1], rel=0.01)
    assert high == np.percentile(plane.ravel()[:: -(-plane.size // 20000)], 99)


def test_luminance_weighs_green_most():
    rgb = np.eye(3, dtype=np.uint8)[:, None, :] * 100
    np.testing.assert_allclose(preprocess.to_grey(rgb), [[21.25, 71.54, 7.21]], rtol=1e-5)


def manifest_of(channels, planes=None, assay="movie", shape=(60, 70)):
    planes = planes or [[Plane("/none.tif")] * len(channels)]
    return Manifest("s", assay, "x", channels, len(planes), shape, "uint16", 0.5, 60.0, planes)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (["DAPI"], {"cell": ["DAPI"]}),
        (["DAPI", "YFP", "TRITC"], {"nuclear": ["DAPI"]}),
        (["Cellbound1", "DAPI", "PolyT"], {"nuclear": ["DAPI"], "cell": ["Cellbound1"]}),
        (["ERK", "phase"], {"cell": ["phase"]}),
        (["BF", "H2B-mCherry"], {"nuclear": ["H2B-mCherry"], "cell": ["BF"]}),
        (["polyT", "Hoechst 33342"], {"nuclear": ["Hoechst 33342"], "cell": ["polyT"]}),
        (["indicator", "DIC"], {"cell": ["DIC"]}),
    ],
)
def test_roles_are_guessed_by_name(channels, expected):
    roles = choose_roles(images_of_manifest(manifest_of(channels)), None, None)
    assert roles == expected
    assert list(roles) == [r for r in ("nuclear", "cell") if r in expected]


def test_the_published_weights_see_colours_as_grey():
    channels = ["R", "G", "B"]
    images = images_of_manifest(manifest_of(channels))
    assert choose_roles(images, None, None, "vit_b") == {"cell": channels}


def test_roles_that_are_named_win():
    images = images_of_manifest(manifest_of(["DAPI", "YFP", "TRITC"]))
    assert choose_roles(images, None, "YFP") == {"cell": ["YFP"]}
    both = choose_roles(images, "TRITC", "YFP")
    assert list(both.items()) == [("nuclear", ["TRITC"]), ("cell", ["YFP"])]
    with pytest.raises(InputError, match=r"'CFP'.*DAPI, YFP, TRITC"):
        choose_roles(images, "CFP", None)
    with pytest.raises(InputError, match="nuclear_channel"):
        choose_roles(images_of_manifest(manifest_of(["YFP", "CFP"])), None, None)


def run(tmp_path, manifest, *options):
    (tmp_path / "m.json").write_text(manifest.to_json())
    return main(["preprocess", str(tmp_path / "m.json"), "-o", str(tmp_path / "f.zarr"), *options])


def test_movie_becomes_ome_zarr(tmp_path, caplog):
    stack = np.stack([texture((60, 70), seed) for seed in range(20)])
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    planes = [[Plane(str(tmp_path / "a.tif"), 2 * t + c) for c in range(2)] for t in range(10)]
    with caplog.at_level(logging.INFO):
        assert run(tmp_path, manifest_of(["polyT", "DAPI"], planes)) == 0
    frames = omezarr.open_(tmp_path / "f.zarr")
    assert (frames.axes, frames.channels) == ("tcyx", ("nuclear", "cell"))
    assert frames.array.dtype == np.uint16
    assert (frames.pixel_size_um, frames.frame_interval_s) == (0.5, 60.0)
    for t, c, page in ((0, 0, 1), (0, 1, 0), (9, 0, 19)):
        expected = np.round(preprocess_plane(stack[page], clahe_clip_limit=0) * 65535)
        np.testing.assert_array_equal(frames.array[t, c], expected)
    assert "nuclear channel: DAPI" in caplog.text
    assert caplog.text.count("preprocessed") == 10


def test_large_tissue_goes_band_by_band(tmp_path, monkeypatch):
    plane = texture((1500, 200))
    tifffile.imwrite(tmp_path / "a.tif", plane, compression="zlib", rowsperstrip=64)
    manifest = manifest_of(["DAPI"], [[Plane(str(tmp_path / "a.tif"))]], "merfish", plane.shape)
    monkeypatch.setattr(preprocess, "WHOLE_PLANE_PX", 1000)
    options = ("--clahe-kernel-px", "64", "--clahe-clip-limit", "0.01")
    assert run(tmp_path, manifest, *options) == 0
    frames = omezarr.open_(tmp_path / "f.zarr")
    assert (frames.axes, frames.frame_interval_s) == ("cyx", None)
    expected = np.round(preprocess_plane(plane, clahe_kernel_px=64) * 65535)
    np.testing.assert_allclose(frames.array[0], expected, atol=1)


def test_a_stained_section_becomes_red_and_grey(tmp_path):
    rgb = np.random.default_rng(0).integers(90, 256, (60, 70, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    planes = [[Plane(str(tmp_path / "a.tif"), 0, s) for s in range(3)]]
    assert run(tmp_path, manifest_of(["R", "G", "B"], planes)) == 0
    frames = omezarr.open_(tmp_path / "f.zarr")
    assert frames.channels == ("nuclear", "cell")
    grey = preprocess.to_grey(np.moveaxis(rgb, -1, 0))
    for index, plane in enumerate((rgb[..., 0], grey)):
        expected = np.round(preprocess_plane(plane, clahe_clip_limit=0) * 65535)
        np.testing.assert_array_equal(frames.array[0, index], expected)


def test_grey_that_was_saved_as_colours_stays_one_channel(tmp_path):
    rgb = np.stack([texture((60, 70))] * 3, axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", rgb, photometric="rgb")
    planes = [[Plane(str(tmp_path / "a.tif"), 0, s) for s in range(3)]]
    assert run(tmp_path, manifest_of(["R", "G", "B"], planes)) == 0
    assert omezarr.open_(tmp_path / "f.zarr").channels == ("cell",)


@pytest.mark.parametrize(
    ("weights", "preset", "limit"),
    [
        ("tiny", "official", 0),
        ("mine.safetensors", "official", 0),
        ("vit_b", "official", 0.01),
        ("vit_b", "paper", 0),
        ("a.pt", "fast", 0.01),
    ],
)
def test_the_contrast_is_that_of_the_weights(tmp_path, weights, preset, limit):
    plane = texture((60, 70))
    tifffile.imwrite(tmp_path / "a.tif", plane)
    manifest = manifest_of(["DAPI"], [[Plane(str(tmp_path / "a.tif"))]])
    assert run(tmp_path, manifest, "--weights", weights, "--preset", preset) == 0
    expected = np.round(preprocess_plane(plane, clahe_clip_limit=limit) * 65535)
    np.testing.assert_array_equal(omezarr.open_(tmp_path / "f.zarr").array[0, 0], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clip-percentile", "0"), "clip_percentile"),
        (("--clahe-kernel-px", "2"), "clahe_kernel_px"),
        (("--clahe-clip-limit", "1.5"), "clahe_clip_limit"),
        (("--clahe-clip-limit", "much"), "`clahe_clip_limit`: found 'much'"),
        (("--nuclear-channel", "CFP"), "no channel 'CFP'"),
        ((), "none.tif"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, capsys, options, message):
    assert run(tmp_path, manifest_of(["DAPI"]), *options) == 1
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]
