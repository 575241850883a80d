from __future__ import annotations

import numpy as np
import pytest
import torch

from cellsam_core.segmentation.diameter import (
    busiest_region,
    measure_diameter_px,
    views,
)
from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.segmentation.tiny.diameter import REDUCTIONS, VIEW_PX, DiameterHead, grid
from cellsam_core.segmentation.weights import load_trainable
from cellsam_core.simulation.cells import render_field
from cellsam_core.training.crops import simulated_image
from cellsam_core.training.diameter import Pictures, train_diameter
from cellsam_core.training.labelled import median_diameter_px


def field(style: str, diameter_px: float, seed: int = 0) -> tuple[np.ndarray, float]:
    """Render cells of a style; return the image in [0, 1] and the typical diameter, px."""
    rng = np.random.default_rng(seed)
    pixels, labels, _ = render_field(rng, (400, 400), style=style, diameter_px=diameter_px)
    shown = np.asarray(pixels / pixels.max(), np.float32)
    return shown, median_diameter_px(labels.astype(np.int32))


@pytest.mark.parametrize("style", ["fluo", "adherent", "multiplex"])
@pytest.mark.parametrize("diameter_px", [12, 30, 75])
def test_the_diameter_of_simulated_cells_is_measured(style: str, diameter_px: float) -> None:
    fields = [field(style, diameter_px, seed) for seed in range(2)]
    true_px = np.median([true for _, true in fields])
    measured = measure_diameter_px([pixels for pixels, _ in fields])
    assert abs(np.log2(measured / true_px)) < 0.6


def test_the_measured_diameter_keeps_the_limits() -> None:
    pixels, true_px = field("fluo", 30)
    free = measure_diameter_px([pixels])
    assert measure_diameter_px([pixels], (true_px / 2, true_px * 2)) == free
    assert measure_diameter_px([pixels], (60, 100)) == pytest.approx(60, rel=0.3)
    assert 100 <= measure_diameter_px([pixels], (100, 101)) * 2 ** (1 / 16) <= 110
    assert measure_diameter_px([pixels], (400, 500)) * 2 ** (1 / 16) >= 400


def test_where_nothing_is_seen_the_scale_is_the_models_own() -> None:
    blank = np.full((2, 30, 30), 0.5, np.float32)
    assert measure_diameter_px([blank]) == REFERENCE_PX
    pixels, _ = field("fluo", 30)
    assert measure_diameter_px([blank, pixels]) == measure_diameter_px([pixels])


def test_the_views_are_reduced_windows_one_inside_the_other() -> None:
    sample = np.zeros((2, 300, 600), np.float32)
    sample[1, 200:210, 500:510] = 1
    shown = views(sample)
    assert shown.shape == (len(REDUCTIONS), 3, VIEW_PX, VIEW_PX)
    bright = [
        float(view[2].sum()) * reduction**2
        for view, reduction in zip(shown, REDUCTIONS, strict=True)
    ]
    assert bright == pytest.approx([100] * len(REDUCTIONS), rel=0.05)
    assert not shown[:, :2].any()


def test_the_votes_of_a_view_are_moved_to_pixels_of_the_image() -> None:
    torch.manual_seed(0)
    head = DiameterHead(8).eval()
    with torch.no_grad():
        head.vote.weight.zero_()
        head.vote.bias.zero_()
        head.vote.bias[10] = 20.0  # all views say the same diameter in their own pixels
        head.trust.weight.zero_()
        scores = head(torch.randn(1, len(REDUCTIONS), 4, 8))[0]
    likeliest = scores.argsort(descending=True)[:3].sort().values.tolist()
    steps = round(1 / float(grid()[1] - grid()[0]))
    assert likeliest == [10, 10 + steps, 10 + 2 * steps]


def test_training_pictures_depend_on_seed_and_index_alone() -> None:
    images = [simulated_image(np.random.default_rng(0))]
    first, again, other = (
        Pictures(images, simulated_share=0.3, n=4, seed=seed)[3] for seed in (1, 1, 2)
    )
    torch.testing.assert_close(first[0], again[0])
    assert first[1] == again[1] != other[1]


def test_training_repeats_and_leaves_the_encoder_as_it_is() -> None:
    images = [simulated_image(np.random.default_rng(0))]
    runs = [train_diameter(images, "tiny", n_pictures=4, n_epochs=2, seed=3) for _ in range(2)]
    for name, value in runs[0].items():
        torch.testing.assert_close(value, runs[1][name], rtol=0, atol=0)
    start = load_trainable("tiny").encoder.state_dict()
    for name, value in runs[0].items():
        if name.startswith("encoder."):
            torch.testing.assert_close(value, start[name.removeprefix("encoder.")])


@pytest.mark.parametrize("side_px", [40, 41, 500])
def test_the_busiest_region_holds_the_cells(side_px: int) -> None:
    sample = np.full((2, 200, 300), 0.5, np.float32)
    sample[1, 150:190, 250:290] = 0.9
    region = busiest_region(sample, side_px)
    assert region.shape == (2, min(side_px, 200), min(side_px, 300))
    assert (region[1] == np.float32(0.9)).sum() == 1600
