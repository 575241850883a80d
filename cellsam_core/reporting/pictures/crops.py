"""Crops at full resolution: where they are taken, and their pictures, raw beside outlined."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from cellsam_core.reporting.page import Picture
from cellsam_core.reporting.pictures.images import Window, outlines, overlay, read_window, stretch
from cellsam_core.statistics import median_diameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.reporting.pictures.images import Rgb
    from cellsam_core.reporting.units import Units

SIDE_DIAMETERS = 6
SIDE_LIMITS_PX = (48, 320)
LEAST_SHOWN_PX = 240
GAP_PX = 4
BAR_HEIGHT_PX = 3
RANDOM = "random place"
N_RANDOM = 3
N_DRAWS = 10  # for each random place, of which those that are shown already are left out
MAX_SHARED = 0.25  # of a crop, with another one
SEED = 0
ROUND_LENGTHS = (1, 2, 5)


@dataclass(frozen=True)
class Place:
    """Place of a crop: the reason for it, frame, and centre in pixels."""

    reason: str
    frame: int
    y: float
    x: float


def choose_places(
    cells: pd.DataFrame, shape_yx: tuple[int, int], seams: Sequence[tuple[float, float]] = ()
) -> list[Place]:
    """Choose up to eight places: random ones, and cells of extreme score, size or density.

    The same table gives the same places. No two of the chosen cells are in one crop: if a cell is
    already shown for another reason, in this frame or another, the next one in the same order is
    taken. Where all cells are shown, another frame of them is taken. There are fewer places in a
    small image: a crop that shares more than a quarter with another one is left out.

    Parameters
    ----------
    cells
        Table of cells with frame, y, x, area_px and score.
    shape_yx
        Height and width of the image in pixels.
    seams
        Centres of seams of tiles, y and x in pixels; the first one is shown.
    """
    if cells.empty:
        return []
    rng = np.random.default_rng(SEED)
    ordered = cells.sort_values(["frame", "y", "x"], kind="stable", ignore_index=True)
    n_frames = int(ordered["frame"].max()) + 1
    height, width = shape_yx
    random = [
        Place(
            RANDOM,
            int(rng.integers(n_frames)),
            float(rng.uniform(0, height)),
            float(rng.uniform(0, width)),
        )
        for _ in range(N_RANDOM * N_DRAWS)
    ]
    first = [Place("seam of two tiles", 0, y, x) for y, x in seams[:1]]
    side = crop_side(cells)
    others = [*_extremes(ordered, n_frames, side), *first]
    kept = _apart([random[0], *others, *random[1:]], shape_yx, side)
    shown = [place for place in random if place in kept][:N_RANDOM]
    return [*shown, *(place for place in others if place in kept)]


def _apart(places: Sequence[Place], shape_yx: tuple[int, int], side_px: int) -> list[Place]:
    """Leave out places that an earlier one of the same frame nearly shows."""
    kept: list[tuple[Place, Window]] = []
    for place in places:
        window = window_at(place, shape_yx, side_px)
        earlier = (other for before, other in kept if before.frame == place.frame)
        if all(_share_in(window, other) <= MAX_SHARED for other in earlier):
            kept.append((place, window))
    return [place for place, _ in kept]


def _share_in(window: Window, other: Window) -> float:
    """Share of a window that another one covers."""
    height = min(window.y1, other.y1) - max(window.y0, other.y0)
    width = min(window.x1, other.x1) - max(window.x0, other.x0)
    area = (window.y1 - window.y0) * (window.x1 - window.x0)
    return max(0, height) * max(0, width) / area


def _extremes(cells: pd.DataFrame, n_frames: int, side_px: int) -> list[Place]:
    """Choose the cell that comes first in each order and is in no crop of the others.

    A cell at another place than those of the others, in any frame, is preferred: most cells look
    alike from frame to frame.
    """
    orders = {"densest place": _densities(cells, n_frames)}
    if "score" in cells and cells["score"].notna().any():
        orders["lowest score"] = cells["score"]
    orders |= {"largest cell": -cells["area_px"], "smallest cell": cells["area_px"]}
    free, elsewhere = np.ones((2, len(cells)), bool)
    frame, y, x = (cells[name].to_numpy() for name in ("frame", "y", "x"))
    chosen = []
    for reason, values in orders.items():
        is_known = values.notna().to_numpy()
        is_open = is_known & (elsewhere if (is_known & elsewhere).any() else free)
        if not is_open.any():
            continue
        row = int(values[is_open].idxmin())
        chosen.append(_place(reason, cells.loc[row]))
        away = np.maximum(abs(y - y[row]), abs(x - x[row]))
        free &= ~((away < side_px / 2) & (frame == frame[row]))
        elsewhere &= away >= side_px
    return chosen


def _place(reason: str, row: Any) -> Place:
    return Place(reason, int(row["frame"]), float(row["y"]), float(row["x"]))


def _densities(cells: pd.DataFrame, n_frames: int) -> pd.Series[float]:
    """Return the distance to the fifth neighbour, in the fullest frame; NaN in the others."""
    from scipy.spatial import cKDTree

    fullest = int(np.bincount(cells["frame"], minlength=n_frames).argmax())
    here = (cells["frame"] == fullest).to_numpy()
    points = cells.loc[here, ["y", "x"]].to_numpy(np.float64)
    distance = np.full(len(cells), np.nan)
    distance[here] = cKDTree(points).query(points, k=[min(6, len(points))])[0][:, 0]
    return pd.Series(distance, index=cells.index)


def crop_side(cells: pd.DataFrame) -> int:
    """Return the side of the crops in pixels: six diameters of the median cell."""
    side_px = SIDE_DIAMETERS * median_diameter(cells["area_px"])
    return int(np.clip(round(side_px), *SIDE_LIMITS_PX))


def window_at(place: Place, shape_yx: tuple[int, int], side_px: int) -> Window:
    """Return the window of a crop, moved so that it is inside the image."""
    bounds = []
    for centre, side in zip((place.y, place.x), shape_yx, strict=True):
        extent = min(side_px, side)
        start = int(np.clip(round(centre) - extent // 2, 0, side - extent))
        bounds += [start, start + extent]
    return Window(bounds[0], bounds[1], bounds[2], bounds[3], stride=1)


def raw_and_outlined(image: OmeZarr, masks: OmeZarr, frame: int, window: Window) -> Rgb:
    """Draw a crop without and with outlines, side by side, at full resolution or larger."""
    plane = read_window(image, frame, len(image.channels) - 1, window)
    labels = read_window(masks, frame, 0, window)
    grey = np.repeat(stretch(plane)[..., None], 3, axis=2)
    return side_by_side([grey, overlay(plane, labels)])


def outlined(
    image: OmeZarr, masks: OmeZarr, frame: int, window: Window, labels: Sequence[int]
) -> Rgb:
    """Draw a crop with the outlines of some labels in white, those of the others in amber."""
    plane = read_window(image, frame, len(image.channels) - 1, window)
    found = read_window(masks, frame, 0, window)
    rgb = overlay(plane, found)
    rgb[outlines(np.where(np.isin(found, list(labels)), found, 0))] = 255
    return rgb


def side_by_side(pictures: Sequence[Rgb]) -> Rgb:
    """Enlarge pictures of one size by whole pixels, and set them side by side with white gaps."""
    factor = max(1, -(-LEAST_SHOWN_PX // max(pictures[0].shape[:2])))
    large = [picture.repeat(factor, axis=0).repeat(factor, axis=1) for picture in pictures]
    gap = np.full((large[0].shape[0], GAP_PX, 3), 255, np.uint8)
    parts = [part for picture in large for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


def with_bar(rgb: Rgb, window: Window, n_pictures: int, units: Units) -> tuple[Rgb, str]:
    """Draw a white scale bar into the first picture; also return its length with its unit."""
    shown = (rgb.shape[1] - GAP_PX * (n_pictures - 1)) // n_pictures
    factor = shown / (window.x1 - window.x0)
    length = round_length((window.x1 - window.x0) * units.per_px / 3)
    bar_px = max(1, round(length / units.per_px * factor))
    y, x = rgb.shape[0] - 10, 8
    drawn = rgb.copy()
    drawn[y - 1 : y + BAR_HEIGHT_PX + 1, x - 1 : x + bar_px + 1] = 0
    drawn[y : y + BAR_HEIGHT_PX, x : x + bar_px] = 255
    return drawn, f"{length:g} {units.length}"


def round_length(largest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a length."""
    power = 10.0 ** np.floor(np.log10(largest))
    return float(max(n * power for n in ROUND_LENGTHS if n * power <= largest * (1 + 1e-9)))


def picture(rgb: Rgb, caption: str, anchor: str = "", back: str = "") -> Picture:
    """Encode pixels as a JPEG of the page."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=88)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{text}", caption, anchor, back)


def seam_centres(shape_yx: tuple[int, int], recorded: dict[str, Any]) -> list[tuple[float, float]]:
    """Return centres of the seams of tiles, y and x in pixels; empty for a single tile.

    Parameters
    ----------
    shape_yx
        Height and width of the image in pixels.
    recorded
        Record of the masks, with the size of the tiles and the diameter of the cells.
    """
    from cellsam_core.segmentation.tiles import recorded_plan

    starts = sorted({(tile.x0, tile.x1) for tile in recorded_plan(shape_yx, recorded)})
    middle = shape_yx[0] / 2
    return [
        (middle, (before[1] + after[0] - 1) / 2) for before, after in itertools.pairwise(starts)
    ]
