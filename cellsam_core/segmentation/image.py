"""Whole images: tiles are read from an image on disk or in memory and put together again."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.segmentation.autoscale import REGION_PX
from cellsam_core.segmentation.dark_cells import drop_dark
from cellsam_core.segmentation.instances import merge_tiles, place
from cellsam_core.segmentation.tiles import Tile, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.segmenter import TileSegmenter

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

    Where there is nothing in the middle, as between fields of view: beside it. In tissue of known
    pixel size, cells of 6 to 30 um are looked for.
    """
    indices = sorted({round(f) for f in np.linspace(0, frames.n_frames - 1, N_SAMPLED_FRAMES)})
    samples = [_sample(partial(read_tile, frames), f, frames.shape_yx) for f in indices]
    if "t" in frames.axes or frames.pixel_size_um is None:
        return segmenter.measure_diameter_px(samples)
    low, high = (um / frames.pixel_size_um for um in TISSUE_DIAMETER_UM)
    return segmenter.measure_diameter_px(samples, limits_px=(low, high))


def _sample(
    read: Callable[[Tile], NDArray[np.float32]], frame: int, shape_yx: tuple[int, int]
) -> NDArray[np.float32]:
    """Read the middle of a frame; where that is of one brightness, the region nearest to it."""
    height, width = shape_yx
    h, w = min(REGION_PX, height), min(REGION_PX, width)
    y, x = (height - h) // 2, (width - w) // 2
    middle = read(Tile(frame, 0, y, x, y + h, x + w))
    if not is_blank(middle):
        return middle
    steps = [(i, j) for i in range(-(y // h), y // h + 1) for j in range(-(x // w), x // w + 1)]
    for i, j in sorted(steps, key=lambda step: math.hypot(*step)):
        top, left = y + i * h, x + j * w
        sample = read(Tile(frame, 0, top, left, top + h, left + w))
        # Between fields neighbouring pixels are equal; noise makes them differ elsewhere.
        if (np.diff(sample, axis=2) != 0).any(axis=0).mean() > 0.5:
            return sample
    return middle


def is_blank(pixels: NDArray[np.float32]) -> bool:
    """Tell whether all of a tile ``(c, y, x)`` is of one brightness: then it has no cells."""
    return bool((pixels == pixels[:, :1, :1]).all())


def segment_tile(
    segmenter: TileSegmenter,
    pixels: NDArray[np.float32],
    diameter_px: float,
    *,
    drops_dark: bool,
) -> list[Instance]:
    """Find the cells of a tile, in its pixels.

    Parameters
    ----------
    segmenter
        The model.
    pixels
        ``(2, y, x)`` float32 in [0, 1]; a tile of one brightness has no cells.
    diameter_px
        Typical cell diameter.
    drops_dark
        Leave out cells that are darker than their surroundings: :func:`.contrast.drop_dark`.
    """
    if is_blank(pixels):
        return []
    found = segmenter.segment(pixels, diameter_px)
    return drop_dark(found, pixels, diameter_px) if drops_dark else found


def segment_image(
    segmenter: TileSegmenter,
    pixels: NDArray[np.float32],
    *,
    diameter_px: float | None,
    tile_px: int,
    min_area_px: int,
    drops_dark: bool = False,
) -> list[Instance]:
    """Segment an image held in memory, as the workflow segments a movie of this one frame.

    Parameters
    ----------
    segmenter
        The model.
    pixels
        ``(2, y, x)`` float32 in [0, 1]: nuclear and whole-cell channel; an absent one is 0.
    diameter_px
        Typical cell diameter; None: measured in the middle of the image.
    tile_px
        Side of a tile in the model's pixels.
    min_area_px
        Smaller cells are left out.
    drops_dark
        As for :func:`segment_tile`.

    Returns
    -------
    list of Instance
        Disjoint, in label order; :func:`cellsam_core.segmentation.instances.paint` draws them.
    """
    shape_yx = pixels.shape[1], pixels.shape[2]

    def read(tile: Tile) -> NDArray[np.float32]:
        return pixels[:, tile.y0 : tile.y1, tile.x0 : tile.x1]

    if diameter_px is None:
        diameter_px = segmenter.measure_diameter_px([_sample(read, 0, shape_yx)])
    found = [
        place(instance, tile, shape_yx)
        for tile in plan(1, shape_yx, diameter_px, tile_px)
        for instance in segment_tile(segmenter, read(tile), diameter_px, drops_dark=drops_dark)
    ]
    return merge_tiles(found, min_area_px=min_area_px)
