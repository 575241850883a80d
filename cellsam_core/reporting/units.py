"""Physical units of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Units:
    """Physical units of a sample, pixels and frames where they are not known.

    Attributes
    ----------
    pixel_size_um, frame_interval_s
        Pixel size and frame interval of the manifest; None where they are not known.
    uneven_times_s
        Seconds from the first frame to each frame where the frames are not evenly spaced; empty
        where they are.
    """

    pixel_size_um: float | None
    frame_interval_s: float | None
    uneven_times_s: tuple[float, ...] = ()

    @property
    def length(self) -> str:
        """Unit of length."""
        return "µm" if self.pixel_size_um else "px"

    @property
    def area(self) -> str:
        """Unit of area."""
        return f"{self.length}²"

    @property
    def per_px(self) -> float:
        """Length of one pixel."""
        return self.pixel_size_um or 1.0

    @property
    def timed(self) -> bool:
        """True where times are known."""
        return bool(self.frame_interval_s or self.uneven_times_s)

    @property
    def time(self) -> str:
        """Unit of time."""
        return "min" if self.timed else "frame"

    @property
    def per_frame(self) -> float:
        """Duration of one frame, 1 where it is not known or not the same for all frames."""
        return self.frame_interval_s / 60 if self.frame_interval_s else 1.0

    @property
    def time_label(self) -> str:
        """Label of a time axis."""
        return "time (min)" if self.timed else "frame"

    def times(self, frames: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the times of frames and of places between them; uneven times are interpolated."""
        at = np.asarray(frames, np.float64)
        if not self.uneven_times_s:
            return at * self.per_frame
        minutes = np.asarray(self.uneven_times_s) / 60
        first, last = minutes[1] - minutes[0], minutes[-1] - minutes[-2]
        n = len(minutes)
        inside = np.interp(at, np.arange(n), minutes)
        beyond = np.maximum(at - (n - 1), 0) * last + np.minimum(at, 0) * first
        return np.asarray(inside + beyond)

    def at(self, time: float) -> str:
        """Describe a point in time."""
        return f"{time:.4g} min" if self.timed else f"frame {time:g}"

    def label(self, name: str) -> str:
        """Label of an axis of lengths."""
        return f"{name} ({self.length})"
