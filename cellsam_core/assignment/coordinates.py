"""The two frames that coordinates are in, and the transform between them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from cellsam_core.samples.affine import pixel_size_of

Affine = npt.NDArray[np.float64]

SLIDE = (
    "um on the slide, as in the transcript table of the vendor: x_um, y_um, obsm['spatial'] and"
    " the outlines"
)
IMAGE = "um from the centre of the first pixel of the image: x_image_um, y_image_um"
METADATA_KEY = "cellsam_core:coordinates"


def coordinates(um_to_px: Affine | None) -> dict[str, Any]:
    """Describe the frames ``slide`` and ``image`` in plain values, for ``uns`` and metadata.

    Parameters
    ----------
    um_to_px
        3x3 affine from the slide to pixels of the image; None if there is no image.

    Returns
    -------
    dict
        Meaning of both frames; with an image also ``pixel_size_um``, ``slide_um_to_px`` and
        ``slide_um_to_image_um`` (3x3 affines for ``(x, y, 1)``).
    """
    frames: dict[str, Any] = {"slide": SLIDE}
    if um_to_px is None:
        return frames
    size = pixel_size_of(um_to_px)
    return frames | {
        "image": IMAGE,
        "pixel_size_um": size,
        "slide_um_to_px": np.array(um_to_px, dtype=np.float64),
        "slide_um_to_image_um": np.diag([size, size, 1.0]) @ um_to_px,
    }


def coordinate_metadata(um_to_px: Affine | None) -> dict[str, str]:
    """Describe the frames for the metadata of a Parquet file, as JSON."""
    return {METADATA_KEY: json.dumps(coordinates(um_to_px), default=np.ndarray.tolist)}
