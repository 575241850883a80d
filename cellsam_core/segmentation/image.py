"""Whole images: tiles are read, segmented one by one, and their cells are merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.preprocessing.channels import ROLES
from cellsam_core.preprocessing.frames import Frames
from cellsam_core.segmentation.dark_cells import drop_dark
from cellsam_core.segmentation.instances import merge_tiles, place
from cellsam_core.segmentation.tiles import Tile, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.options import SegmentOptions, Target
    from cellsam_core.segmentation.segmenter import Model, TileSegmenter

    AnyFrames = OmeZarr | Frames

N_SAMPLED_FRAMES = 3
REGION_PX = 1600
"""Side of the part of a frame in which the cell diameter is measured."""

TISSUE_DIAMETER_UM = (6.0, 30.0)
"""Smallest and largest cell diameter in tissues that spatial transcriptomics images."""


def open_frames(frames: str | Path | OmeZarr | Frames) -> OmeZarr | Frames:
    """Open a preprocessed sample, given as its path or opened already.

    Raises
    ------
    InputError
        ``preprocess`` did not make the frames.
    """
    if isinstance(frames, Frames):
        return frames
    if not isinstance(frames, str | Path | omezarr.OmeZarr):
        raise InputError(
            "frames",
            found=f"an object of type {type(frames).__name__}",
            expected="what `cellsam_core.preprocess` returned, or the path of a frames.zarr",
            remedy="give an array to `cellsam_core.preprocess` first",
        )
    opened = frames if isinstance(frames, omezarr.OmeZarr) else omezarr.open_(frames)
    n_channels = opened.array.shape[opened.axes.index("c")] if "c" in opened.axes else None
    if len(opened.channels) != n_channels or not set(opened.channels) <= set(ROLES):
        raise InputError(
            opened.path,
            found=f"axes {opened.axes} and channels {', '.join(opened.channels) or 'none'}",
            expected=f"channels {' and/or '.join(ROLES)}",
            remedy="give the frames.zarr that `cellsam-core preprocess` wrote",
        )
    return opened


def stains_of(frames: AnyFrames, target: Target) -> tuple[str, ...]:
    """Return the stains in which objects are searched for.

    Raises
    ------
    InputError
        Nuclei are wanted, but there is only one stain.
    """
    if target == "nucleus" and set(frames.channels) != set(ROLES):
        raise InputError(
            "option `target`",
            found=f"nucleus for an image with the {' and '.join(frames.channels)} stain only",
            expected="an image with a nuclear and a cell stain",
            remedy="set nuclear_channel and cell_channel, or leave the option out: the only stain"
            " is segmented anyway",
        )
    return ("nuclear",) if target == "nucleus" else tuple(frames.channels)


def read_tile(
    frames: AnyFrames, tile: Tile, stains: tuple[str, ...] = ROLES
) -> NDArray[np.float32]:
    """Read a tile as ``(2, y, x)`` in [0, 1]: nuclear, whole cell; stains left out are 0."""
    window = np.s_[:, tile.y0 : tile.y1, tile.x0 : tile.x1]
    pixels = frames.read((tile.frame, *window) if "t" in frames.axes else window)
    out = np.zeros((2, *pixels.shape[1:]), np.float32)
    for plane, role in zip(pixels, frames.channels, strict=True):
        if role in stains:
            out[ROLES.index(role)] = plane / np.float32(65535)
    return out


def estimate_diameter_of_frames(
    segmenter: TileSegmenter, frames: AnyFrames, stains: tuple[str, ...] = ROLES
) -> float:
    """Measure the cell diameter, in pixels, in the middle of the first, middle and last frame.

    Where the middle is empty, as between fields of view, the nearest region with an image is
    taken. In tissue of known pixel size, cells of 6 to 30 um are searched for.
    """
    indices = sorted({round(f) for f in np.linspace(0, frames.n_frames - 1, N_SAMPLED_FRAMES)})
    read = partial(read_tile, frames, stains=stains)
    samples = [_sample(read, f, frames.shape_yx) for f in indices]
    if "t" in frames.axes or frames.pixel_size_um is None:
        return segmenter.measure_diameter_px(samples)
    low, high = (um / frames.pixel_size_um for um in TISSUE_DIAMETER_UM)
    return segmenter.measure_diameter_px(samples, limits_px=(low, high))


def _sample(
    read: Callable[[Tile], NDArray[np.float32]], frame: int, shape_yx: tuple[int, int]
) -> NDArray[np.float32]:
    """Read the middle of a frame or, if all its pixels are equal, the region nearest to it."""
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
    """Tell whether all pixels of a tile ``(c, y, x)`` are equal, so that it has no cells."""
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
        Model with thresholds.
    pixels
        Tile ``(2, y, x)``, float32 in [0, 1]; a tile of one brightness has no cells.
    diameter_px
        Typical cell diameter in pixels.
    drops_dark
        True drops cells that are darker than their surroundings, see
        :func:`.dark_cells.drop_dark`.
    """
    if is_blank(pixels):
        return []
    found = segmenter.segment(pixels, diameter_px)
    return drop_dark(found, pixels, diameter_px) if drops_dark else found


