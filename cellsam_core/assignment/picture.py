"""Small picture of a tissue as squidpy and scanpy draw it, in um of the slide or of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from cellsam_core.assignment.stains import Measured

Affine = npt.NDArray[np.float64]

MAX_CANVAS_PX = 1600
"""Longest side of the picture. It begins at 0 um of the slide, where nothing may be shown."""
FAR = 0.5
"""Empty share of the width or height of a picture from which on there is a second one."""
# Green and magenta are told apart by everyone; where both are bright, the sum is white.
COLOURS = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
BRIGHT_PERCENTILE = 99.5


def frames_of_pictures(xy_um: Affine, um_to_px: Affine) -> dict[str, Affine]:
    """Choose the coordinates that pictures are drawn with: no cell may be hidden.

    squidpy and scanpy show a picture from 0 on, and hide cells at negative coordinates, which
    slides of MERSCOPE have. A tissue far from 0 is a small part of such a picture; so it gets a
    second one in the coordinates of the image.

    Parameters
    ----------
    xy_um
        ``(cells, 2)`` centroids on the slide.
    um_to_px
        3x3 affine from the slide to pixels of the image.

    Returns
    -------
    dict
        ``spatial`` for the slide, unless a cell has a negative coordinate on it, and
        ``spatial_image`` if one has, or if the cells lie far from 0. The values are 3x3 affines
        from these coordinates to pixels of the image.
    """
    frames = {}
    is_hidden = (xy_um < 0).any()
    if not is_hidden:
        frames["spatial"] = um_to_px
    if is_hidden or (len(xy_um) and (xy_um.min(axis=0) > FAR * xy_um.max(axis=0)).any()):
        per_um = 1 / pixel_size_of(um_to_px)
        frames["spatial_image"] = np.diag([per_um, per_um, 1.0])
    return frames


def spatial_entry(
    measured: Measured, um_to_px: Affine, xy_um: Affine, diameter_um: float
) -> dict[str, Any]:
    """Build the entry of ``uns["spatial"]`` or ``uns["spatial_image"]`` for one sample.

    squidpy and scanpy multiply the coordinates of cells by a scale and draw them on the picture;
    they know no shift and no rotation. So the picture is resampled to the axes of the coordinates,
    and its first pixel is at 0 um.

    Parameters
    ----------
    measured
        Picture and labels in the axes of the image.
    um_to_px
        3x3 affine from the coordinates of the cells to pixels of the image.
    xy_um
        ``(cells, 2)`` centroids in these coordinates.
    diameter_um
        Diameter of a typical cell, with which spots are drawn.

    Returns
    -------
    dict
        ``images`` (``hires``: uint8 RGB, ``segmentation``: uint32 labels of the same size),
        ``scalefactors`` and ``metadata``.
    """
    height, width = measured.picture.shape[1:]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) * measured.step
    px_to_um = np.linalg.inv(um_to_px)
    corners_um = corners @ px_to_um[:2, :2].T + px_to_um[:2, 2]
    far_um = np.maximum(np.vstack([corners_um, xy_um.reshape(-1, 2)]).max(axis=0), 1e-6)
    # As fine as the small picture is, but no larger than the longest side allows.
    per_um = 1 / (measured.step * np.sqrt(abs(np.linalg.det(px_to_um[:2, :2]))))
    scale = float(min(per_um, MAX_CANVAS_PX / far_um.max()))
    shape = tuple(int(n) for n in np.maximum(1, np.ceil(far_um[::-1] * scale)))
    to_small = _canvas_to_small(um_to_px, scale, measured.step)
    labels = _resample(measured.labels, to_small, shape, 0)
    # Without images, the labels are shown.
    grey = [_resample(channel, to_small, shape, 1) for channel in measured.picture]
    grey = grey or [(labels > 0).astype(np.float64)]
    shown = ", ".join(measured.channels[: len(grey)]) or "labels"
    return {
        "images": {"hires": _colour(grey), "segmentation": labels.astype(np.uint32)},
        "scalefactors": {
            "tissue_hires_scalef": scale,
            "tissue_segmentation_scalef": scale,
            "spot_diameter_fullres": diameter_um,
        },
        "metadata": {"channels": shown, "unit": "um"},
    }


def _canvas_to_small(um_to_px: Affine, scale: float, step: int) -> Affine:
    """Map pixels ``(x, y, 1)`` of the canvas to pixels of the shrunken image."""
    to_um = np.diag([1 / scale, 1 / scale, 1.0])
    shrink = np.diag([1 / step, 1 / step, 1.0])
    shrink[:2, 2] = -(step - 1) / 2 / step
    return np.asarray(shrink @ um_to_px @ to_um)


def _resample(
    image: npt.NDArray[Any], to_small: Affine, shape: tuple[int, ...], order: int
) -> npt.NDArray[Any]:
    from scipy.ndimage import affine_transform

    matrix = to_small[:2, :2][::-1, ::-1]
    # Labels beyond the 2^53 that floats hold do not occur: they have 32 bits.
    pixels = image.astype(np.float64)
    return np.asarray(
        affine_transform(pixels, matrix, to_small[:2, 2][::-1], tuple(shape), order=order)
    )


def _colour(channels: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.uint8]:
    """Show one channel in grey, two in magenta and green."""
    colours = COLOURS if len(channels) > 1 else np.ones((1, 3))
    shown = np.zeros((*channels[0].shape, 3))
    for grey, colour in zip(channels, colours, strict=False):
        finite = grey[np.isfinite(grey) & (grey != 0)]
        low, high = np.percentile(finite, [1, BRIGHT_PERCENTILE]) if len(finite) else (0.0, 1.0)
        level = np.clip(np.nan_to_num((grey - low) / max(high - low, 1e-12)), 0, 1)
        shown += level[..., None] * colour
    return np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
