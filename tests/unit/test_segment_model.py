from __future__ import annotations

import numpy as np
import pytest
import torch

from cellsam_core.errors import InputError
from cellsam_core.segmentation import weights
from cellsam_core.segmentation.options import SegmentOptions
from cellsam_core.segmentation.tiny.boxes import pairwise_iou, to_centre, to_corners
from cellsam_core.segmentation.tiny.cellfinder import (
    MIN_QUERIES,
    QUERIES_PER_PEAK,
    enough_queries,
)
from cellsam_core.segmentation.tiny.encoder import sample_windows
from cellsam_core.segmentation.tiny.masks import mask_windows
from cellsam_core.segmentation.tiny.model import CellSAM, fold_batch_norm
from cellsam_core.segmentation.tiny.predict import Segmenter, _interpolation
from cellsam_core.training.losses import Target, assign_one_to_one, mask_targets


@pytest.fixture(scope="module")
def model() -> CellSAM:
    torch.manual_seed(0)
    return CellSAM().eval()


def test_boxes_round_trip_and_iou() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [100, 100, 120, 110]])
    torch.testing.assert_close(to_corners(to_centre(boxes)), boxes)
    iou, giou = pairwise_iou(boxes, boxes)
    torch.testing.assert_close(iou[0], torch.tensor([1.0, 50 / 150, 0.0]))
    assert giou[0, 2] < 0


def test_sampling_reads_the_feature_under_the_grid_point() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    # Features at stride 4 that hold their own position in input pixels.
    features = torch.stack((4 * x + 2, 4 * y + 2))
    windows = torch.tensor([[20.0, 40, 52, 104]])
    sampled = sample_windows(features, windows, 16, 4)[0]
    torch.testing.assert_close(sampled[0, 0], 20 + 32 * (torch.arange(16) + 0.5) / 16)
    torch.testing.assert_close(sampled[1, :, 0], 40 + 64 * (torch.arange(16) + 0.5) / 16)


def test_one_query_is_matched_with_each_cell() -> None:
    truth = torch.tensor([[10.0, 10, 30, 30], [50, 50, 80, 70]])
    target = Target(truth, torch.tensor([1, 2]), torch.zeros(96, 96, dtype=torch.long))
    boxes = torch.cat((truth.flip(0), truth.flip(0) + 1, torch.rand(5, 4)))
    owner, quality = assign_one_to_one(boxes, torch.zeros(9), target)
    assert owner.tolist() == [1, 0] + [-1] * 7
    assert quality.tolist() == [1, 1] + [0] * 7


def test_mask_target_is_the_cell_in_its_window() -> None:
    labels = torch.zeros(64, 64, dtype=torch.long)
    labels[20:40, 24:44] = 5
    box = torch.tensor([[24.0, 20, 44, 40]])
    target = mask_targets(box, torch.tensor([5]), labels)[0]
    x0, _, x1, _ = mask_windows(box)[0].tolist()
    assert target.mean().item() == pytest.approx(400 / (x1 - x0) ** 2, rel=0.05)


def test_interpolation_is_exact_for_a_ramp() -> None:
    matrix = _interpolation(np.arange(10, 50), 10.0, 50.0, 20)
    ramp = 10 + 40 * (np.arange(20) + 0.5) / 20
    np.testing.assert_allclose((matrix @ ramp)[1:-1], np.arange(11, 49) + 0.5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(33, 47), (128, 96), (1, 1)])
def test_any_shape_goes_through_the_model(model: CellSAM, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).random((2, *shape), np.float32)
    anything = Segmenter(model, "cpu", SegmentOptions(score_threshold=0, iou_threshold=0))
    for instance in anything.segment(pixels, 20):
        assert 0 <= instance.y0 < instance.y1 <= shape[0]
        assert 0 <= instance.x0 < instance.x1 <= shape[1]


@pytest.mark.parametrize("spacing", [8, 4])
def test_twice_as_dense_cells_get_four_times_as_many_queries(spacing: int) -> None:
    scores = torch.full((2, 1, 64, 64), -5.0)
    assert enough_queries(scores) == MIN_QUERIES
    scores[1, 0, 2::spacing, 2::spacing] = 1.0
    scores[1, 0, 3::spacing, 2::spacing] = 0.5  # beside the peak of the same cell
    assert enough_queries(scores) == QUERIES_PER_PEAK * (64 // spacing) ** 2


def test_prompted_boxes_are_drawn_where_they_are(model: CellSAM) -> None:
    pixels = np.random.default_rng(0).random((2, 100, 100), np.float32)
    boxes = np.array([[10, 10, 40, 30], [60, 50, 90, 95]], np.float32)
    for instance in Segmenter(model, "cpu", SegmentOptions(mask_threshold=1e-9)).prompt(
        pixels, 25, boxes
    ):
        y, x = (instance.y0 + instance.y1) / 2, (instance.x0 + instance.x1) / 2
        assert any(b[0] <= x <= b[2] and b[1] <= y <= b[3] for b in boxes)


def test_weights_round_trip_and_damage_is_named(model: CellSAM, tmp_path) -> None:
    path = tmp_path / "mine.safetensors"
    weights.save(model.state_dict(), path)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = (m(image, 10)[2] for m in (model, weights.load_network(str(path), "cpu")))
    torch.testing.assert_close(after, before, rtol=0.02, atol=0.02)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"mine\.safetensors"):
        weights.load_network(str(path), "cpu")
    with pytest.raises(InputError, match="no such file"):
        weights.load_network("huge", "cpu")


def test_folding_batch_norm_changes_nothing() -> None:
    torch.manual_seed(1)
    model = CellSAM()
    image = torch.rand(4, 3, 64, 64)
    model.train()
    model(image, 10)  # running statistics that are not those of a fresh model
    model.eval()
    with torch.inference_mode():
        before = model(image, 10)[2]
        fold_batch_norm(model)
        after = model(image, 10)[2]
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is absent")
def test_an_absent_gpu_is_an_error_not_a_fallback() -> None:
    with pytest.raises(InputError, match="no GPU"):
        weights.choose_device("cuda")
