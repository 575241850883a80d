"""Physical units of a sample."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """Physical units of a sample, pixels and frames where they are not known.

    Attributes
    ----------
    pixel_size_um, frame_interval_s
        Pixel size and frame interval of the manifest; None where they are not known.
    """

    pixel_size_um: float | None
    frame_interval_s: float | None

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
        return bool(self.frame_interval_s)

    @property
    def time(self) -> str:
        """Unit of time."""
        return "min" if self.frame_interval_s else "frame"

    @property
    def per_frame(self) -> float:
        """Duration of one frame."""
        return self.frame_interval_s / 60 if self.frame_interval_s else 1.0

    @property
    def time_label(self) -> str:
        """Label of a time axis."""
        return "time (min)" if self.frame_interval_s else "frame"

    def at(self, time: float) -> str:
        """Describe a point in time."""
        return f"{time:.4g} min" if self.timed else f"frame {time:g}"

    def label(self, name: str) -> str:
        """Label of an axis of lengths."""
        return f"{name} ({self.length})"
