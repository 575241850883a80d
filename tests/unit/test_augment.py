from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cellsam_core.training import augment
from cellsam_core.training.augment import random_crop
from cellsam_core.training.labelled import LabelledImage


def discs() -> LabelledImage:
    """Twenty-five white discs of 30 px on black."""
    y, x = np.indices((300, 300))
    inside = np.hypot(y % 60 - 30, x % 60 - 30) < 15
    labels = np.where(inside, 1 + y // 60 * 5 + x // 60, 0).astype(np.int32)
    channels = np.stack((np.zeros_like(labels), 255 * inside)).astype(np.uint8)
    return LabelledImage("discs", "mine", "own", channels, channels, labels, 30.0)


@pytest.fixture(autouse=True)
def unlit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the light as it is."""
    monkeypatch.setattr(augment, "relight", lambda pixels, *_: pixels)


@pytest.mark.parametrize("seed", range(5))
def test_pixels_and_labels_bend_together(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "ELASTIC_SHARE", 1.0)
    pixels, labels = random_crop(discs(), np.random.default_rng(seed))
    assert labels.any()
    assert ((pixels[1] > 0.5) == (labels > 0)).mean() > 0.98


def test_sheets_bend_by_some_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    theta = np.array([[1.0, 0, 0], [0, 1, 0]])
    monkeypatch.setattr(augment, "ELASTIC_SHARE", 0.0)
    flat = augment._sampling_grid(theta, augment.CROP_PX, np.random.default_rng(0))
    monkeypatch.setattr(augment, "ELASTIC_SHARE", 1.0)
    moves_px = [
        (augment._sampling_grid(theta, augment.CROP_PX, np.random.default_rng(s)) - flat)
        * augment.CROP_PX
        / 2
        for s in range(20)
    ]
    spread_px = np.array([float(m.std()) for m in moves_px])
    assert (spread_px > 0).all()
    assert 1 < spread_px.mean() < augment.ELASTIC_MAX_PX


def test_a_crop_depends_on_its_seed_alone() -> None:
    first, second = (random_crop(discs(), np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_clutter_is_drawn_on_unstained_cells_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "CLUTTER_SHARE", 1.0)
    for modality in ("yeast", "fluorescence"):
        image = dataclasses.replace(discs(), modality=modality)
        lit = []
        for seed in range(8):
            pixels, labels = random_crop(image, np.random.default_rng(seed))
            lit.append(float(np.abs(pixels[1][labels == 0]).mean()))
            assert not pixels[0].any()
        assert (max(lit) > 0.03) == (modality == "yeast")
