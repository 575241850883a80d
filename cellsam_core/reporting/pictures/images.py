"""Pictures for the report: strided reading, contrast, outlines in the colour of their track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.files.omezarr import OmeZarr

    Rgb = npt.NDArray[np.uint8]

MAX_SIDE_PX = 900
PALETTE = (
    np.array(
        [
            (230, 159, 0),  # orange
            (86, 180, 233),  # sky blue
            (46, 204, 155),  # bluish green, lightened
            (240, 228, 66),  # yellow
            (235, 110, 40),  # vermilion, lightened
            (225, 150, 190),  # reddish purple, lightened
            (250, 250, 250),  # white
        ]
    )
    / 255
)
AMBER = (255, 190, 60)


@dataclass(frozen=True)
class Window:
    """A rectangle of the image in pixels, half open, read with a stride.

    Attributes
    ----------
    y0, y1, x0, x1
        Bounds in full-resolution pixels.
    stride
        Side in pixels of the squares that are one pixel of the picture; a power of two.
    """

    y0: int
    y1: int
    x0: int
    x1: int
    stride: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top edge in pixels, with pixel centres at integers."""
        return (self.x0 - 0.5, self.x1 - 0.5, self.y1 - 0.5, self.y0 - 0.5)


def window_around(
    shape_yx: tuple[int, int],
    centre_yx: tuple[float, float] | None = None,
    side_px: int | None = None,
    max_side_px: int = MAX_SIDE_PX,
) -> Window:
    """Choose a window of `side_px` about `centre_yx`, inside the image; else the whole image."""
    height, width = shape_yx
    if centre_yx is None or side_px is None:
        side_y, side_x, y0, x0 = height, width, 0, 0
    else:
        side_y, side_x = min(side_px, height), min(side_px, width)
        y0 = int(np.clip(round(centre_yx[0]) - side_y // 2, 0, height - side_y))
        x0 = int(np.clip(round(centre_yx[1]) - side_x // 2, 0, width - side_x))
    # A power of two, because the files have levels of half the resolution.
    stride = 1 << max(0, (-(-max(side_y, side_x) // max_side_px) - 1).bit_length())
    return Window(y0, y0 + side_y, x0, x0 + side_x, stride)


def read_window(source: OmeZarr, frame: int, channel: int, window: Window) -> npt.NDArray[Any]:
    """Read a window ``(y, x)`` of one frame with its stride; nothing more is held in memory.

    Pixels of an image are means over squares of the stride; of labels, one label is taken.

    Parameters
    ----------
    source
        Image or labels; `frame` and `channel` are ignored along axes that it lacks.
    """
    k = min(window.stride.bit_length(), len(source.level_paths)) - 1
    spans = {
        axis: slice(start >> k, -(-stop // 2**k))
        for axis, start, stop in (("y", window.y0, window.y1), ("x", window.x0, window.x1))
    }
    index = {"t": frame, "c": channel, **spans}
    found = np.asarray(source.level(k)[tuple(index[axis] for axis in source.axes)])
    left = window.stride >> k
    if left == 1:
        return found
    return area_means(found, left) if "c" in source.axes else found[::left, ::left]


def area_means(plane: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    """Return the means over squares of `size` pixels; those at the far edges may be smaller."""
    found = plane.astype(np.float32)
    for axis in (0, 1):
        starts = np.arange(0, found.shape[axis], size)
        lengths = np.diff(np.append(starts, found.shape[axis]))
        sums = np.add.reduceat(found, starts, axis=axis)
        found = sums / np.expand_dims(lengths, 1 - axis)
    return found


def stretch(plane: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Stretch grey levels to 0-255 between the 1st and 99.8th percentile; a flat image is black."""
    low, high = np.percentile(plane, [1, 99.8]) if plane.size else (0.0, 0.0)
    if high <= low:
        return np.zeros(plane.shape, np.uint8)
    scaled = (plane.astype(np.float64) - low) / (high - low)
    return np.asarray(255 * scaled.clip(0, 1), dtype=np.uint8)


def id_colours(ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Return a bright colour for each id, ``(n, 3)`` in 0-1; an id always has the same colour.

    The colours differ for every kind of colour vision (after Okabe and Ito).
    """
    return np.asarray(PALETTE[np.asarray(ids, dtype=np.int64) % len(PALETTE)])


def outlines(labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Find the inner outline of each label: its pixels with one of four neighbours outside."""
    inside = np.ones(labels.shape, dtype=bool)
    for axis in (0, 1):
        ahead = np.swapaxes(labels, 0, axis)
        same = ahead[1:] == ahead[:-1]
        view = np.swapaxes(inside, 0, axis)
        view[1:] &= same
        view[:-1] &= same
    return np.asarray((labels > 0) & ~inside)


def overlay(
    plane: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    ids: npt.NDArray[np.int64] | None = None,
    brightness: float = 1.0,
) -> Rgb:
    """Draw outlines on a grey image.

    Parameters
    ----------
    plane, labels
        Image and labels ``(y, x)`` of the same shape.
    ids
        Id that gives the colour of label i at index i, 0 for grey; None draws all in amber.
    brightness
        Brightness of the image, 0-1; the outlines are always drawn at full brightness.
    """
    rgb = np.repeat((brightness * stretch(plane)).astype(np.uint8)[..., None], 3, axis=2)
    edge = outlines(labels)
    if ids is None:
        rgb[edge] = AMBER
        return rgb
    colour_ids = ids[labels[edge].astype(np.int64)]
    colours = (255 * id_colours(colour_ids)).astype(np.uint8)
    colours[colour_ids == 0] = 160
    rgb[edge] = colours
    return rgb
