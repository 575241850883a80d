"""Frames of a ``.dax`` file, raw 16-bit pixels, as described by the ``.inf`` beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import Stack
from cellsam_core.files.plane import Plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

BYTES_PER_PIXEL = 2
SIZE = re.compile(r"^\s*frame dimensions\s*=\s*(\d+)\s*x\s*(\d+)", re.MULTILINE | re.IGNORECASE)
FRAMES = re.compile(r"^\s*number of frames\s*=\s*(\d+)", re.MULTILINE | re.IGNORECASE)
ORDER = re.compile(r"\b(big|little)[ -]endian", re.IGNORECASE)


class Header(NamedTuple):
    """Description of the frames.

    Attributes
    ----------
    n_frames
        Number of frames.
    shape_yx
        Height and width of a frame in pixels.
    dtype
        Unsigned 16-bit integers in the byte order of the file.
    """

    n_frames: int
    shape_yx: tuple[int, int]
    dtype: np.dtype[np.uint16]


def read_header(path: Path) -> Stack:
    """Describe the frames of a file; see :func:`.stack.read_stack`.

    Raises
    ------
    InputError
        The ``.inf`` is missing or incomplete, or says more or fewer frames than the file holds.
    """
    header = _read_inf(path)
    planes = [[Plane(str(path), page)] for page in range(header.n_frames)]
    return Stack(path, "dax", planes, (), header.shape_yx, "uint16")


def read_page(path: str, page: int, window: Window | None = None) -> NDArray[Any]:
    """Read one frame, or a window of it.

    Parameters
    ----------
    path
        The ``.dax`` file.
    page
        Index of the frame.
    window
        ``(y0, y1, x0, x1)`` in pixels; None for all of the frame.
    """
    header = _read_inf(Path(path))
    if page >= header.n_frames:
        raise IndexError(f"frame {page} of {header.n_frames}")
    height, width = header.shape_yx
    y0, y1, x0, x1 = window or (0, height, 0, width)
    if not (0 <= y0 <= y1 <= height and 0 <= x0 <= x1 <= width):
        raise IndexError(f"window {window} outside of an image of {header.shape_yx} px")
    offset = page * height * width * BYTES_PER_PIXEL
    frame = np.memmap(path, header.dtype, mode="r", offset=offset, shape=header.shape_yx)
    return np.array(frame[y0:y1, x0:x1])


def _read_inf(path: Path) -> Header:
    """Read the description, and compare it with the size of the file."""
    inf = path.with_suffix(".inf")
    try:
        text = inf.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(
            inf,
            found="no such file that can be read",
            expected=f"the description of {path.name}, with the size of its frames",
            remedy="copy it from the microscope's computer into the folder of the .dax file",
        ) from error
    size, frames, order = SIZE.search(text), FRAMES.search(text), ORDER.search(text)
    if size is None or frames is None or order is None:
        lacks = [
            name
            for name, found in (
                ("frame dimensions", size),
                ("number of frames", frames),
                ("big endian or little endian", order),
            )
            if found is None
        ]
        raise InputError(
            inf,
            found=f"no {' and no '.join(lacks)}",
            expected="lines such as `frame dimensions = 2048 x 2048`, `number of frames = 30` and"
            " `data type = 16 bit integers (binary, little endian)`",
            remedy="copy the file again from the microscope's computer, or add the lines",
        )
    width, height, n_frames = int(size[1]), int(size[2]), int(frames[1])
    expected = n_frames * height * width * BYTES_PER_PIXEL
    n_bytes = path.stat().st_size
    if n_bytes != expected or not expected:
        raise InputError(
            path,
            found=f"{n_bytes} bytes",
            expected=f"the {expected} bytes of {n_frames} frames of {width} x {height} px that"
            f" {inf.name} says",
            remedy="copy both files again from the microscope's computer",
        )
    dtype = np.dtype(np.uint16).newbyteorder(">" if order[1].lower() == "big" else "<")
    return Header(n_frames, (height, width), dtype)
