"""Several stains of one role, fused to one plane."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.preprocessing import contrast
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.fusion import BLOCK_PX, plan_fusion
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array
from cellsam_core.samples.vendors.kits import COSMX, roles_in_kit

SHAPE = (256, 768)


def scene(seed: int = 0) -> np.ndarray:
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 6)
    return (rough > 0.02).astype(np.float32)


def two_stains(cells: np.ndarray, gain: float = 200.0) -> np.ndarray:
    """Photograph cells twice: the first stain is good on the left, the second on the right."""
    rng = np.random.default_rng(1)
    left = np.arange(SHAPE[1]) < SHAPE[1] // 2
    noise = np.stack([np.where(left, 20, 300), np.where(left, 300, 20)])[:, None]
    brightness = np.array([1.0, 5.0])[:, None, None]
    pixels = brightness * (gain * cells + noise * rng.standard_normal((2, *SHAPE))) + 2000
    return pixels.clip(0, 65535).astype(np.uint16)


def reader(pixels):
    return lambda stain, window: pixels[stain, window[0] : window[1], window[2] : window[3]]


def likeness(plane: np.ndarray, cells: np.ndarray) -> list[float]:
    """Correlation with the cells on the left and on the right, away from the middle."""
    sides = np.s_[:, : SHAPE[1] // 2 - BLOCK_PX], np.s_[:, SHAPE[1] // 2 + BLOCK_PX :]
    return [float(np.corrcoef(plane[s].ravel(), cells[s].ravel())[0, 1]) for s in sides]


def test_the_better_stain_of_each_place_is_seen_and_contrast_is_even():
    cells = scene()
    pixels = two_stains(cells)
    fusion = plan_fusion(reader(pixels), 2, SHAPE)
    fused = fusion.fuse(reader(pixels), (0, SHAPE[0], 0, SHAPE[1]))
    single = [likeness(plane, cells) for plane in pixels]
    assert single[0][0] > 0.95 > 0.5 > single[0][1]
    for side in (0, 1):
        assert likeness(fused, cells)[side] > max(of[side] for of in single) - 0.02
    assert (fusion.share[0, :, 0] > 0.95).all()
    assert (fusion.share[1, :, -1] > 0.95).all()
    spread = fused[:, :256].std(), fused[:, -256:].std()
    assert 0.8 < spread[0] / spread[1] < 1.25  # although one stain is five times as bright


def test_a_stain_is_used_up_to_where_its_quality_changes():
    fusion = plan_fusion(reader(two_stains(scene())), 2, SHAPE)
    middle = SHAPE[1] // 2 // BLOCK_PX
    assert (fusion.share[0, :, middle - 1] > 0.98).all()
    assert (fusion.share[1, :, middle] > 0.98).all()


def test_a_block_without_cells_does_not_change_the_stain():
    cells = scene()
    cells[BLOCK_PX : 2 * BLOCK_PX, BLOCK_PX : 2 * BLOCK_PX] = 0
    fusion = plan_fusion(reader(two_stains(cells)), 2, SHAPE)
    assert fusion.share[0, 1, 1] > 0.98


@pytest.mark.parametrize("is_shot", [True, False])
def test_noise_is_the_same_where_cells_are_bright_and_where_they_are_dim(is_shot):
    """Shot noise grows with brightness, until it is compressed; other noise stays as it is."""
    rng = np.random.default_rng(2)
    stripe = (np.arange(SHAPE[1]) + 32) // 64 % 2 == 1
    light = 60 * ndimage.gaussian_filter(scene(), 2) * np.where(stripe, 6, 1)
    noise = np.sqrt(50 + 2 * light) if is_shot else 10.0
    pixels = (100 + light + noise * rng.standard_normal(SHAPE))[None].astype(np.float32)
    window = (0, SHAPE[0], 0, SHAPE[1])
    plan = plan_fusion(reader(pixels), 1, SHAPE)
    truth = (100 + light)[None].astype(np.float32)
    is_dim, is_bright = (light > 30) & (light < 60), light > 200
    before = (pixels - truth)[0]
    assert (before[is_bright].std() > 2 * before[is_dim].std()) == is_shot
    after = plan.fuse(reader(pixels), window) - plan.fuse(reader(truth), window)
    assert after[is_bright].std() == pytest.approx(after[is_dim].std(), rel=0.25)


def test_windows_of_any_size_are_cut_from_the_same_plane():
    pixels = two_stains(scene())
    fusion = plan_fusion(reader(pixels), 2, SHAPE)
    whole = fusion.fuse(reader(pixels), (0, SHAPE[0], 0, SHAPE[1]))
    for y0, y1, x0, x1 in ((0, 100, 0, 768), (100, 256, 3, 700), (17, 18, 500, 501)):
        part = fusion.fuse(reader(pixels), (y0, y1, x0, x1))
        np.testing.assert_array_equal(part, whole[y0:y1, x0:x1])


def test_bands_of_a_large_image_give_the_same_plane(monkeypatch):
    pixels = two_stains(scene())
    options = cc.PreprocessOptions(cell_channel=("a", "b"))
    whole = cc.preprocess(pixels, options=options, channels=["a", "b"])
    monkeypatch.setattr(contrast, "WHOLE_PLANE_PX", 1000)
    monkeypatch.setattr(contrast, "BAND_PX", 96)
    bands = cc.preprocess(pixels, options=options, channels=["a", "b"])
    np.testing.assert_array_equal(bands.array, whole.array)
    assert bands.fusion == whole.fusion


def test_no_border_of_a_block_can_be_seen():
    # The background has a slope, on which weights of whole blocks would make steps.
    slope = np.linspace(0, 3000, SHAPE[1])[None, None]
    pixels = (two_stains(scene()) + slope).astype(np.uint16)
    fusion = plan_fusion(reader(pixels), 2, SHAPE)
    flat = np.full((2, *SHAPE), 3000, np.uint16)
    fused = fusion.fuse(reader(flat), (0, SHAPE[0], 0, SHAPE[1]))
    assert np.abs(np.diff(fused, axis=1)).max() < 4 * np.ptp(fused) / BLOCK_PX


def test_a_stain_without_signal_changes_nothing_and_none_at_all_is_dark():
    pixels = two_stains(scene())[:1]
    empty = np.full((1, *SHAPE), 500, np.uint16)
    window = (0, SHAPE[0], 0, SHAPE[1])
    alone = plan_fusion(reader(pixels), 1, SHAPE).fuse(reader(pixels), window)
    both = np.concatenate([pixels, empty])
    np.testing.assert_allclose(
        plan_fusion(reader(both), 2, SHAPE).fuse(reader(both), window), alone, atol=1e-5
    )
    nothing = np.repeat(empty, 2, axis=0)
    fusion = plan_fusion(reader(nothing), 2, SHAPE)
    assert not fusion.fuse(reader(nothing), window).any()
    assert not fusion.has_signal.any()


def test_what_lies_between_fields_is_not_measured():
    pixels = two_stains(scene())
    pixels[:, :, 300:] = 0
    plain = plan_fusion(reader(pixels[:, :, :300]), 2, (SHAPE[0], 300))
    fusion = plan_fusion(reader(pixels), 2, SHAPE, has_gaps=True)
    assert not fusion.has_signal[:, 6:].any()
    np.testing.assert_allclose(fusion.share[:, :, 0], plain.share[:, :, 0], atol=0.02)


@pytest.fixture
def images():
    return images_of_array(np.ones((3, 8, 9), np.uint16), ArrayFacts(["DAPI", "18S", "a,b"]))


@pytest.mark.parametrize("given", ["18S, a", ["18S", "a"]])
def test_names_that_are_not_there_are_refused(images, given):
    with pytest.raises(InputError, match="no channel 'a'"):
        choose_roles(images, None, given)


def test_several_names_are_text_with_commas_or_a_tuple(images):
    assert choose_roles(images, "DAPI", "18S,DAPI")["cell"] == ["18S", "DAPI"]
    assert choose_roles(images, None, ("18S", "a,b")) == {"cell": ["18S", "a,b"]}
    assert choose_roles(images, None, "a,b") == {"cell": ["a,b"]}
    with pytest.raises(InputError, match="a name twice in 18S, 18S"):
        choose_roles(images, None, "18S,18S")


def test_the_five_stains_of_cosmx_are_a_kit():
    roles = roles_in_kit(["CD298/B2M", "PanCK", "CD45", "CD3", "DNA"], COSMX)
    assert roles == {"nuclear": ["DNA"], "cell": ["CD298/B2M", "PanCK", "CD45", "CD3"]}


def test_command_and_notebook_fuse_alike_and_record_it(tmp_path):
    pixels = two_stains(scene())
    for name, plane in zip(("YFP", "18S"), pixels, strict=True):
        tifffile.imwrite(tmp_path / f"{name}_t0.tif", plane)
        tifffile.imwrite(tmp_path / f"{name}_t1.tif", plane[::-1])
    manifest = cc.inspect(tmp_path, assay="movie", sample="m")
    manifest.save(tmp_path / "m.json")
    frames = tmp_path / "frames.zarr"
    command = ["preprocess", tmp_path / "m.json", "--cell-channel", "YFP,18S", "-o", frames]
    assert main([str(part) for part in command]) == 0
    options = cc.PreprocessOptions(cell_channel=("YFP", "18S"))
    here = cc.preprocess(manifest, options=options)
    group = zarr.open_group(str(frames), mode="r")
    np.testing.assert_array_equal(np.asarray(group["0"]), here.array)
    record = json.loads(json.dumps(dict(group.attrs["cellsam"])))
    assert record["channels"] == {"cell": ["YFP", "18S"]}
    assert record["fusion"] == here.fusion
    assert sum(record["fusion"]["cell"]["dominant"].values()) == pytest.approx(1)
