"""Options of traces, resolved for one movie."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    """

    options: TraceOptions
    pair: tuple[str, str] | None
    bleach_rate: float = 0.0

    def record(self, frame_interval_s: float | None) -> dict[str, Any]:
        """Return the values that the table of traces records in its metadata."""
        resolved = {"ratio": self.pair, "bleach_rate": self.bleach_rate}
        return asdict(self.options) | resolved | {"frame_interval_s": frame_interval_s}
