"""Names and input conventions of the models, which need no model to be loaded."""

from __future__ import annotations

from typing import Literal, get_args

from cellsam_core.errors import InputError

Preset = Literal["official", "paper", "fast"]
"""Preset of the published CellSAM; :mod:`.segmentation.vit_b.predict` explains them."""

PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)
PUBLISHED_CLAHE_CLIP_LIMIT = 0.01
"""Clip limit of the adaptive histogram equalisation for the published CellSAM."""


def is_published(weights: str) -> bool:
    """Test whether weights are those of the published CellSAM, a torch file, or of tiny."""
    return weights == "vit_b" or weights.endswith((".pt", ".pth"))


def clahe_clip_limit_of(weights: str, preset: str) -> float:
    """Return the clip limit of the adaptive histogram equalisation (CLAHE) that suits a model.

    The published CellSAM needs equalisation, except in the preset ``paper``, whose evaluation had
    none. The tiny model finds more cells without it.

    Parameters
    ----------
    weights
        Name or path of the weights.
    preset
        Preset of the published CellSAM.

    Returns
    -------
    float
        Clip limit; 0 for no equalisation.
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
