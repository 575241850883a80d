"""Label images of a movie, whether they are in memory or on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.labels.source import LabelSource, open_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

IN_MEMORY = Path("labels")
"""Name that stands for labels in memory in error messages."""


@runtime_checkable
class LabelFrames(Protocol):
    """Label images that are read frame by frame, such as an opened ``masks.zarr``."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels."""

    @property
    def pixel_size_um(self) -> float | None:
        """Side of a pixel in micrometres; None if unknown."""

    @property
    def frame_interval_s(self) -> float | None:
        """Time between frames in seconds; None if unknown."""

    def frame(self, index: int) -> NDArray[Any]:
        """Read the ``(y, x)`` labels of one frame."""


def open_label_movie(
    labels: str | Path | LabelSource | LabelFrames | NDArray[Any] | Iterable[NDArray[Any]],
    *,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> LabelSource:
    """Open the label images of a movie for reading frame by frame.

    Parameters
    ----------
    labels
        ``(t, y, x)`` integer array, sequence of ``(y, x)`` arrays, opened labels, or a path that
        :func:`~cellsam_core.labels.source.open_labels` reads. Arrays on disk, such as those of
        Zarr, are read frame by frame. A generator is read into memory.
    pixel_size_um
        Side of a pixel in micrometres; None takes the value of the files, if they have one.
    frame_interval_s
        Time between frames in seconds; None takes the value of the files, if they have one.

    Raises
    ------
    InputError
        The labels are not a movie, or a file can't be read.

    Examples
    --------
    >>> import numpy as np
    >>> movie = open_label_movie(np.ones((3, 8, 9), np.uint16), frame_interval_s=60)
    >>> movie.n_frames, movie.shape_yx, movie.frame_interval_s
    (3, (8, 9), 60)
    """
    source = _open(labels)
    return replace(
        source,
        pixel_size_um=pixel_size_um or source.pixel_size_um,
        frame_interval_s=frame_interval_s or source.frame_interval_s,
    )


def _open(
    labels: str | Path | LabelSource | LabelFrames | NDArray[Any] | Iterable[NDArray[Any]],
) -> LabelSource:
    if isinstance(labels, LabelSource):
        return labels
    if isinstance(labels, str | Path):
        return open_labels(labels)
    if isinstance(labels, LabelFrames):
        return LabelSource(
            Path(getattr(labels, "path", IN_MEMORY)),
            labels.n_frames,
            labels.shape_yx,
            labels.frame,
            labels.pixel_size_um,
            labels.frame_interval_s,
        )
    n_dimensions = getattr(labels, "ndim", 3)
    if n_dimensions != 3:
        raise _not_a_movie(f"an array with {n_dimensions} dimensions")
    is_sequence = hasattr(labels, "__len__") and hasattr(labels, "__getitem__")
    return _in_memory(labels if is_sequence else list(labels))  # type: ignore[arg-type]


def _in_memory(frames: Sequence[NDArray[Any]]) -> LabelSource:
    shape = np.shape(frames[0]) if len(frames) else (0, 0)
    if len(shape) != 2:
        raise _not_a_movie(f"frame 0 with {len(shape)} dimensions")
    height, width = shape
    return LabelSource(
        IN_MEMORY, len(frames), (height, width), lambda index: np.asarray(frames[index])
    )


def _not_a_movie(found: str) -> InputError:
    return InputError(
        IN_MEMORY,
        found=found,
        expected="a (t, y, x) array, or a sequence of (y, x) arrays, 0 = background",
        remedy="give one label image per frame, in order of time",
    )
