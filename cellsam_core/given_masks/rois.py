"""ROIs of ImageJ: a ``.roi`` file or a ``.zip`` of the ROI manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

CORNER_TO_CENTRE = -0.5
"""ImageJ counts from the corner of a pixel, the pipeline from its centre."""
MIN_CORNERS = 3


def read_rois(path: Path, n_frames: int) -> tuple[npt.NDArray[np.int64], list[shapely.Geometry]]:
    """Read the ROIs that enclose an area; points and lines are left out.

    Parameters
    ----------
    path
        File of the ROI manager.
    n_frames
        Number of frames of the movie. With one frame, the position of a ROI does not matter.

    Returns
    -------
    frame
        Frame of each ROI, counted from 0.
    geometry
        Polygons in pixels ``(x, y)``; pixel centres are at integers.

    Raises
    ------
    InputError
        The file is damaged, has no areas, or a ROI of a movie has no frame.
    """
    import roifile

    try:
        found: Any = roifile.roiread(path)
        rois = found if isinstance(found, list) else [found]
        shapes = [_shape(roi) for roi in rois]
    except Exception as error:  # the library raises whatever a damaged byte leads to
        raise InputError(
            path,
            found=f"ROIs that can't be read ({first_line(error)})",
            expected="a .zip or .roi file of the ROI manager of ImageJ",
            remedy="save the ROIs again (ROI Manager > More > Save)",
        ) from error
    kept = [(roi, shape) for roi, shape in zip(rois, shapes, strict=True) if shape is not None]
    if not kept:
        raise InputError(
            path,
            found=f"{len(rois)} ROIs, none of which encloses an area",
            expected="outlines of cells",
            remedy="save polygons, freehand outlines, ovals, rectangles or composite ROIs",
        )
    frames = [0 if n_frames == 1 else _frame(path, roi, n_frames) for roi, _ in kept]
    return np.array(frames, np.int64), [shape for _, shape in kept]


def _frame(path: Path, roi: Any, n_frames: int) -> int:
    """Return the frame of a ROI, from its place in the hyperstack or stack."""
    number = int(roi.t_position) or int(roi.position)
    if not 1 <= number <= n_frames:
        raise InputError(
            path,
            found=f"ROI {roi.name!r} in frame {number}"
            if number
            else f"ROI {roi.name!r} without a frame",
            expected=f"a frame from 1 to {n_frames} for each ROI",
            remedy="in ImageJ set it (ROI Manager > Properties > Position), or give a folder with"
            " one file of ROIs for each frame",
        )
    return number - 1


def _shape(roi: Any) -> shapely.Geometry | None:
    """Return the area of a ROI; its inner rings are holes."""
    import roifile

    areal = {"POLYGON", "FREEHAND", "TRACED", "RECT", "OVAL"}
    if roifile.ROI_TYPE(roi.roitype).name not in areal:
        return None
    rings = [np.asarray(ring, np.float64) for ring in roi.coordinates(multi=True)]
    polygons = [
        shapely.make_valid(shapely.Polygon(ring + CORNER_TO_CENTRE))
        for ring in rings
        if len(ring) >= MIN_CORNERS
    ]
    area: shapely.Geometry = shapely.Polygon()
    for polygon in polygons:
        area = shapely.symmetric_difference(area, polygon)
    return area if shapely.area(area) > 0 else None
