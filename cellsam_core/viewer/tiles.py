"""Tiles of 512 px: pictures as JPEG, labels as run lengths, histograms for the contrast."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.viewer.pyramid import Pyramid

TILE_PX = 512
QUALITY = 85
GREY = 0xD0
"""Grey of a tile that can't be read."""
N_BINS = 256
SAMPLED_PX = 1024


@dataclass(frozen=True)
class Channel:
    """Look of one channel.

    Attributes
    ----------
    index
        Index of the channel in the image.
    colour
        Red, green and blue, 0 to 255.
    low, high
        Grey values that are shown black and in full colour.
    """

    index: int
    colour: tuple[int, int, int]
    low: float
    high: float


def image_tile(
    image: Pyramid, frame: int, level: int, place: tuple[int, int], channels: Sequence[Channel]
) -> bytes | None:
    """Draw a tile.

    Parameters
    ----------
    image
        The image.
    frame
        Index of the frame.
    level
        Zoom: a pixel of the tile is ``2**level`` pixels of the image.
    place
        Row and column of the tile.
    channels
        Channels to show; their colours are added.

    Returns
    -------
    bytes or None
        A JPEG; None where the image has no level that is coarse enough.

    Raises
    ------
    InputError
        A chunk is damaged.
    """
    corner, shape = _window(image, level, place)
    is_grey = all(len(set(c.colour)) == 1 for c in channels)
    parts = [np.zeros(shape, np.uint8) for _ in range(1 if is_grey else 3)]
    for channel in channels:
        plane = image.read(level, image.index(frame, channel.index), corner, shape)
        if plane is None:
            return None
        for part, full in zip(parts, channel.colour, strict=False):
            if full:
                _add(part, np.take(_table(channel.low, channel.high, full), plane))
    picture = parts[0] if is_grey else np.stack(parts, axis=-1)
    return bytes(imagecodecs.jpeg8_encode(picture, level=QUALITY))


def broken_tile() -> bytes:
    """Draw the tile that stands for one that can't be read: grey, with a cross."""
    picture = np.full((TILE_PX, TILE_PX), GREY, np.uint8)
    diagonal = np.arange(TILE_PX)
    for shift in (0, 1, 2):
        picture[diagonal, (diagonal + shift) % TILE_PX] = 96
        picture[diagonal, (TILE_PX - 1 - diagonal + shift) % TILE_PX] = 96
    return bytes(imagecodecs.jpeg8_encode(picture, level=QUALITY))


def label_tile(labels: Pyramid, frame: int, level: int, place: tuple[int, int]) -> bytes | None:
    """Pack the labels of a tile and of one pixel around it.

    Returns
    -------
    bytes or None
        Deflated little-endian uint32: height, width, number of runs, the labels of the runs row
        by row, and their lengths. None where no level is coarse enough.

    Raises
    ------
    InputError
        A chunk is damaged.
    """
    (y0, x0), (height, width) = _window(labels, level, place)
    tile = labels.read(level, labels.index(frame), (y0 - 1, x0 - 1), (height + 2, width + 2))
    return None if tile is None else pack(tile)


def pack(labels: NDArray[np.integer]) -> bytes:
    """Write labels ``(y, x)`` as deflated run lengths; see :func:`label_tile`."""
    flat = labels.ravel().astype("<u4")
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(starts, append=flat.size)
    head = np.array([*labels.shape, len(starts)], "<u4")
    packed = b"".join((head.tobytes(), flat[starts].tobytes(), lengths.astype("<u4").tobytes()))
    return zlib.compress(packed, 1)


def unpack(data: bytes) -> NDArray[np.uint32]:
    """Read what :func:`pack` wrote, as the page does."""
    words = np.frombuffer(zlib.decompress(data), "<u4")
    height, width, n = (int(word) for word in words[:3])
    return np.repeat(words[3 : 3 + n], words[3 + n :]).reshape(height, width)


def histogram(image: Pyramid, channel: int) -> tuple[NDArray[np.int64], float, float]:
    """Count the grey values of a channel, in the first, middle and last frame.

    Returns
    -------
    tuple
        Counts ``(256,)`` of equal bins from 0 to 65535, and the grey values to show black and
        in full colour.
    """
    level = max(0, (max(image.shape_yx) - 1).bit_length() - SAMPLED_PX.bit_length() + 1)
    height, width = image.size(level)
    frames = sorted({0, image.n_frames // 2, image.n_frames - 1})
    planes = []
    for frame in frames:
        index = image.index(frame, channel)
        plane = image.read(level, index, (0, 0), (height, width))
        if plane is None:  # no level is coarse enough: the middle, at full resolution
            y, x = ((n - SAMPLED_PX) // 2 for n in image.shape_yx)
            plane = image.read(0, index, (y, x), (SAMPLED_PX, SAMPLED_PX))
        assert plane is not None
        planes.append(plane.ravel())
    values = np.concatenate(planes)
    counts = np.bincount(values >> 8, minlength=N_BINS)
    low, high = np.percentile(values, (0.5, 99.8))
    return counts, float(low), float(max(high, low + 1))


def _window(image: Pyramid, level: int, place: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Corner and shape of a tile in pixels of its level."""
    size = image.size(level)
    corner = place[0] * TILE_PX, place[1] * TILE_PX
    height, width = (min(TILE_PX, n - c) for n, c in zip(size, corner, strict=True))
    return corner, (height, width)


@lru_cache(maxsize=64)
def _table(low: float, high: float, full: int) -> NDArray[np.uint8]:
    """Brightness of each grey value: 0 up to `low`, `full` from `high` on."""
    grey = np.arange(65536, dtype=np.float32)
    share = np.clip((grey - low) * (255 / (high - low)), 0, 255).astype(np.uint16)
    return np.asarray(share * full // 255, np.uint8)


def _add(part: NDArray[np.uint8], more: NDArray[np.uint8]) -> None:
    """Add brightnesses in place; what is brighter than white is white."""
    part += np.minimum(more, 255 - part)