def find_in_tiles(
    segmenter: TileSegmenter,
    read: Callable[[Tile], NDArray[np.float32]],
    tiles: Iterable[Tile],
    shape_yx: tuple[int, int],
    diameter_px: float,
    *,
    drops_dark: bool,
) -> Iterator[tuple[Tile, list[Instance]]]:
    """Yield each tile with its cells, which are in the pixels of the image.

    Parameters
    ----------
    segmenter
        Model with thresholds.
    read
        Function that returns the pixels ``(2, y, x)`` of a tile, float32 in [0, 1].
    tiles
        Tiles to look at.
    shape_yx
        Height and width of the image in pixels.
    diameter_px
        Typical cell diameter in pixels of the image.
    drops_dark
        True drops cells that are darker than their surroundings, see :func:`segment_tile`.
    """
    for tile in tiles:
        found = segment_tile(segmenter, read(tile), diameter_px, drops_dark=drops_dark)
        yield tile, [place(instance, tile, shape_yx) for instance in found]


def segment_image(
    segmenter: TileSegmenter,
    pixels: NDArray[np.float32],
    *,
    diameter_px: float | None,
    tile_px: int,
    min_area_px: int,
    drops_dark: bool = False,
) -> list[Instance]:
    """Segment the prepared channels of one image, as a movie of this one frame is segmented.

    Parameters
    ----------
    segmenter
        Model with thresholds.
    pixels
        Nuclear and whole-cell channel ``(2, y, x)``, float32 in [0, 1]; an absent one is 0.
    diameter_px
        Typical cell diameter in pixels; None measures it in the middle of the image.
    tile_px
        Side of a tile in the model's pixels.
    min_area_px
        Smallest area of a cell in pixels; smaller cells are dropped.
    drops_dark
        True drops cells that are darker than their surroundings, see :func:`segment_tile`.

    Returns
    -------
    list of Instance
        Disjoint cells in label order; :func:`cellsam_core.segmentation.instances.draw_labels`
        draws them.
    """
    shape_yx = pixels.shape[1], pixels.shape[2]

    def read(tile: Tile) -> NDArray[np.float32]:
        return pixels[:, tile.y0 : tile.y1, tile.x0 : tile.x1]

    if diameter_px is None:
        diameter_px = segmenter.measure_diameter_px([_sample(read, 0, shape_yx)])
    tiles = plan(1, shape_yx, diameter_px, tile_px, fits=segmenter.fits_tiles)
    by_tile = find_in_tiles(segmenter, read, tiles, shape_yx, diameter_px, drops_dark=drops_dark)
    found = [instance for _, instances in by_tile for instance in instances]
    return merge_tiles(found, min_area_px=min_area_px)


@dataclass(frozen=True)
class FrameSegmentation:
    """Segmentation of preprocessed frames, ready to run tile by tile.

    Attributes
    ----------
    frames
        Preprocessed frames.
    segmenter
        Model with thresholds.
    diameter_px
        Typical cell diameter in pixels, as given or measured.
    drops_dark
        True drops cells that are darker than their surroundings.
    tiles
        All tiles of all frames, in order.
    settings
        Description of the model and its options, for provenance.
    stains
        Stains in which objects are searched for.
    """

    frames: AnyFrames
    segmenter: TileSegmenter
    diameter_px: float
    drops_dark: bool
    tiles: list[Tile]
    settings: dict[str, Any]
    stains: tuple[str, ...] = ROLES

    def find(self, tiles: Iterable[Tile]) -> Iterator[tuple[Tile, list[Instance]]]:
        """Yield each of the given tiles with its cells."""
        return find_in_tiles(
            self.segmenter,
            partial(read_tile, self.frames, stains=self.stains),
            tiles,
            self.frames.shape_yx,
            self.diameter_px,
            drops_dark=self.drops_dark,
        )


def drops_dark_cells(options: SegmentOptions, *, is_tissue: bool) -> bool:
    """Tell if dark cells are dropped: as the options say, or else in tissues only."""
    return options.dark_cells == "drop" or (options.dark_cells == "auto" and is_tissue)


def prepare(frames: AnyFrames, model: Model, options: SegmentOptions) -> FrameSegmentation:
    """Measure the cell diameter where it is not given, and plan the tiles.

    Dark cells are dropped from tissues, not from movies, unless the options decide.
    """
    segmenter = model.segmenter(options)
    stains = stains_of(frames, model.target)
    if options.cell_diameter_px == "auto":
        diameter_px = estimate_diameter_of_frames(segmenter, frames, stains)
    else:
        diameter_px = float(options.cell_diameter_px)
    drops_dark = drops_dark_cells(options, is_tissue="t" not in frames.axes)
    dark_cells = "drop" if drops_dark else "keep"
    settings = model.settings(options) | {
        "cell_diameter_px": diameter_px,
        "dark_cells": dark_cells,
        "fits_tiles": segmenter.fits_tiles,
    }
    tiles = plan(
        frames.n_frames,
        frames.shape_yx,
        diameter_px,
        options.tile_px,
        fits=segmenter.fits_tiles,
    )
    return FrameSegmentation(frames, segmenter, diameter_px, drops_dark, tiles, settings, stains)
