"""The published CellSAM's networks against plain implementations of the same formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from segment_anything.modeling.image_encoder import Block as PlainBlock
from torch.nn import functional as F

from cellsam_core.models import PRESET_NAMES
from cellsam_core.segmentation.vit_b import anchor_detr, encoder, products
from cellsam_core.segmentation.vit_b.anchor_detr import RCDA, SelfAttention, sine_embedding
from cellsam_core.segmentation.vit_b.checkpoint import lower
from cellsam_core.segmentation.vit_b.inputs import detector_input, encoder_input, to_square
from cellsam_core.segmentation.vit_b.mask_decoder import BoxDecoder
from cellsam_core.segmentation.vit_b.predict import PRESETS, adapted_threshold, clean
from cellsam_core.segmentation.vit_b.resample import make_axis


def randomise(module: torch.nn.Module, scale: float = 0.05) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for p in module.parameters():
        p.data = p.data + torch.randn(p.shape, generator=generator) * scale
        p.requires_grad_(requires_grad=False)
    return module.eval()


@pytest.mark.parametrize("windowed", [False, True])
def test_block_is_that_of_segment_anything(monkeypatch, windowed):
    monkeypatch.setattr(encoder, "GRID", 20)
    monkeypatch.setattr(products, "LOGITS_ON_CPU", 20**2 * 100)
    size = 14 if windowed else 20
    ours = randomise(encoder.Block(size))
    plain = PlainBlock(
        768,
        12,
        norm_layer=lambda n: torch.nn.LayerNorm(n, eps=1e-6),
        use_rel_pos=True,
        window_size=14 if windowed else 0,
        input_size=(20, 20),
    )
    plain.load_state_dict(ours.state_dict())
    x = torch.randn((2, 20, 20, 768), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), plain.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [14, 64])
def test_attention_by_products_is_that_of_the_kernel(size):
    layer = randomise(encoder.Attention(size))
    generator = torch.Generator().manual_seed(1)
    q, k, v = torch.randn((3, 2, 12, size * size, 64), generator=generator)
    with torch.inference_mode():
        exact = layer._widened(q, k, v)
        torch.testing.assert_close(layer._by_products(q, k, v), exact, rtol=1e-4, atol=1e-5)
        low = layer.bfloat16()._by_products(*(x.bfloat16() for x in (q, k, v)))
        error = (low.float() - exact).abs().mean() / exact.abs().mean()
    assert low.dtype == torch.bfloat16
    assert error < 0.02


@pytest.mark.parametrize("has_matrix_units", [False, True])
def test_the_kernel_is_used_where_it_is_fast(monkeypatch, has_matrix_units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_matrix_units})
    assert products.are_faster(torch.zeros(1, dtype=torch.bfloat16)) is not has_matrix_units
    assert not products.are_faster(torch.zeros(1))


def test_rcda_weights_are_products_of_a_row_and_a_column_softmax(monkeypatch):
    monkeypatch.setattr(anchor_detr, "GRID", 6)
    monkeypatch.setattr(anchor_detr, "QUERIES_AT_ONCE", {torch.float32: 4})
    layer = randomise(RCDA(), 0.1)
    qx, qy = torch.randn(10, 256), torch.randn(10, 256)
    source, axis = torch.randn(6, 6, 256), torch.randn(6, 256)
    w, b = layer.in_proj_weight.chunk(5), layer.in_proj_bias.chunk(5)
    inputs = (qx, qy, source + axis, source + axis[:, None], source)
    qx_, qy_, kx, ky, v = (
        F.linear(x, w_, b_).unflatten(-1, (8, 32)) for x, w_, b_ in zip(inputs, w, b, strict=True)
    )
    along_x = (torch.einsum("qnc,wnc->nqw", qx_, kx.mean(0)) / 32**0.5).softmax(-1)
    along_y = (torch.einsum("qnc,hnc->nqh", qy_, ky.mean(1)) / 32**0.5).softmax(-1)
    expected = torch.einsum("nqw,nqh,hwnc->qnc", along_x, along_y, v).flatten(1)
    found = layer(qx, qy, source, axis)
    torch.testing.assert_close(found, layer.out_proj(expected), rtol=1e-4, atol=1e-5)


def test_self_attention_is_that_of_torch():
    ours = randomise(SelfAttention(), 0.1)
    plain = torch.nn.MultiheadAttention(256, 8).eval()
    plain.load_state_dict(ours.state_dict())
    query, value = torch.randn(9, 256), torch.randn(9, 256)
    expected, _ = plain(query[:, None], query[:, None], value[:, None])
    torch.testing.assert_close(ours(query, value), expected[:, 0], rtol=1e-4, atol=1e-5)


def test_sine_embedding_starts_with_the_angle_itself():
    embedded = sine_embedding(torch.tensor([0.0, 0.25]), 8)
    assert embedded.shape == (2, 8)
    torch.testing.assert_close(embedded[0], torch.tensor([0.0, 1.0] * 4))
    torch.testing.assert_close(embedded[1, :2], torch.tensor([1.0, 0.0]), atol=1e-6, rtol=0)


def test_decoder_gives_the_masks_of_segment_anything():
    torch.manual_seed(0)
    decoder = randomise(BoxDecoder())
    features = torch.randn(256, 64, 64)
    boxes = torch.tensor([[100.0, 200, 180, 260], [-5, -5, 40, 60], [900, 10, 1030, 90]])
    with torch.inference_mode():
        sparse, dense = decoder.prompt_encoder(points=None, boxes=boxes, masks=None)
        expected, iou = decoder.mask_decoder(
            features[None], decoder.prompt_encoder.get_dense_pe(), sparse, dense, False
        )
        decoded = list(decoder.decode(features, boxes))
        for k, one in enumerate(decoded):
            assert one.iou == pytest.approx(float(iou[k, 0]), abs=1e-4)
            found, spread = decoder.draw(one), float(expected[k, 0].std())
            torch.testing.assert_close(found, expected[k, 0], rtol=1e-3, atol=1e-4 * spread)


@pytest.mark.parametrize("size", [70, 256, 700, 1024, 1500])
def test_axis_interpolates_twice(size):
    mask = torch.randn(256, 8)
    up = F.interpolate(mask[None, None], (1024, 8), mode="bilinear", align_corners=False)
    expected = F.interpolate(up, (size, 8), mode="bilinear", align_corners=False)[0, 0]
    axis = make_axis(size, "cpu")
    torch.testing.assert_close(axis.matrix @ mask, expected, rtol=1e-4, atol=1e-4)
    mask = F.pad(torch.ones(11, 8), (0, 0, 40, 205))
    pixels, columns = axis.near(40, 50)
    near = torch.zeros(size, 8)
    near[pixels] = axis.matrix[pixels, columns] @ mask[columns]
    torch.testing.assert_close(near, axis.matrix @ mask)
    assert pixels.stop - pixels.start < size / 10


def test_absent_channels_come_first_and_detector_fills_them():
    grey = torch.rand(1, 50, 80)
    square = to_square(grey)
    assert square.shape == (3, 1024, 1024)
    assert not square[:2].any()
    image = detector_input(square)[0]
    assert not image[0].any()
    assert torch.equal(image[1], image[2])
    assert image[2].max() == pytest.approx(1)


def test_detector_sees_truncated_8_bit_steps():
    square = torch.linspace(0, 1, 1024).expand(3, 1024, 1024)
    steps = detector_input(square)[0, 1, 0] * 255
    assert steps[1023] == pytest.approx(255, abs=1e-3)
    assert steps[1022] == pytest.approx(254, abs=1e-3)


def test_encoder_clips_at_the_percentile_of_what_is_not_zero():
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.random((2, 1024, 1024), np.float32))
    pixels[:, :512] = 0
    square = to_square(pixels)
    image = encoder_input(square)[0]
    present = square[square != 0].numpy()
    low, high = present.min(), np.percentile(present, 99.5)
    expected = np.clip((square[2].numpy() - low) / (high - low), 0, 1)
    expected = (expected - 103.53 / 255) / (57.375 / 255)
    np.testing.assert_allclose(image[2].numpy(), expected, atol=1e-4)


def test_threshold_moves_with_the_best_two_clusters():
    rng = np.random.default_rng(0)
    scores = np.r_[rng.random(300) * 0.1, 0.8 + rng.random(40) * 0.1].astype(np.float32)
    expected = 0.66 * 0.4 + 0.33 * (scores[:300].mean() + scores[300:].mean()) / 2
    assert adapted_threshold(rng.permutation(scores), 0.4) == pytest.approx(expected, abs=1e-6)
    assert adapted_threshold(np.full(5, 0.2, np.float32), 0.4) == 0.4


def test_clean_removes_small_cells_and_fills_rings():
    canvas = np.zeros((20, 20), np.int32)
    canvas[2:9, 2:9] = 1
    canvas[4:6, 4:6] = 0
    canvas[12:14, 12:14] = 2
    clean(canvas, 25)
    assert (canvas[2:9, 2:9] == 1).all()
    assert not (canvas == 2).any()


def test_lowered_layers_take_and_give_what_float32_neighbours_do():
    image = torch.rand(1, 3, 32, 32)
    embed = randomise(encoder.PatchEmbed())
    block = randomise(encoder.Block(64), 0.02)
    exact = embed(image)
    tokens = torch.randn(1, 64, 64, 768)
    expected = block(tokens)
    embed.bfloat16()
    lower(block)
    assert block.mlp.lin1.weight.dtype == torch.bfloat16
    assert block.norm1.weight.dtype == torch.float32
    torch.testing.assert_close(embed(image).float(), exact, rtol=0.05, atol=0.05)
    found = block(tokens)
    assert found.dtype == torch.float32
    error = (found - expected).std() / (expected - tokens).std()
    assert float(error) < 0.02


def test_the_command_line_names_the_presets_that_there_are() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
