"""Outlines as a zip of ROIs for ImageJ and Fiji."""

from __future__ import annotations

import logging
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.exports.outlines import Sample, outlines_px, rings_of

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

MANY = 20_000
"""Number of ROIs from which the ROI Manager becomes slow."""
MAX_COORDINATE = 32_767
DATE = (1980, 1, 1, 0, 0, 0)
"""Date of all files in the zip, so that the same cells give the same bytes."""


def write_imagej(path: Path, sample: Sample) -> int:
    """Write one ROI for each cell, or one for each of its pieces.

    Parameters
    ----------
    path
        File ``.zip`` to write, in pixels of the image. ROIs of a movie have the position of
        their frame.
    sample
        A finished sample.

    Returns
    -------
    int
        Number of ROIs.
    """
    from roifile import ROI_TYPE, ImagejRoi

    n = 0
    largest = 0.0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for frame, label, shape in outlines_px(sample):
            prefix = f"frame_{frame:04d}_" if sample.is_movie else ""
            for piece, ring in enumerate(rings_of(shape), start=1):
                name = f"{prefix}cell_{label:06d}" + (f"_{piece}" if piece > 1 else "")
                roi = ImagejRoi.frompoints(ring[:-1].astype(np.float32), name=name)
                roi.roitype = ROI_TYPE.POLYGON
                if sample.is_movie:
                    roi.position = roi.t_position = frame + 1
                archive.writestr(zipfile.ZipInfo(f"{name}.roi", DATE), roi.tobytes())
                largest = max(largest, float(ring.max()))
                n += 1
    if n > MANY:
        log.warning("%d ROIs: the ROI Manager of ImageJ is slow with more than %d", n, MANY)
    if largest > MAX_COORDINATE:
        log.warning("coordinates beyond %d px: old versions of ImageJ misread them", MAX_COORDINATE)
    return n
