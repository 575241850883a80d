"""Crops of a sample at full resolution, chosen where most is to be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.preprocessing.channels import ROLES, choose_roles
from cellsam_core.preprocessing.frames import Frames
from cellsam_core.preprocessing.stage import preprocess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.preprocessing.images import RawImages
    from cellsam_core.preprocessing.options import PreprocessOptions

REGION_PX = 2048
"""Side of the region of an image that is read; the contrast of a crop is that of its region."""

N_REGIONS = 3
CROP_DIAMETERS = 10
MIN_CROP_PX, MAX_CROP_PX = 96, 512


@dataclass(frozen=True)
class Region:
    """Part of one image, as the model sees it.

    Attributes
    ----------
    frame
        Index of the frame, from 0.
    y0, x0
        Position of its first pixel in the image, in pixels.
    frames
        Preprocessed pixels of the region.
    """

    frame: int
    y0: int
    x0: int
    frames: Frames

    @property
    def pixels(self) -> NDArray[np.float32]:
        """Nuclear and whole-cell channel ``(2, y, x)`` in [0, 1]; a channel without stain is 0."""
        planes = self.frames.array[0] if "t" in self.frames.axes else self.frames.array
        out = np.zeros((len(ROLES), *planes.shape[1:]), np.float32)
        for plane, role in zip(planes, self.frames.channels, strict=True):
            out[ROLES.index(role)] = plane / np.float32(65535)
        return out


@dataclass(frozen=True)
class Crop:
    """Window of a region.

    Attributes
    ----------
    frame
        Index of the frame, from 0.
    y0, x0
        Position of its first pixel in the image, in pixels.
    pixels
        Nuclear and whole-cell channel ``(2, y, x)`` in [0, 1].
    """

    frame: int
    y0: int
    x0: int
    pixels: NDArray[np.float32]


def read_regions(
    images: RawImages, options: PreprocessOptions, weights: str, preset: Any
) -> tuple[list[Region], dict[str, list[str]]]:
    """Read and preprocess parts of a sample.

    Parameters
    ----------
    images
        Raw images of the sample.
    options
        Options of preprocessing.
    weights, preset
        Weights that will segment, and their preset.

    Returns
    -------
    regions : list of Region
        The middle of the first, middle and last frame of a movie; of a tissue, the left, middle
        and right part.
    roles : dict
        Role to the names of its channels.
    """
    roles = choose_roles(images, options.nuclear_channel, options.cell_channel, weights)
    names = list(dict.fromkeys(name for group in roles.values() for name in group))
    # The roles are those of the whole sample, whose kit or colours a region does not tell.
    nuclear, cell = (tuple(roles.get(role, ())) or None for role in ROLES)
    options = replace(options, nuclear_channel=nuclear, cell_channel=cell)
    regions = []
    for frame, y0, x0 in _places(images):
        y1, x1 = min(y0 + REGION_PX, images.shape_yx[0]), min(x0 + REGION_PX, images.shape_yx[1])
        pixels = images.read(frame, names, (y0, y1, x0, x1))
        frames = preprocess(
            pixels[None], None, options, weights=weights, preset=preset, channels=names
        )
        assert isinstance(frames, Frames)  # without an output they are in memory
        regions.append(Region(frame, y0, x0, frames))
    return regions, roles


def _places(images: RawImages) -> list[tuple[int, int, int]]:
    """Choose frame, first row and first column of each region."""
    height, width = images.shape_yx
    y0 = max(0, (height - REGION_PX) // 2)
    if images.is_movie:
        last = images.n_frames - 1
        x0 = max(0, (width - REGION_PX) // 2)
        return [(frame, y0, x0) for frame in sorted({0, last // 2, last})]
    if width <= REGION_PX:
        return [(0, y0, 0)]
    columns = np.linspace(0, width - REGION_PX, N_REGIONS)
    return [(0, y0, round(x)) for x in columns]


def choose_crops(regions: list[Region], diameter_px: float) -> list[Crop]:
    """Cut the busiest window of each region; of a single region, the three busiest.

    Parameters
    ----------
    regions
        Regions of the sample.
    diameter_px
        Typical cell diameter in pixels; a crop is 10 cells wide, and 96 to 512 px.
    """
    side = int(np.clip(round(CROP_DIAMETERS * diameter_px), MIN_CROP_PX, MAX_CROP_PX))
    crops = []
    for region in regions:
        pixels = region.pixels
        for y, x in _busiest(pixels, side, N_REGIONS if len(regions) == 1 else 1):
            window = pixels[:, y : y + side, x : x + side]
            crops.append(Crop(region.frame, region.y0 + y, region.x0 + x, window))
    return crops


def _busiest(pixels: NDArray[np.float32], side: int, n: int) -> list[tuple[int, int]]:
    """Find the windows whose pixels differ most from the background and that do not overlap."""
    _, height, width = pixels.shape
    h, w = min(side, height), min(side, width)
    contrast = ((pixels - np.median(pixels, axis=(1, 2), keepdims=True)) ** 2).sum(0)
    activity = ndimage.uniform_filter(contrast, (h, w), mode="constant")
    inside = activity[h // 2 : h // 2 + height - h + 1, w // 2 : w // 2 + width - w + 1].copy()
    found: list[tuple[int, int]] = []
    while len(found) < n and np.isfinite(inside).any():
        y, x = (int(i) for i in np.unravel_index(np.argmax(inside), inside.shape))
        if inside[y, x] == -np.inf:
            break
        found.append((y, x))
        inside[max(0, y - h + 1) : y + h, max(0, x - w + 1) : x + w] = -np.inf
    return found
