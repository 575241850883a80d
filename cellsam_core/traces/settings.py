"""Options of traces, resolved for one movie."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.traces.options import TraceOptions


@dataclass(frozen=True)
class TraceSettings:
    """Options of traces with the channels of the ratio and the measured rate of bleaching.

    Attributes
    ----------
    options
        Options as the user gave them.
    pair
        Names of the numerator and the denominator channel, for a KTR twice its only channel; None
        measures intensities only.
    bleach_rate
        Decay of the ratio by bleaching, per frame, as
        :func:`~cellsam_core.traces.bleaching.fit_ratio_decay` measures it.
    has_nuclei
        True if the labels are whole cells whose nuclei are known, so that the cytoplasm is the
        cell without its nucleus; otherwise it is a ring around the label.
    """

    options: TraceOptions
    pair: tuple[str, str] | None
    bleach_rate: float = 0.0
    has_nuclei: bool = False

    def record(
        self, frame_interval_s: float | None, times_s: Sequence[float] | None = None
    ) -> dict[str, Any]:
        """Return the values that the table of traces records in its metadata.

        Parameters
        ----------
        frame_interval_s
            Time between frames in seconds; None if unknown or uneven.
        times_s
            Time of each frame in seconds; recorded where the interval does not tell it.
        """
        resolved: dict[str, Any] = {"ratio": self.pair, "bleach_rate": self.bleach_rate}
        if self.has_nuclei:
            resolved["cytoplasm"] = "cell without nucleus"
        said = asdict(self.options) | resolved | {"frame_interval_s": frame_interval_s}
        is_uneven = times_s is not None and frame_interval_s is None
        return said | ({"frame_times_s": list(times_s or ())} if is_uneven else {})
