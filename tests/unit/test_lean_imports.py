"""Segmentation starts without what torchvision and segment-anything import, and computes alike."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from cellsam_core.segmentation.lean_imports import MaskDecoder, nms

IMPORTS = """
import sys
import cellsam_core.segmentation.stage, cellsam_core.segmentation.tiny.predict
import cellsam_core.segmentation.vit_b.encoder, cellsam_core.segmentation.vit_b.mask_decoder
slow = {"torchvision", "torch._dynamo", "sympy", "skimage", "matplotlib"} & set(sys.modules)
assert not slow, slow
import segment_anything
assert segment_anything.sam_model_registry
"""


def test_a_job_of_segmentation_imports_no_slow_package_that_it_does_not_need():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=300)


@pytest.mark.parametrize("iou", [0.3, 0.85])
def test_boxes_are_suppressed_as_by_torchvision(iou):
    from torchvision.ops import nms as theirs

    generator = torch.Generator().manual_seed(3)
    corner = torch.rand((400, 2), generator=generator) * 60
    boxes = torch.cat((corner, corner + 5 + 20 * torch.rand((400, 2), generator=generator)), 1)
    scores = torch.rand(400, generator=generator).round(decimals=2)  # some are equal
    assert torch.equal(nms(boxes, scores, iou), theirs(boxes, scores, iou))


def test_layers_are_those_of_segment_anything():
    from segment_anything.modeling import MaskDecoder as theirs

    assert MaskDecoder is theirs
