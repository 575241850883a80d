"""Spots by spotiflow instead of the filter alone; an optional package, with weights of its own.

Dominguez Mantes et al., Spotiflow, Nature Methods 2025, 10.1038/s41592-025-02662-x.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from cellsam_core.decoding.field import Detector

TILE_PX = 512
"""Side of what the network sees at once: memory does not grow with the field."""


def open_spotiflow(model: str, min_probability: float | None = None) -> Detector:
    """Open a trained model as a detector of spots for :func:`field.prepare_bits`.

    Parameters
    ----------
    model
        Folder of a trained model, or the name of a published one, which spotiflow downloads.
    min_probability
        Spots that the model holds for less likely are dropped; None for the threshold that was
        found best when the model was trained.

    Raises
    ------
    InputError
        spotiflow is not installed, or there is no such two-dimensional model.
    """
    try:
        from spotiflow.model import Spotiflow
    except ImportError as error:
        raise InputError(
            "spotiflow",
            found="no such package in this environment",
            expected="the optional package spotiflow",
            remedy="run `pip install spotiflow`, or Snakemake with its conda environments",
        ) from error
    load = Spotiflow.from_folder if Path(model).is_dir() else Spotiflow.from_pretrained
    try:
        network = load(model, verbose=False)
    except Exception as error:
        raise _no_model(model, f"no model that can be opened ({first_line(error)})") from error
    if network.config.is_3d:
        raise _no_model(model, "a model of three-dimensional spots")

    def detect(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        n_tiles = tuple(-(-side // TILE_PX) for side in image.shape)
        yx, _ = network.predict(image, prob_thresh=min_probability, n_tiles=n_tiles, verbose=False)
        return np.asarray(yx, dtype=np.float64).reshape(-1, 2)

    return detect


def _no_model(model: str, found: str) -> InputError:
    return InputError(
        model,
        found=found,
        expected="the folder of a trained two-dimensional spotiflow model, or the name of one",
        remedy="correct spotiflow in the configuration; a model's folder holds config.yaml",
    )
