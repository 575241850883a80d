"""Axes of a transcript table, tested by the stains: exchanged, or one of them backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.files.planes import read_plane
from cellsam_core.samples.affine import apply_affine, pixel_size_of
from cellsam_core.samples.transcripts import iter_transcripts

if TYPE_CHECKING:
    from cellsam_core.files.plane import Plane, Window
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.samples.vendors.contract import Stains

Points = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.float32]

WINDOW_PX = 512
N_WINDOWS = 12
MAX_ROWS = 20_000
"""Largest number of transcripts that are looked at in a window."""
SHIFTS_UM = (10.0, 15.0)
"""Distances by which transcripts are moved aside, more than half of a cell."""
N_DIRECTIONS = 8
BLOCK_UM = 10.0
MIN_BLOCKS = 20
MIN_RISE = 0.03
"""Least rise for axes that fit: it is 0.034 or more in 18 simulated and 4 real tissues."""
CERTAIN, LIKELY = 3.5, 2.0
"""Standard errors between two rises. Rises in wrong places differ by chance alone."""
MAX_SHARE = 0.4
"""Largest rise of the axes as they are, as a share of that of axes that fit."""
WAYS = {
    "exchanged": "with x and y exchanged",
    "x_backwards": "with x counted from the other side",
    "y_backwards": "with y counted from the other side",
    "both_backwards": "with x and y counted from the other side",
}


class Peak(NamedTuple):
    """Rise of the mean rank of a stain (0 to 1) under transcripts, and its standard error."""

    rise: float
    error: float

    def above(self, other: Peak) -> float:
        """Return by how many standard errors the rise is above another one."""
        return (self.rise - other.rise) / float(np.hypot(self.error, other.error))

    @property
    def is_clear(self) -> bool:
        """True if transcripts lie on the stain, beyond chance."""
        return self.rise >= MIN_RISE and self.rise > CERTAIN * self.error


class _Window(NamedTuple):
    """Part of an image, ``(y0, y1, x0, x1)``, with pixels of transcripts from its first one."""

    box: Window
    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]


def check_axes(source: TranscriptSource, stains: Stains, *, is_sure: bool) -> list[str]:
    """Test by the stains that the axes of a table run as those of the image.

    Transcripts lie where cells are. The mean rank of a stain under them is therefore above that
    under the same transcripts moved aside by more than half of a cell. In a wrong place there is
    no such rise. Some thousands of transcripts and a few windows of the image are read.

    Parameters
    ----------
    source
        Transcripts, placed on the image.
    stains
        Planes of the image.
    is_sure
        The user says that the coordinates are right: a contradiction is no error.

    Returns
    -------
    list
        A warning if other axes probably fit better.

    Raises
    ------
    InputError
        Other axes certainly fit better.
    """
    batch = next((b for b in iter_transcripts(source) if b.num_rows), None)
    if batch is None:
        return []
    px = np.stack([batch["x_px"].to_numpy(), batch["y_px"].to_numpy()])
    pixel_size_um = pixel_size_of(np.array(source.um_to_px))
    as_is = peak(stains, px, pixel_size_um)
    if as_is.is_clear or not np.isfinite(as_is.error):
        return []
    peaks = {
        way: peak(stains, _moved(way, px, source, stains.shape_yx), pixel_size_um) for way in WAYS
    }
    better = max(peaks, key=lambda way: peaks[way].above(as_is))
    best = peaks[better]
    if best.rise < MIN_RISE or as_is.rise > MAX_SHARE * best.rise or best.above(as_is) < LIKELY:
        return []
    is_certain = best.above(as_is) >= CERTAIN and best.is_clear
    lie = (
        f"on the bright cells of the stain only {WAYS[better]} (mean rank of the stain under"
        f" transcripts above that beside them: {best.rise:+.3f}, as they are {as_is.rise:+.3f})"
    )
    remedy = _remedy(better, source, stains.shape_yx)
    if is_sure or not is_certain:
        return [
            f"Transcripts {'' if is_certain else 'probably '}lie {lie}. If the picture of the"
            f" transcripts in the report does not fit, {remedy}."
        ]
    raise InputError(
        source.path,
        found=f"transcripts that lie {lie}",
        expected="coordinates along the axes of the image",
        remedy=f"{remedy}; or fill the column orientation of the sample sheet (--orientation) with"
        " as_is, if the coordinates are right",
    )


def peak(stains: Stains, px: Points, pixel_size_um: float) -> Peak:
    """Measure how well transcripts lie on the stains.

    Parameters
    ----------
    stains
        Planes of the image.
    px
        ``(2, n)`` pixels ``(x, y)`` of transcripts.
    pixel_size_um
        Side of a pixel.

    Returns
    -------
    Peak
        In the stain in which the rise is largest; an infinite error where it can't be told.
    """
    reach = [max(1, round(um / pixel_size_um)) for um in SHIFTS_UM]
    windows = _windows(px, stains.shape_yx, max(reach))
    block_px = max(1, round(BLOCK_UM / pixel_size_um))
    return max(_peak(plane, windows, reach, block_px) for plane in stains.planes)


def _moved(way: str, px: Points, source: TranscriptSource, shape_yx: tuple[int, int]) -> Points:
    """Pixels of the transcripts with other axes."""
    if way == "exchanged" and source.unit == "um":
        um_to_px = np.array(source.um_to_px)
        return apply_affine(um_to_px, apply_affine(np.linalg.inv(um_to_px), px)[::-1])
    if way == "exchanged":
        return px[::-1]
    moved = px.copy()
    for axis, name in enumerate("xy"):
        if way in (f"{name}_backwards", "both_backwards"):
            moved[axis] = shape_yx[1 - axis] - 1 - px[axis]
    return moved


def _remedy(way: str, source: TranscriptSource, shape_yx: tuple[int, int]) -> str:
    """Change of the table that gives it other axes."""
    x, y = source.x, source.y
    if way == "exchanged":
        return f"exchange the names of the columns {x} and {y} of the table"
    um_to_px = np.array(source.um_to_px)
    names = [name for name in (x, y) if way in ("both_backwards", f"{'xy'[name == y]}_backwards")]
    if source.unit == "um" and (um_to_px[0, 1] or um_to_px[1, 0]):
        return f"turn the axis {' and '.join(names)} of the table round"
    changes = []
    for name in names:
        axis = int(name == y)
        scale, offset = um_to_px[axis, axis], um_to_px[axis, 2]
        total = shape_yx[1 - axis] - 1.0
        if source.unit == "um":
            total = (total - 2 * offset) / scale
        changes.append(f"{name} by {total:.6g} - {name}")
    return f"replace {' and '.join(changes)} in the table"


def _windows(px: Points, shape_yx: tuple[int, int], reach: int) -> list[_Window]:
    """Choose the windows with most transcripts, with margins into which they are moved."""
    height, width = shape_yx
    x, y = np.rint(px).astype(np.int64)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    x, y = x[inside], y[inside]
    n_columns = -(-width // WINDOW_PX)
    tile = y // WINDOW_PX * n_columns + x // WINDOW_PX
    counts = np.bincount(tile) if len(tile) else np.zeros(0, np.int64)
    chosen = np.argsort(-counts, kind="stable")[:N_WINDOWS]
    windows = []
    for each in map(int, chosen[counts[chosen] > 0]):
        own = np.flatnonzero(tile == each)
        own = own[:: -(-len(own) // MAX_ROWS)]
        top = max(0, each // n_columns * WINDOW_PX - reach)
        left = max(0, each % n_columns * WINDOW_PX - reach)
        y1 = min(height, (each // n_columns + 1) * WINDOW_PX + reach)
        x1 = min(width, (each % n_columns + 1) * WINDOW_PX + reach)
        windows.append(_Window((top, y1, left, x1), x[own] - left, y[own] - top))
    return windows


def _peak(plane: Plane, windows: list[_Window], reach: list[int], block_px: int) -> Peak:
    """Rise of the mean rank of one stain; blocks are independent, not their transcripts."""
    sums: list[npt.NDArray[Any]] = [np.zeros(0)]
    counts: list[npt.NDArray[Any]] = [np.zeros(0, np.int64)]
    for window in windows:
        ranks = _ranks(read_plane(plane, window.box))
        rise = ranks[window.y, window.x] - _beside(ranks, window, reach)
        block = window.y // block_px * (ranks.shape[1] // block_px + 1) + window.x // block_px
        n = np.bincount(block)
        sums.append(np.bincount(block, rise)[n > 0])
        counts.append(n[n > 0])
    n, total = np.concatenate(counts), np.concatenate(sums)
    if len(n) < MIN_BLOCKS:
        return Peak(0.0, np.inf)
    mean = total.sum() / n.sum()
    error = np.sqrt(((total - n * mean) ** 2).sum()) / n.sum()
    return Peak(float(mean), max(float(error), 1e-9))


def _beside(ranks: Ranks, window: _Window, reach: list[int]) -> Ranks:
    """Mean rank around each transcript, of the places that are in the window."""
    height, width = ranks.shape
    total, n = np.zeros((2, len(window.x)), np.float32)
    for r in reach:
        for a in np.arange(N_DIRECTIONS) * 2 * np.pi / N_DIRECTIONS:
            y, x = window.y + round(r * np.sin(a)), window.x + round(r * np.cos(a))
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            total[inside] += ranks[y[inside], x[inside]]
            n += inside
    return np.asarray(total / np.maximum(n, 1))


def _ranks(image: npt.NDArray[Any]) -> Ranks:
    """Rank of each pixel among all, 0 to 1."""
    flat = image.ravel()
    some = np.sort(flat[:: max(1, flat.size // 20_000)])
    rank = np.searchsorted(some, flat, "right") / len(some)
    return rank.astype(np.float32).reshape(image.shape)
