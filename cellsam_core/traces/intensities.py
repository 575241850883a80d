"""Intensities of labelled cells: means, medians, saturation and local background."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import ndimage

from cellsam_core.statistics import MAD_TO_SD
from cellsam_core.traces.background import MIN_BACKGROUND_PX, background_of, fit_surface
from cellsam_core.traces.pixel_groups import PixelGroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from cellsam_core.traces.options import TraceOptions

RING_MARGIN_PX = 2  # skips the blurred rim of the nucleus, where nuclear signal spills over
ANNULUS_PX = (5, 15)
PADDING_PX = 5
"""Padding is solid over squares of this side; single pixels may happen to be 0."""
MAX_PADDINGS = 20
MIN_BESIDE_PX = 20
STEP_SD = 4.0
NEARLY_NONE = 0.1
"""Share of the pixels beside padding that may be dark."""


def measure_frame(
    image: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    channels: Sequence[str],
    options: TraceOptions,
    ceilings: Sequence[float | None] | None = None,
    nuclei: npt.NDArray[Any] | None = None,
) -> pd.DataFrame:
    """Measure all cells of one frame.

    Parameters
    ----------
    image
        ``(c, y, x)`` raw intensities, any numeric dtype.
    labels
        ``(y, x)`` integer labels, 0 = background.
    channels
        Names along ``c``.
    options
        Options of traces.
    ceilings
        Saturation value of each channel, where `options` give none; None is the largest value of
        the image's dtype.
    nuclei
        ``(y, x)`` nuclei with the labels of their cells; with them, the compartments nucleus and
        cytoplasm are measured.

    Returns
    -------
    pandas.DataFrame
        One row per cell and compartment: label, compartment, n_px, touches_border,
        background_source, and for every channel mean, background, median and background_sd in
        the units of the image, and n_saturated.
    """
    ids = np.unique(labels).astype(np.int64)
    ids = ids[ids != 0]
    distance, nearest = _distance_to_cells(labels)
    usable = usable_pixels(image, labels)
    outer = options.ring_px + RING_MARGIN_PX if options.ring_px else 0
    compartments = {"cell": PixelGroups(labels, ids)}
    if options.ring_px:
        in_ring = (distance > RING_MARGIN_PX) & (distance <= outer)
        compartments["nucleus"] = compartments["cell"]
        compartments["ring"] = PixelGroups(np.where(in_ring, nearest, 0), ids)
    if nuclei is not None:
        in_nucleus = (nuclei == labels) & (labels != 0)
        compartments["nucleus"] = PixelGroups(np.where(in_nucleus, labels, 0), ids)
        compartments["cytoplasm"] = PixelGroups(np.where(in_nucleus, 0, labels), ids)
    annuli = None
    source = np.full(len(ids), options.background, dtype=object)
    if options.background == "annulus":
        near = (distance > outer + ANNULUS_PX[0]) & (distance <= outer + ANNULUS_PX[1])
        annuli = PixelGroups(np.where(near & usable, nearest, 0), ids)
        source[annuli.counts < MIN_BACKGROUND_PX] = "mode"
    outside = (distance > outer + ANNULUS_PX[0]) & usable
    rims = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    shared: dict[str, Any] = {
        "label": ids,
        "touches_border": np.isin(ids, rims),
        "background_source": source,
    }
    for channel, plane in zip(channels, image, strict=True):
        level, sd = np.zeros(1), np.zeros(1)
        if options.background != "none" and not np.isfinite(plane).any():
            level, sd = np.full(1, np.nan), np.full(1, np.nan)  # not imaged in this frame
        elif options.background != "none":
            surface = fit_surface(plane, outside)
            level, sd = background_of(plane - surface, annuli, outside)
            level = level + compartments["cell"].mean(compartments["cell"].values(surface))
        shared[f"{channel}_background"] = np.broadcast_to(level, len(ids))
        shared[f"{channel}_background_sd"] = np.broadcast_to(sd, len(ids))
    limits = _ceilings(image, options.saturation_value, ceilings)
    tables = []
    for name, groups in compartments.items():
        intensities = _intensities(image, groups, channels, limits)
        tables.append(pd.DataFrame(shared | {"compartment": name} | intensities))
    return pd.concat(tables, ignore_index=True)


def usable_pixels(image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Find the pixels that may be background: finite, and not padding.

    Parameters
    ----------
    image
        ``(c, y, x)``; a channel of NaN only is one that was not imaged, and does not count.
    labels
        ``(y, x)``, 0 = background.
    """
    there = [plane for plane in image if np.isfinite(plane).any()]
    if not there:
        return np.zeros(labels.shape, bool)
    usable = np.isfinite(there).all(axis=0)
    return np.asarray(usable & ~_padding(there, labels))


