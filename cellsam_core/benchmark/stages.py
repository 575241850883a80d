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

from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.segmentation.vit_b.checkpoint import (
    ORIGINAL,
    build,
    expected_shapes,
    load,
    supports_bfloat16,
)
from cellsam_core.segmentation.vit_b.encoder import INPUT_PX
from cellsam_core.segmentation.vit_b.inputs import detector_input, encoder_input, to_square
from cellsam_core.segmentation.vit_b.predict import PRESETS, VitBSegmenter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.segmentation.vit_b.mask_decoder import BoxDecoder

SEED = 0
CEILING_TRIALS = 6
COUNTED_BOXES = 24
"""What they share of an image is then little beside what each takes."""


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
    raw: NDArray[np.float32], preset_name: str, n_boxes: int, weights: Path
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
    weights
        A checkpoint, as of :func:`write_random_checkpoint`.
    """
    preset = PRESETS[preset_name]
    is_low = preset.bfloat16 and supports_bfloat16("cpu")
    dtype = torch.bfloat16 if is_low else torch.float32
    model = load(weights, device="cpu", bfloat16=is_low)
    segmenter = VitBSegmenter(model, "cpu", preset)
    clock = _Clock(dtype)
    shape_yx = raw.shape[1:]
    with torch.inference_mode():
        operations = count_operations(model.decoder)
        # A first use of each kernel is slower.
        with model.in_memory(model.encoder) as encoder:
            encoder.blocks[0](encoder.blocks[2](torch.zeros(1, 64, 64, 768)))
        clock.start()
        start = time.perf_counter()
        pixels = np.stack([preprocess_plane(plane) for plane in raw])
        clock.stop("contrast")
        square = to_square(torch.from_numpy(pixels))
        inputs = detector_input(square), encoder_input(square)
        clock.stop("inputs")
        with model.in_memory(model.detector.backbone.body) as encoder:
            found = encoder(inputs[0])
        clock.stop("CellFinder ViT-B", operations["encoder"])
        boxes = model.detector(found)[0][:n_boxes]
        clock.stop("Anchor DETR", operations["detr"])
        with model.in_memory(model.encoder) as encoder:
            features = encoder(inputs[1])[0]
        clock.stop("mask encoder ViT-B", operations["encoder"])
        scores = torch.ones(len(boxes))
        masks = list(segmenter.draw(features, boxes, scores, shape_yx, -np.inf))
        clock.stop(f"decode and draw {n_boxes} boxes", n_boxes * operations["box"])
        segmenter.rasterize(masks, shape_yx)
        clock.stop("paint")
    return clock.stages, time.perf_counter() - start


class _Clock:
    """Collects stages and knows the ceiling."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.stages: list[Stage] = []
        self._ceiling = _ceiling(dtype)
        self._last = 0.0

    def start(self) -> None:
        self._last = time.process_time()

    def stop(self, name: str, gflop: float = 0.0) -> None:
        seconds = time.process_time() - self._last
        share = gflop / max(seconds, 1e-9) / self._ceiling
        self.stages.append(Stage(name, gflop, seconds, share))
        self._last = time.process_time()


def write_random_checkpoint(path: Path) -> None:
    """Write a checkpoint of random numbers, so that weights are read as a user's are."""
    generator = torch.Generator().manual_seed(SEED)
    zero = torch.zeros(1)
    state = {
        # SAM as it came is of no use beside the tuned one, and is not read.
        key: zero.expand(shape)
        if key.startswith(ORIGINAL)
        else torch.empty(shape).normal_(0, 0.02, generator=generator)
        for key, shape in expected_shapes().items()
    }
    torch.save(state, path)


def count_operations(decoder: BoxDecoder) -> dict[str, float]:
    """Count the billions of operations of an encoder, of Anchor DETR and of one box.

    The first two are counted without computing; a box is decoded and drawn with `decoder`.
    """
    shapes = build()
    image = torch.empty(1, 3, INPUT_PX, INPUT_PX, device="meta")
    boxes = torch.tensor([[100.0, 100.0, 160.0, 160.0]]).repeat(COUNTED_BOXES, 1)
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
    counts["box"] /= COUNTED_BOXES
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
