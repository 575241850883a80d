"""The published CellSAM stage by stage: operations, seconds and what the processor could do.

Weights are random: the first boxes found are taken as the cells, and every mask covers the whole
image, which is the slowest case for drawing. Nothing else depends on the weights.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cellsam_core.preprocess import preprocess_plane
from cellsam_core.segment.vit_b.checkpoint import build, lower, supports_bfloat16
from cellsam_core.segment.vit_b.encoder import INPUT_PX
from cellsam_core.segment.vit_b.inputs import detector_input, encoder_input, to_square
from cellsam_core.segment.vit_b.mask_decoder import BOXES_AT_ONCE
from cellsam_core.segment.vit_b.predict import PRESETS, VitBSegmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.segment.vit_b.checkpoint import VitB
    from cellsam_core.segment.vit_b.mask_decoder import BoxDecoder

SEED = 0
CEILING_TRIALS = 6


class Stage(NamedTuple):
    """One step of one image.

    Attributes
    ----------
    name
        Of the step.
    gflop
        Billions of multiplications and additions of its matrix products; 0 where there are none.
    cpu_seconds
        Of all threads.
    ceiling_share
        Of the operations that one large matrix product of the same precision does in this time.
    """

    name: str
    gflop: float
    cpu_seconds: float
    ceiling_share: float


def time_stages(
    raw: NDArray[np.float32], preset_name: str, n_boxes: int
) -> tuple[list[Stage], float]:
    """Time one image on the CPU; return its stages and the seconds on the clock.

    Parameters
    ----------
    raw
        ``(c, y, x)``, not yet preprocessed.
    preset_name
        Key of :data:`PRESETS`.
    n_boxes
        Boxes that are decoded, drawn and painted.
    """
    preset = PRESETS[preset_name]
    encoder_dtype = torch.float32
    if preset.bfloat16 and supports_bfloat16("cpu"):
        encoder_dtype = torch.bfloat16
    model = _random_model(encoder_dtype)
    segmenter = VitBSegmenter(model, "cpu", preset)
    clock = _Clock(encoder_dtype)
    shape_yx = raw.shape[1:]
    with torch.inference_mode():
        operations = count_operations(model.decoder)
        # A first use of each kernel is slower.
        model.encoder.blocks[0](model.encoder.blocks[2](torch.zeros(1, 64, 64, 768)))
        clock.start()
        start = time.perf_counter()
        pixels = np.stack([preprocess_plane(plane) for plane in raw])
        clock.stop("contrast")
        square = to_square(torch.from_numpy(pixels))
        inputs = detector_input(square), encoder_input(square)
        clock.stop("inputs")
        found = model.detector.backbone.body(inputs[0])
        clock.stop("CellFinder ViT-B", operations["encoder"], encoder_dtype)
        boxes = model.detector(found)[0][:n_boxes]
        clock.stop("Anchor DETR", operations["detr"])
        features = model.encoder(inputs[1])[0]
        clock.stop("mask encoder ViT-B", operations["encoder"], encoder_dtype)
        scores = torch.ones(len(boxes))
        masks = list(segmenter.draw(features, boxes, scores, shape_yx, -np.inf))
        clock.stop(f"decode and draw {n_boxes} boxes", n_boxes * operations["box"])
        segmenter.paint(masks, shape_yx)
        clock.stop("paint")
    return clock.stages, time.perf_counter() - start


class _Clock:
    """Collects stages and knows the ceilings."""

    def __init__(self, encoder_dtype: torch.dtype) -> None:
        self.stages: list[Stage] = []
        self._ceilings = {d: _ceiling(d) for d in {torch.float32, encoder_dtype}}
        self._last = 0.0

    def start(self) -> None:
        self._last = time.process_time()

    def stop(self, name: str, gflop: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        seconds = time.process_time() - self._last
        share = gflop / max(seconds, 1e-9) / self._ceilings[dtype]
        self.stages.append(Stage(name, gflop, seconds, share))
        self._last = time.process_time()


def _random_model(encoder_dtype: torch.dtype) -> VitB:
    model = build()
    generator = torch.Generator().manual_seed(SEED)
    for part in model.parts:
        part.to_empty(device="cpu").requires_grad_(requires_grad=False)
        for tensor in (*part.parameters(), *part.buffers()):
            tensor.normal_(0, 0.02, generator=generator)
        if encoder_dtype != torch.float32:
            lower(part)
    return model


def count_operations(decoder: BoxDecoder) -> dict[str, float]:
    """Count the billions of operations of an encoder, of Anchor DETR and of one box.

    The first two are counted without computing; a box is decoded and drawn with `decoder`.
    """
    shapes = build()
    image = torch.empty(1, 3, INPUT_PX, INPUT_PX, device="meta")
    boxes = torch.tensor([[100.0, 100.0, 160.0, 160.0]]).repeat(BOXES_AT_ONCE, 1)
    features = torch.zeros(256, 64, 64)

    def decode() -> None:
        for one in decoder.decode(features, boxes):
            decoder.draw(one)

    steps: dict[str, Callable[[], object]] = {
        "encoder": lambda: shapes.encoder(image),
        "detr": lambda: shapes.detector(torch.empty(1, 768, 64, 64, device="meta")),
        "box": decode,
    }
    counts = {}
    for name, step in steps.items():
        with FlopCounterMode(display=False) as counter:
            step()
        counts[name] = counter.get_total_flops() / 1e9
    counts["box"] /= BOXES_AT_ONCE
    return counts


def _ceiling(dtype: torch.dtype) -> float:
    """Measure billions of operations a CPU second of a layer as wide as the encoders' own."""
    x, weight = torch.randn(4096, 768, dtype=dtype), torch.randn(3072, 768, dtype=dtype)
    best = np.inf
    for _ in range(CEILING_TRIALS):
        start = time.process_time()
        F.linear(x, weight)
        best = min(best, time.process_time() - start)
    return 2 * x.numel() * len(weight) / best / 1e9
