"""Errors of damaged TIFFs, and of pixels that are no grey values or colours."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.planes import READ_ERRORS, lossy_labels, unreadable
from cellsam_core.files.tiff.axes import axes_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what readers of TIFFs raise on damaged files into InputError."""
    try:
        yield
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable TIFF ({first_line(error)})") from error


@contextmanager
def page_errors(path: Path) -> Iterator[None]:
    """Turn the errors on broken page chains, which tifffile only logs, into InputError."""
    messages: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if any(re.search(r"page|tag list", m) for m in messages):
        raise unreadable(path, "a truncated TIFF (its list of pages is broken)")
    if broken := next((m for m in messages if re.search(r"TiffTag (2[5-9]\d|3[0-3]\d) ", m)), None):
        raise unreadable(path, f"a damaged TIFF ({broken.splitlines()[0]})")


def check_pixels(page: Any, path: Path, *, are_labels: bool) -> None:
    """Refuse volumes in one page, labels as JPEG, and a palette whose values are no grey values.

    Microscopes and ImageJ save images of 8 bit with a palette, grey or of one hue, for display:
    the values are those of the camera. Of labels any palette is for display.
    """
    if page.imagedepth > 1:
        raise axes_error(path, f"a volume of {page.imagedepth} planes in a page", "2-D pages")
    if are_labels and page.compression in (tifffile.COMPRESSION.OJPEG, tifffile.COMPRESSION.JPEG):
        raise lossy_labels(path, "a TIFF compressed as JPEG")
    is_palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
    if is_palette and not are_labels and not _brightens(page.colormap):
        raise InputError(
            path,
            found="colours from a palette",
            expected="grey or RGB pixels, or a palette that brightens with the value",
            remedy="save the image as grey or RGB",
        )


def _brightens(palette: NDArray[np.uint16]) -> bool:
    """Tell whether the colours ``(3, n)`` of a palette become brighter from value to value."""
    brightness = palette.astype(np.int64).sum(0)
    return bool((np.diff(brightness) >= 0).all() and brightness[-1] > brightness[0])


def dtype_of(image: Any, path: Path) -> str:
    """Return the name of the type of the pixels; types that are no numbers are refused."""
    dtype = image.dtype
    if dtype is None or np.dtype(dtype).kind not in "uif":
        raise InputError(
            path,
            found="pixels of one bit" if np.dtype(dtype).kind == "b" else f"pixels of type {dtype}",
            expected="8, 16 or 32-bit integers or floating point",
            remedy="number the cells, with skimage.measure.label, if these are their masks, else "
            "convert the image to 16 bit",
        )
    return str(np.dtype(dtype).newbyteorder("=").name)