def _padding(planes: list[npt.NDArray[Any]], labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Find what drift correction, rotation or a mask of the field filled with 0.

    Such regions are 0 in all channels, solid, touch the border, and end in a step: nearly all
    pixels beside them are far above 0, for their noise. Where a background was subtracted, 0 is a
    background, and its neighbours are small.
    """
    black = np.all([plane == 0 for plane in planes], axis=0) & (labels == 0)
    nothing = np.zeros(labels.shape, bool)
    if not black.any():
        return nothing
    square = np.ones((PADDING_PX, PADDING_PX), bool)
    core = ndimage.binary_erosion(black, square, border_value=1)
    solid = ndimage.binary_dilation(core, square) & black
    regions, n_regions = ndimage.label(solid)
    rims = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    padding = nothing
    for region in np.unique(rims[rims > 0])[:MAX_PADDINGS] if n_regions else []:
        inside = regions == region
        beside = ndimage.binary_dilation(inside, np.ones((3, 3), bool)) & ~inside
        if any(_is_step(plane, beside, inside) for plane in planes):
            padding = padding | inside
    return padding


def _is_step(
    plane: npt.NDArray[Any], beside: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]
) -> bool:
    """Tell if nearly all pixels beside a black region are far above 0 for their noise.

    The noise is that between neighbours, so that an uneven illumination does not count.
    """
    values = np.asarray(plane[beside], np.float64)
    if len(values) < MIN_BESIDE_PX:
        return False
    band = ndimage.binary_dilation(beside, np.ones((3, 3), bool)) & ~inside
    noise = max(_noise_along(plane, band, axis) for axis in (0, 1))
    return float(np.quantile(values, NEARLY_NONE)) > STEP_SD * noise


def _noise_along(plane: npt.NDArray[Any], band: npt.NDArray[np.bool_], axis: int) -> float:
    """Estimate the noise of the pixels in a band from the differences of neighbours."""
    both = np.delete(band, -1, axis) & np.delete(band, 0, axis)
    if not both.any():
        return 0.0
    here, there = (np.delete(plane, edge, axis)[both].astype(np.float64) for edge in (-1, 0))
    return MAD_TO_SD * float(np.median(np.abs(there - here))) / math.sqrt(2)


def _ceilings(
    image: npt.NDArray[Any], given: float | None, ceilings: Sequence[float | None] | None
) -> list[float]:
    """Saturation value of each channel: the given one, that of the camera, or of the dtype."""
    own = float(np.iinfo(image.dtype).max) if image.dtype.kind in "iu" else np.inf
    if given is not None:
        return [given] * len(image)
    return [own if value is None else value for value in ceilings or [None] * len(image)]


def _intensities(
    image: npt.NDArray[Any], groups: PixelGroups, channels: Sequence[str], ceilings: Sequence[float]
) -> dict[str, Any]:
    """Return n_px, and for each channel mean, median and n_saturated, of one compartment."""
    columns: dict[str, Any] = {"n_px": groups.counts}
    for channel, plane, ceiling in zip(channels, image, ceilings, strict=True):
        values = groups.values(plane)
        columns[f"{channel}_mean"] = groups.mean(values)
        columns[f"{channel}_median"] = groups.median(values)
        saturated = groups.sum((values >= ceiling).astype(np.float64))
        columns[f"{channel}_n_saturated"] = saturated.astype(np.int64)
    return columns


def _distance_to_cells(
    labels: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[Any]]:
    """Return the distance of every pixel to the nearest cell, in pixels, and that cell's label."""
    if not labels.any():
        return np.full(labels.shape, np.inf), np.zeros_like(labels)
    distance, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return distance, labels[rows, columns]
