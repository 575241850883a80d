"""One image plane: the file and page that hold it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plane:
    """Where one ``(y, x)`` plane lives.

    Attributes
    ----------
    path
        Absolute path of the TIFF.
    page
        Index of the TIFF page (IFD) that holds it.
    sample
        Index along the page's own sample axis (RGB and planar files); None for a grey page.
    also
        Files of the other z planes, laid out alike: the plane is then the maximum over all.
    """

    path: str
    page: int = 0
    sample: int | None = None
    also: tuple[str, ...] = ()
