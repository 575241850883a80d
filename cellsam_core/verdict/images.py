"""Check of the images that were segmented: light, focus, order and repetition of frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from cellsam_core.errors import InputError
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.verdict import limits
from cellsam_core.verdict.checks import Check, Measure
from cellsam_core.verdict.frames import lost_order, plane_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.verdict.evidence import Evidence
    from cellsam_core.verdict.frames import PlaneFacts

    Read = Callable[[int, tuple[int, int, int, int]], NDArray[Any]]

MAX_FRAMES = 60
"""Frames that are looked at; of a longer movie they are evenly spaced."""
WINDOW_PX = 512
NO_IMAGE = "The images are not there."


@dataclass(frozen=True)
class Pixels:
    """Pixels of the segmented channel, and their largest grey value.

    Attributes
    ----------
    read
        Function of a frame and a window ``(y0, y1, x0, x1)`` that returns ``(y, x)``.
    saturation
        Grey value from which a pixel is saturated; None where it is not known.
    """

    read: Read
    saturation: float | None


@dataclass(frozen=True)
class MovieFacts:
    """Facts about the frames that were looked at.

    Attributes
    ----------
    frames
        Their numbers.
    planes
        Facts about the middle of each.
    n_repeated
        Number of frames that equal the frame before.
    saturated
        Share of the pixels of cells that are saturated, 0-1; None where it is not known.
    """

    frames: list[int]
    planes: list[PlaneFacts]
    n_repeated: int
    saturated: float | None


def image_check(results: Evidence, diameter_px: float | None) -> Check:
    """Judge the images of a movie or tissue.

    Parameters
    ----------
    results
        Results of the sample.
    diameter_px
        Median diameter of the cells in pixels; None without cells.
    """
    image = results.image()
    if image is None:
        measures = [Measure(limits.BLANK, None, NO_IMAGE)]
    else:
        facts = look(segmented_pixels(results, image), results, diameter_px)
        measures = image_measures(facts, diameter_px)
    return Check("images", "Images", "crops", tuple(measures))


def segmented_pixels(results: Evidence, image: OmeZarr) -> Pixels:
    """Return the raw pixels of the channel that was segmented, or the preprocessed ones.

    Raw files that were moved away since, and colour images, leave the preprocessed frames.
    """
    recorded: Any = zarr.open_group(str(image.path), mode="r").attrs.get("cellsam", {})
    chosen: dict[str, list[str]] = recorded.get("channels", {}) if recorded else {}
    names = list(chosen.values())[-1] if chosen else []
    raw = images_of_manifest(results.manifest)
    if len(names) == 1 and names[0] in raw.channels:
        top = _saturation_of(results, names[0])

        def read(frame: int, window: tuple[int, int, int, int]) -> NDArray[Any]:
            return np.asarray(raw.read(frame, names, window)[0])

        try:
            read(0, (0, min(8, raw.shape_yx[0]), 0, min(8, raw.shape_yx[1])))
        except InputError:
            pass
        else:
            return Pixels(read, top)
    return Pixels(partial(_read_preprocessed, image), None)


def _read_preprocessed(
    image: OmeZarr, frame: int, window: tuple[int, int, int, int]
) -> NDArray[Any]:
    index = {
        "t": frame,
        "c": len(image.channels) - 1,
        "y": slice(window[0], window[1]),
        "x": slice(window[2], window[3]),
    }
    return np.asarray(image.read(tuple(index[axis] for axis in image.axes)))


def _saturation_of(results: Evidence, name: str) -> float | None:
    manifest = results.manifest
    values = manifest.saturation_values
    given = values[manifest.channels.index(name)] if values else None
    if given is not None:
        return given
    kind = np.dtype(manifest.dtype)
    return float(np.iinfo(kind).max) if kind.kind in "iu" else None


def look(pixels: Pixels, results: Evidence, diameter_px: float | None) -> MovieFacts:
    """Look at the middle of each frame; of a long movie, at evenly spaced pairs of frames."""
    manifest, masks = results.manifest, results.masks()
    n = manifest.n_frames
    frames = sorted({int(t) for t in np.linspace(0, n - 1, min(n, MAX_FRAMES)).round()})
    window = middle(manifest.shape_yx)
    planes, n_repeated, n_top, n_cell = [], 0, 0, 0
    before: tuple[int, NDArray[Any]] | None = None
    for frame in frames:
        plane = pixels.read(frame, window)
        planes.append(plane_facts(plane, diameter_px))
        if frame > 0:
            if before is None or before[0] != frame - 1:
                before = frame - 1, pixels.read(frame - 1, window)
            n_repeated += bool(np.array_equal(before[1], plane))
        before = frame, plane
        if masks is not None and pixels.saturation is not None:
            inside = _read_labels(masks, frame, window) > 0
            n_cell += int(inside.sum())
            n_top += int((plane[inside] >= pixels.saturation).sum())
    saturated = n_top / n_cell if n_cell else None
    return MovieFacts(frames, planes, n_repeated, saturated)


def middle(shape_yx: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the window of 512 px in the middle of an image, or the whole of a smaller one."""
    bounds = []
    for side in shape_yx:
        extent = min(side, WINDOW_PX)
        start = (side - extent) // 2
        bounds += [start, start + extent]
    return bounds[0], bounds[1], bounds[2], bounds[3]


