"""The instrument's affine from micrometres to pixels: read, and checked against what it meets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.placement import PIXEL_SIZE_TOLERANCE

BBOX_TOLERANCE = 0.01


def read_transform(path: str | Path) -> npt.NDArray[np.float64]:
    """Read a 3x3 affine, separated by spaces or commas.

    Raises
    ------
    InputError
        It is not nine numbers that make an invertible affine.
    """
    try:
        rows = Path(path).read_text().replace(",", " ").split("\n")
        matrix = np.array([[float(v) for v in row.split()] for row in rows if row.strip()])
    except (ValueError, OSError):
        matrix = np.empty((0, 0))
    is_affine = matrix.shape == (3, 3) and np.isfinite(matrix).all()
    if not is_affine or matrix[2].tolist() != [0, 0, 1] or np.linalg.det(matrix) == 0:
        raise InputError(
            path,
            found="no affine transform",
            expected="3 rows of 3 numbers, the last 0 0 1, that can be inverted",
            remedy="copy the file from the instrument's output",
        )
    return matrix


def check_transform(
    path: Path,
    um_to_px: npt.NDArray[np.float64],
    shape_yx: tuple[int, int],
    pixel_size_um: float | None,
) -> None:
    """Compare the transform with the pixel size and with ``manifest.json`` beside it.

    The manifest holds the same facts in other words: the size of the mosaic, of its pixels, and
    the micrometres of its corners.

    Parameters
    ----------
    path
        File of the transform.
    um_to_px
        3x3 matrix that the file holds.
    shape_yx
        Height and width of the mosaic images in pixels.
    pixel_size_um
        Side of a pixel that the sample sheet gives, in micrometres, or None.

    Raises
    ------
    InputError
        One contradicts another; the message names the file.
    """
    manifest = path.with_name("manifest.json")
    size = pixel_size_of(um_to_px)
    _require_close("pixel_size_um in the sample sheet", pixel_size_um, size, path)
    if not manifest.is_file():
        return
    try:
        said: dict[str, Any] = dict(json.loads(manifest.read_text()))
        said_shape = (said.get("mosaic_height_pixels"), said.get("mosaic_width_pixels"))
        bbox = said.get("bbox_microns")
        corners = None if bbox is None else np.array(bbox, dtype=float).reshape(2, 2).T
        _require_close(str(manifest), said.get("microns_per_pixel"), size, path)
    except (ValueError, TypeError, UnicodeDecodeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            manifest,
            found="a file that can't be read",
            expected="the JSON manifest of the mosaic images",
            remedy="copy the file from the instrument's output",
        ) from error
    if None not in said_shape and said_shape != shape_yx:
        raise InputError(
            manifest,
            found=f"mosaics of {said_shape[1]} x {said_shape[0]} px",
            expected=f"the {shape_yx[1]} x {shape_yx[0]} px of the images",
            remedy="copy images and manifest.json of one and the same region",
        )
    if corners is not None:
        _check_bbox(path, um_to_px, corners, shape_yx)


def _check_bbox(
    path: Path,
    um_to_px: npt.NDArray[np.float64],
    corners_um: npt.NDArray[np.float64],
    shape_yx: tuple[int, int],
) -> None:
    """Require that the corners ``(2, 2)`` of the region land on the corners of the image."""
    mapped = um_to_px[:2, :2] @ corners_um + um_to_px[:2, 2:]
    size = np.array(shape_yx[::-1], dtype=float)
    off = np.abs(np.sort(mapped, axis=1) - np.stack([np.zeros(2), size], axis=1)).max(axis=1)
    if (off > np.maximum(2.0, BBOX_TOLERANCE * size)).any():
        raise InputError(
            path,
            found=f"a transform that puts the region's corners {off.max():.0f} px off the image's",
            expected="the bbox_microns of manifest.json on the corners of the mosaic",
            remedy="copy the transform and manifest.json of one and the same region",
        )


def _require_close(where: str, said_um: float | None, transform_um: float, path: Path) -> None:
    if said_um is None:
        return
    if not math.isclose(float(said_um), transform_um, rel_tol=PIXEL_SIZE_TOLERANCE):
        raise InputError(
            where,
            found=f"{said_um} um a pixel",
            expected=f"the {transform_um:.6g} um of {path.name}",
            remedy="correct the one that is wrong",
        )
