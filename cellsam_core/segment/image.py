"""Whole images: tiles are read from an image on disk or in memory and put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.io import omezarr
from cellsam_core.segment.autoscale import REGION_PX
from cellsam_core.segment.instances import merge_tiles, place
from cellsam_core.segment.tiles import Tile, plan

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.io.omezarr import OmeZarr
    from cellsam_core.segment.instances import Instance
    from cellsam_core.segment.segmenter import TileSegmenter

ROLES = ("nuclear", "cell")
N_SAMPLED_FRAMES = 3
TISSUE_DIAMETER_UM = (6.0, 30.0)
"""Cells of the tissues that spatial transcriptomics images."""


def open_frames(path: Path) -> OmeZarr:
    """Open a preprocessed sample.

    Raises
    ------
    InputError
        `path` was not written by ``preprocess``.
    """
    frames = omezarr.open_(path)
    n_channels = frames.array.shape[frames.axes.index("c")] if "c" in frames.axes else None
    if len(frames.channels) != n_channels or not set(frames.channels) <= set(ROLES):
        raise InputError(
            path,
            found=f"axes {frames.axes} and channels {', '.join(frames.channels) or 'none'}",
            expected=f"channels {' and/or '.join(ROLES)}",
            remedy="give the frames.zarr that `cellsam-core preprocess` wrote",
        )
    return frames


def tiles_of(frames: OmeZarr, diameter_px: float, tile_px: int) -> list[Tile]:
    """Plan the tiles of all frames of a preprocessed sample."""
    return plan(frames.n_frames, frames.shape_yx, diameter_px, tile_px)


def read_tile(frames: OmeZarr, tile: Tile) -> NDArray[np.float32]:
    """Read a tile as ``(2, y, x)`` in [0, 1]: nuclear, whole cell."""
    window = np.s_[:, tile.y0 : tile.y1, tile.x0 : tile.x1]
    pixels = frames.read((tile.frame, *window) if "t" in frames.axes else window)
    out = np.zeros((2, *pixels.shape[1:]), np.float32)
    for plane, role in zip(pixels, frames.channels, strict=True):
        out[ROLES.index(role)] = plane / np.float32(65535)
    return out


def estimate_diameter_of_frames(segmenter: TileSegmenter, frames: OmeZarr) -> float:
    """Measure the cell diameter on the middle of the first, middle and last frame, px.

    In tissue of known pixel size, cells of 6 to 30 um are looked for.
    """
    height, width = frames.shape_yx
    h, w = min(REGION_PX, height), min(REGION_PX, width)
    y, x = (height - h) // 2, (width - w) // 2
    indices = sorted({round(f) for f in np.linspace(0, frames.n_frames - 1, N_SAMPLED_FRAMES)})
    samples = [read_tile(frames, Tile(f, 0, y, x, y + h, x + w)) for f in indices]
    if "t" in frames.axes or frames.pixel_size_um is None:
        return segmenter.measure_diameter_px(samples)
    low, high = (um / frames.pixel_size_um for um in TISSUE_DIAMETER_UM)
    return segmenter.measure_diameter_px(samples, limits_px=(low, high))


def segment_image(
    segmenter: TileSegmenter,
    pixels: NDArray[np.float32],
    *,
    diameter_px: float | None,
    tile_px: int,
    min_area_px: int,
) -> list[Instance]:
    """Segment an image held in memory.

    Parameters
    ----------
    segmenter
        The model.
    pixels
        ``(2, y, x)`` float32 in [0, 1]: nuclear and whole-cell channel; an absent one is 0.
    diameter_px
        Typical cell diameter; None: measured on the image.
    tile_px
        Side of a tile in the model's pixels.
    min_area_px
        Smaller cells are left out.

    Returns
    -------
    list of Instance
        Disjoint, in label order; :func:`cellsam_core.segment.instances.paint` draws them.
    """
    shape_yx = pixels.shape[1], pixels.shape[2]
    diameter_px = diameter_px or segmenter.measure_diameter_px([pixels])
    found = [
        place(instance, tile, shape_yx)
        for tile in plan(1, shape_yx, diameter_px, tile_px)
        for instance in segmenter.segment(
            pixels[:, tile.y0 : tile.y1, tile.x0 : tile.x1], diameter_px
        )
    ]
    return merge_tiles(found, min_area_px=min_area_px)