def _read_labels(masks: OmeZarr, frame: int, window: tuple[int, int, int, int]) -> NDArray[Any]:
    index = {"t": frame, "y": slice(window[0], window[1]), "x": slice(window[2], window[3])}
    return np.asarray(masks.read(tuple(index[axis] for axis in masks.axes)))


def image_measures(facts: MovieFacts, diameter_px: float | None) -> list[Measure]:
    """Judge facts about frames; a single frame has no order and no repetition."""
    n, n_blank = len(facts.frames), sum(plane.is_blank for plane in facts.planes)
    what = f"{n} frames" if n > 1 else "1 image"
    said = f"{n_blank} of {what} show no more than noise."
    measures = [Measure(limits.BLANK, 100 * n_blank / n, said)]
    seen = [plane for plane in facts.planes if not plane.is_blank]
    if n > 1:
        said = f"{facts.n_repeated} of {n - 1} frames equal the frame before."
        measures.append(Measure(limits.REPEATED, 100 * facts.n_repeated / (n - 1), said))
        measures += [_order(seen), _focus_change(seen)]
    measures.append(_blur(seen, diameter_px))
    if facts.saturated is None:
        said = "The largest grey value is not known, or there is no cell."
        return [*measures, Measure(limits.SATURATED, None, said)]
    said = f"{facts.saturated:.1%} of the pixels of cells are saturated."
    return [*measures, Measure(limits.SATURATED, 100 * facts.saturated, said)]


def _order(seen: list[PlaneFacts]) -> Measure:
    lost = lost_order(np.array([plane.thumbnail for plane in seen])) if seen else None
    if lost is None:
        said = "There are fewer than 5 frames, or they hardly change."
        return Measure(limits.ORDER, None, said)
    said = f"The order of the frames loses {lost:.0%} of the resemblance of consecutive frames."
    return Measure(limits.ORDER, 100 * lost, said)


def _focus_change(seen: list[PlaneFacts]) -> Measure:
    width = np.array([plane.edge_px for plane in seen])
    width = width[np.isfinite(width)]
    if len(width) < 5:
        return Measure(limits.FOCUS_CHANGE, None, "There are fewer than 5 frames.")
    share = float((width > 2 * np.percentile(width, 10)).mean())
    said = f"{share:.0%} of the frames are less than half as sharp as the sharpest tenth."
    return Measure(limits.FOCUS_CHANGE, 100 * share, said)


def _blur(seen: list[PlaneFacts], diameter_px: float | None) -> Measure:
    width = np.array([plane.edge_px for plane in seen])
    if not len(width) or not diameter_px or not np.isfinite(np.median(width)):
        return Measure(limits.BLUR, None, "No edge stands out from the noise, or there is no cell.")
    median = float(np.median(width))
    said = f"Edges are {median:.1f} px wide, cells {diameter_px:.0f} px."
    return Measure(limits.BLUR, median / diameter_px, said)
