"""One image plane: the file and page that hold it."""

from __future__ import annotations

from dataclasses import dataclass

PROJECTIONS = ("max", "mean", "focus")
CHANNELS_LAST = "channels last"
"""Series of a TIFF whose channels are its last axis; `page` is the frame, `sample` the channel."""
PALETTE_NUMBERS = "palette numbers"
"""Series of a PNG of which the numbers are read that its palette turns into colours."""


@dataclass(frozen=True)
class Plane:
    """Place of one ``(y, x)`` plane on disk.

    Attributes
    ----------
    path
        Absolute path of the file, or of the folder of an OME-Zarr.
    page
        Index of the TIFF page (IFD) that holds it; elsewhere the index along all axes before y
        and x, the last varying fastest.
    sample
        Index along the page's own sample axis (RGB and planar files); None for a grey page.
    also
        Files of the other z planes, laid out alike: the plane is then the maximum over all.
    series
        Array inside an OME-Zarr, or scene of a microscope's own file; empty for the only one.
    stack
        Other z planes, each its file (empty for `path`) and page; see `projection`.
    projection
        One of `PROJECTIONS`: maximum, mean or sharpest plane of the z planes.
    zoom
        Number of pixels along y and x that one of the file stands for: 2 where the camera binned
        2 x 2 and another channel did not.
    """

    path: str
    page: int = 0
    sample: int | None = None
    also: tuple[str, ...] = ()
    series: str = ""
    stack: tuple[tuple[str, int], ...] = ()
    projection: str = "max"
    zoom: int = 1


Window = tuple[int, int, int, int]
