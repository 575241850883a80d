"""Names and input conventions of the models, known without loading one."""

from __future__ import annotations

PRESET_NAMES = ("official", "paper", "fast")
"""Presets of the published CellSAM, which :mod:`.segmentation.vit_b.predict` explains."""

PUBLISHED_CLAHE_CLIP_LIMIT = 0.01


def is_published(weights: str) -> bool:
    """Tell the published CellSAM's weights, a torch file, from those of the tiny model."""
    return weights == "vit_b" or weights.endswith((".pt", ".pth"))


def clahe_clip_limit_of(weights: str, preset: str) -> float:
    """CLAHE's limit for weights: tiny finds more cells without.

    The published ones need it, but in the preset ``paper``: their evaluation left it out.
    """
    return PUBLISHED_CLAHE_CLIP_LIMIT if is_published(weights) and preset != "paper" else 0.0
