"""Options of reporter traces."""

from __future__ import annotations

from typing import Literal

from cellsam_core.errors import InputError
from cellsam_core.options import Options, option, options

Reporter = Literal["ratiometric", "ktr"]


@options
class TraceOptions(Options):
    """Options of measuring reporter intensities and ratios of each cell.

    The background of a cell is a smooth surface, fitted to the background of the frame, plus the
    median difference from it over the pixels 5-15 px from the cell (or from its ring) that are
    nearer to this cell than to any other and belong to none. A cell with fewer than 50 such pixels
    gets the mode over all pixels more than 5 px from any cell, as with ``background="mode"``.
    """

    reporter: Reporter = option(
        "ratiometric",
        "ratiometric has two channels; ktr is a kinase translocation reporter, cytoplasm (the ring)"
        " over nucleus.",
    )
    ratio: str | tuple[str, str] | None = option(
        None,
        "NUM/DEN, names of the channels of a ratiometric reporter, or the one channel of a KTR;"
        " null measures intensities only.",
    )
    baseline_frames: int = option(3, "R0 is the mean ratio over this many first frames.", minimum=1)
    drug_frame: int | None = option(
        None,
        "First frame after the drug, counted from 0; null takes the first after the baseline.",
        minimum=1,
    )
    background: Literal["annulus", "mode", "none"] = option(
        "annulus",
        "annulus is taken around each cell, mode of the whole frame, none if already subtracted.",
    )
    ring_px: int = option(
        0,
        "Where labels are nuclei, also measure a ring of this many pixels around each; 0 for none.",
        minimum=0,
    )
    division_margin_frames: int = option(
        2, "Frames on either side of a division that are flagged invalid.", minimum=0
    )
    saturation_value: float | None = option(
        None,
        "Grey value from which a pixel is saturated; null for the largest that the image's type"
        " holds.",
        above=0,
    )

    def check(self) -> None:
        """Refuse a drug during the baseline, and a KTR without a ring around the nucleus."""
        if self.drug_frame is not None and self.drug_frame < self.baseline_frames:
            raise InputError(
                "option `drug_frame`",
                found=str(self.drug_frame),
                expected=f"at least {self.baseline_frames}, the number of baseline frames",
                remedy="correct it, or lower `baseline_frames`",
            )
        if self.reporter == "ktr" and self.ratio is not None and self.ring_px == 0:
            raise InputError(
                "option `ring_px`",
                found="0 for a kinase translocation reporter (ktr)",
                expected="the width of the ring around the nucleus, at least 1 px",
                remedy="set it, for example to 4",
            )
