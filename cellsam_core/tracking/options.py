"""Options of tracking."""

from __future__ import annotations

from typing import Literal

from cellsam_core.errors import InputError
from cellsam_core.options import Options, option, options

Division = Literal["none", "mitosis", "budding"]
Registration = Literal["auto", "none"]


@options
class TrackOptions(Options):
    """Options of linking cells through time and of finding divisions and buds.

    A cell radius is that of a disc of the cell's area, so that no default depends on the
    magnification. The overlap criterion is that of Bochinski et al. 2017: two discs of equal size
    have an intersection over union of 0.15 when they are 0.62 diameters apart. Gap closing follows
    Jaqaman et al. 2008; its distance limit grows with the square root of the time.
    """

    division: Division = option(
        "mitosis", "mitosis - a parent ends, two daughters begin; budding - the mother lives on."
    )
    sigma_iou: float = option(
        0.15, "Least intersection over union of linked cells.", above=0, below=1
    )
    registration: Registration = option(
        "auto", "auto corrects stage jumps where frames then overlap better."
    )
    rescue_max_distance_radii: float = option(
        1.5,
        "Cells without overlap are linked up to this distance, in cell radii; 0 for never.",
        minimum=0,
    )
    area_ratio_max: float = option(
        2.0, "Largest ratio of the areas of cells that are linked by distance.", minimum=1
    )
    gap_closing_max_frame_count: int = option(
        2, "Frames that a cell may be missing for.", minimum=0
    )
    gap_closing_max_distance_radii: float = option(
        1.5, "Distance bridged over a gap without overlap, in cell radii.", minimum=0
    )
    division_min_overlap: float = option(
        0.5, "Least fraction of a daughter that lies on its parent.", minimum=0, maximum=1
    )
    division_max_distance_radii: float = option(
        1.8, "Or else the largest distance of daughter and parent, in cell radii.", minimum=0
    )
    division_area_min: float = option(
        0.4, "Least ratio of the summed area of both daughters to that of the parent.", minimum=0
    )
    division_area_max: float = option(1.5, "Largest such ratio.", minimum=0)
    division_min_symmetry: float = option(
        0.5, "Least ratio of the smaller to the larger daughter's area.", minimum=0, maximum=1
    )
    division_window_frames: int = option(2, "Frames within which both daughters appear.", minimum=1)
    min_daughter_length_frames: int = option(
        3, "A daughter that lives for fewer frames undoes its division.", minimum=0
    )
    bud_max_area_fraction: float = option(
        0.5, "Largest area of a new bud, as a fraction of the median cell's.", minimum=0
    )
    bud_contact_px: int = option(3, "Largest gap between bud and mother, in pixels.", minimum=0)
    bud_window_frames: int = option(
        6, "Frames in which a mother has one bud and contact is watched.", minimum=1
    )

    @property
    def look_back_frames(self) -> int:
        """Number of earlier frames that a newly appeared cell is compared with."""
        window = self.division_window_frames if self.division == "mitosis" else 1
        return max(1 + self.gap_closing_max_frame_count, window)

    def check(self) -> None:
        """Refuse limits that no division can fulfil."""
        if self.division_area_min > self.division_area_max:
            raise InputError(
                "option `division_area_min`",
                found=f"{self.division_area_min:g}, above `division_area_max`",
                expected=f"at most {self.division_area_max:g}",
                remedy="correct one of the two",
            )


@options
class CalibrationOptions(Options):
    """Calibration of label images."""

    pixel_size_um: float | None = option(
        None,
        "Side of a pixel in um; default: as the files say, else lengths are in pixels.",
        above=0,
    )
    frame_interval_s: float | None = option(
        None,
        "Time between frames in s; default: as the files say, else times are in frames.",
        above=0,
    )
