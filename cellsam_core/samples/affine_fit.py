"""Affine between a table's own columns in micrometres and in pixels, fitted and tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.samples.affine import Affine, apply_affine
from cellsam_core.samples.table_rows import iter_columns

if TYPE_CHECKING:
    from pathlib import Path


MAX_FIT_ERROR_PX = 0.5


def fit_affine(path: str | Path, um: tuple[str, str], px: tuple[str, str]) -> Affine:
    """Fit the affine between a table's um and px columns by least squares.

    The fit uses the first chunk, the test every row.

    Raises
    ------
    InputError
        Fewer than three points that are not on a line, or a row more than half a pixel off.
    """
    matrix: Affine | None = None
    worst = 0.0
    for batch in iter_columns(path, [*um, *px], []):
        um_xy = np.stack([batch[name].to_numpy() for name in um])
        px_xy = np.stack([batch[name].to_numpy() for name in px])
        if matrix is None:
            matrix = _least_squares(um_xy, px_xy)
            if matrix is None:
                break
        worst = max(worst, float(np.abs(apply_affine(matrix, um_xy) - px_xy).max()))
    if matrix is None or worst > MAX_FIT_ERROR_PX:
        found = f"rows up to {worst:.3g} px off" if matrix is not None else "too few rows for a fit"
        raise InputError(
            path,
            found=f"{found} between the columns {', '.join(um)} and {', '.join(px)}",
            expected="one affine relation between micrometres and pixels",
            remedy="remove the pair of columns that is wrong and give pixel_size_um",
        )
    return matrix


def _least_squares(um: npt.NDArray[Any], px: npt.NDArray[Any]) -> Affine | None:
    centre = um.mean(axis=1, keepdims=True)
    design = np.vstack([um - centre, np.ones(um.shape[1])]).T
    # Distinct directions, judged on the scale of the data itself.
    spread = np.linalg.svd(design[:, :2], compute_uv=False)
    if um.shape[1] < 3 or spread[-1] <= 1e-6 * max(spread[0], 1e-12):
        return None
    solution = np.linalg.lstsq(design, px.T, rcond=None)[0].T
    matrix = np.eye(3)
    matrix[:2, :2] = solution[:, :2]
    matrix[:2, 2] = solution[:, 2] - solution[:, :2] @ centre[:, 0]
    return matrix if abs(np.linalg.det(matrix)) > 0 else None
