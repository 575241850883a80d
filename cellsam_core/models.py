"""Names and input conventions of the models, known without loading one."""

from __future__ import annotations

from typing import Literal, get_args

from cellsam_core.errors import InputError

Preset = Literal["official", "paper", "fast"]
"""Preset of the published CellSAM; :mod:`.segmentation.vit_b.predict` explains them."""

PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)
PUBLISHED_CLAHE_CLIP_LIMIT = 0.01


def is_published(weights: str) -> bool:
    """Tell the published CellSAM's weights, a torch file, from those of the tiny model."""
    return weights == "vit_b" or weights.endswith((".pt", ".pth"))


def clahe_clip_limit_of(weights: str, preset: str) -> float:
    """Return the clip limit of CLAHE that weights need; 0 leaves CLAHE out.

    The tiny model finds more cells without CLAHE. The published CellSAM needs it, except in the
    preset ``paper``, because its authors evaluated it without.
    """
    return PUBLISHED_CLAHE_CLIP_LIMIT if is_published(weights) and preset != "paper" else 0.0


def refuse_published(weights: str) -> None:
    """Refuse to train the published CellSAM, which this package only uses.

    Raises
    ------
    InputError
        The weights are those of the published CellSAM.
    """
    if is_published(weights):
        raise InputError(
            "option `weights`",
            found=weights,
            expected="weights of the tiny model: tiny, or a .safetensors file",
            remedy="start from those",
        )
