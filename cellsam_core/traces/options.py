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
        "`ratiometric`: the ratio is that of two channels. `ktr` (kinase translocation reporter):"
        " the ratio is that of the cytoplasm (the ring, or the cell without its nucleus) to the"
        " nucleus, in one channel.",
    )
    ratio: str | tuple[str, str] | None = option(
        None,
        "Names of the two channels of a ratiometric reporter, as NUM/DEN, or name of the one"
        " channel of a KTR. If it is not given, only intensities are measured.",
    )
    baseline_frames: int = option(
        3, "Number of frames at the start of the movie. R0 is the mean ratio over them.", minimum=1
    )
    drug_frame: int | None = option(
        None,
        "First frame after the drug was added, counted from 0. If it is not given, it is the"
        " first frame after the baseline.",
        minimum=1,
    )
    background: Literal["annulus", "mode", "none"] = option(
        "annulus",
        "`annulus` takes the background from pixels around each cell, `mode` from the whole"
        " frame. `none` is for images whose background is already subtracted.",
    )
    ring_px: int = option(
        0,
        "Width of a ring around each nucleus that is measured as cytoplasm, in pixels. The labels"
        " must be nuclei. 0 measures no ring. No ring is needed if `targets` of the section"
        " `segment` is `nucleus,cell`.",
        minimum=0,
    )
    division_margin_frames: int = option(
        2, "Number of frames before and after a division that are flagged as invalid.", minimum=0
    )
    saturation_value: float | None = option(
        None,
        "Grey value at or above which a pixel is saturated. If it is not given, it is the largest"
        " value of the image's data type.",
        above=0,
    )

    def check(self) -> None:
        """Refuse a drug during the baseline."""
        if self.drug_frame is not None and self.drug_frame < self.baseline_frames:
            raise InputError(
                "option `drug_frame`",
                found=str(self.drug_frame),
                expected=f"at least {self.baseline_frames}, the number of baseline frames",
                remedy="correct it, or lower `baseline_frames`",
            )

    def refuse_no_cytoplasm(self, *, has_nuclei: bool) -> None:
        """Refuse a KTR without cytoplasm, and a ring beside cells whose cytoplasm is known.

        Parameters
        ----------
        has_nuclei
            True if the labels are whole cells and their nuclei are known.

        Raises
        ------
        InputError
            The width of the ring does not suit.
        """
        needs_ring = self.reporter == "ktr" and self.ratio is not None and not has_nuclei
        if needs_ring and self.ring_px == 0:
            raise InputError(
                "option `ring_px`",
                found="0 for a kinase translocation reporter (ktr)",
                expected="the width of the ring around the nucleus, at least 1 px",
                remedy="set it, for example to 4, or find the nuclei as well"
                " (`targets: nucleus,cell`)",
            )
        if has_nuclei and self.ring_px > 0:
            raise InputError(
                "option `ring_px`",
                found=f"{self.ring_px} beside nuclei that are known",
                expected="0, because the cytoplasm is the cell without its nucleus",
                remedy="leave it out",
            )
