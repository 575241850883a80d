"""Size of spots, measured on molecules, and told where another one was searched for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

import cellsam_core as cc
from cellsam_core.decoding.codebook import Codebook
from cellsam_core.decoding.field import Calls
from cellsam_core.decoding.spot_size import measured_sigma_px, spot_light, words_of_size
from cellsam_core.decoding.spots import band_pass, noise_level
from cellsam_core.reporting.sections.decoding import _spot_size

if TYPE_CHECKING:
    from pathlib import Path

BOOK = Codebook(("A",), ("bit1", "bit2"), np.array([[True, True]]))


def seen(true_px: float, searched_px: float) -> np.ndarray:
    """Light of 100 spots at places between the pixels, in two bits."""
    rng = np.random.default_rng(0)
    fine, n = 8, 100
    y, x = np.divmod(np.arange(n), 10)
    y, x = (24.0 * each + 16 + rng.uniform(-0.5, 0.5, n) for each in (y, x))
    image = np.zeros((250 * fine, 250 * fine), dtype=np.float32)
    image[np.rint((y + 0.5) * fine).astype(int), np.rint((x + 0.5) * fine).astype(int)] = 1
    blurred = gaussian_filter(image, true_px * fine)
    blurred = blurred.reshape(250, fine, 250, fine).mean(axis=(1, 3))
    stack = []
    for _ in range(2):
        noisy = 400 * blurred / blurred.max() + rng.normal(0, 4, blurred.shape)
        filtered = band_pass(noisy.astype(np.float32), searched_px)
        stack.append(filtered / np.float32(noise_level(filtered)))
    words, odds = np.zeros(n, np.int32), np.full(n, 5, np.float32)
    calls = Calls(y, x, np.zeros(n, np.int64), words, odds, np.zeros(n, np.float32))
    return spot_light(np.stack(stack), calls, BOOK)


def simulate(folder: Path) -> None:
    """Write the raw rounds of one field."""
    small = cc.TissueOptions(size_px=256, cells=6, transcripts=600)
    one = cc.RawRoundsOptions(fields_per_edge=1)
    cc.simulate_tissue(folder, seed=3, options=small, raw_rounds=one)


@pytest.mark.parametrize("true_px", [0.9, 1.3, 2.5])
@pytest.mark.parametrize("searched_px", [0.8, 1.3, 2.6])
def test_the_size_is_that_of_the_spots_whatever_was_searched_for(
    true_px: float, searched_px: float
) -> None:
    found = measured_sigma_px(seen(true_px, searched_px), searched_px)
    assert found == pytest.approx(true_px, rel=0.12)


def test_few_spots_have_no_size() -> None:
    assert measured_sigma_px(np.array([99.0, 1000.0, 700.0]), 1.3) is None
    assert words_of_size(None, 1.3) == ""
    none = Calls(*(np.zeros(0, dtype) for dtype in (float, float, int, int, float, float)))
    assert spot_light(np.zeros((2, 9, 9), np.float32), none, BOOK).tolist() == [0, 0, 0]
    assert _spot_size({"measured": None, "searched": 1.3}) == []


def test_a_wrong_size_is_told_with_the_right_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulate(tmp_path / "raw")
    cc.decode(tmp_path / "raw", tmp_path / "wrong", cc.DecodeOptions(spot_sigma_px=2.6))
    said = "`spot_sigma_px` in the section `decode` of the config to 1."
    assert said in caplog.text
    caplog.clear()
    cc.decode(tmp_path / "raw", tmp_path / "right")
    assert said not in caplog.text
    size = json.loads((tmp_path / "right/decode_qc.json").read_text())["spot_sigma_px"]
    assert size["searched"] == 1.3
    assert size["measured"] == pytest.approx(1.3, rel=0.1)


@pytest.mark.parametrize("is_taken_off", [False, True])
def test_a_background_that_was_taken_off_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_taken_off: bool
) -> None:
    simulate(tmp_path / "raw")
    for file in (tmp_path / "raw").glob("merfish_*.tif"):
        pages = tifffile.imread(file).astype(int)
        # The last pages, of beads and stains, stay as they are.
        floor = np.median(pages[:2], axis=(1, 2), keepdims=True) if is_taken_off else 0
        pages[:2] = np.maximum(pages[:2] - floor, 0)
        tifffile.imwrite(file, pages.astype(np.uint16), photometric="minisblack")
    cc.decode(tmp_path / "raw", tmp_path / "out")
    assert ("background was taken off" in caplog.text) == is_taken_off
    share = json.loads((tmp_path / "out/decode_qc.json").read_text())["share_at_lowest"]
    assert (share > 0.3) == is_taken_off
