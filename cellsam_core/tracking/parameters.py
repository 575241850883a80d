"""What the tracker can be told."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from cellsam_core.errors import InputError

Division = Literal["none", "mitosis", "budding"]
Registration = Literal["auto", "none"]


@dataclass(frozen=True)
class TrackParameters:
    """Parameters of :func:`cellsam_core.tracking.track_labels`.

    A *radius* is that of the disc of the cell's area, so that no parameter depends on
    the magnification.

    Attributes
    ----------
    division
        ``none``; ``mitosis``: a parent ends, two daughters begin; ``budding``: the mother
        lives on, the bud begins.
    sigma_iou
        Least intersection over union of linked cells, 0-1 (Bochinski et al. 2017).
        Equal discs reach 0.15 when they move by 0.62 of their diameter.
    registration
        ``auto`` corrects stage jumps where that makes consecutive frames overlap better.
    rescue_max_distance_radii
        Cells without overlap are linked up to this distance of centroids; 0 for never.
    area_ratio_max
        Largest ratio of areas where cells are linked by distance.
    gap_closing_max_frame_count
        Frames a cell may be missing for (Jaqaman et al. 2008).
    gap_closing_max_distance_radii
        Distance of centroids bridged without overlap; grows with the square root of time.
    division_min_overlap
        Least fraction of either daughter that lies on the parent, unless both are near it.
    division_max_distance_radii
        "Near": distance of the centroids of parent and daughter.
    division_area_min, division_area_max
        Allowed ratio of the daughters' summed area to the parent's.
    division_min_symmetry
        Least ratio of the smaller to the larger daughter's area.
    division_window_frames
        Within how many frames of the parent's last frame both daughters appear.
    min_daughter_length_frames
        Shorter-lived daughters undo a division (flicker), unless the movie or the image ends.
    bud_max_area_fraction
        Largest area of a new bud as a fraction of the frame's median area.
    bud_contact_px
        Largest gap between the outlines of bud and mother, in pixels.
    bud_window_frames
        Frames over which contact is gathered; a mother has one bud in this time.
    """

    division: Division = "mitosis"
    sigma_iou: float = 0.15
    registration: Registration = "auto"
    rescue_max_distance_radii: float = 1.5
    area_ratio_max: float = 2.0
    gap_closing_max_frame_count: int = 2
    gap_closing_max_distance_radii: float = 1.5
    division_min_overlap: float = 0.5
    division_max_distance_radii: float = 1.8
    division_area_min: float = 0.4
    division_area_max: float = 1.5
    division_min_symmetry: float = 0.5
    division_window_frames: int = 2
    min_daughter_length_frames: int = 3
    bud_max_area_fraction: float = 0.5
    bud_contact_px: int = 3
    bud_window_frames: int = 6

    def __post_init__(self) -> None:
        for name, allowed in (
            ("division", get_args(Division)),
            ("registration", get_args(Registration)),
        ):
            if getattr(self, name) not in allowed:
                raise _bad(name, getattr(self, name), "one of " + ", ".join(allowed))
        if not 0 < self.sigma_iou < 1:
            raise _bad("sigma_iou", self.sigma_iou, "a number between 0 and 1")
        for name in ("division_window_frames", "bud_window_frames", "area_ratio_max"):
            if getattr(self, name) < 1:
                raise _bad(name, getattr(self, name), "1 or more")
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not 0 <= value < float("inf"):
                raise _bad(field.name, value, "0 or a positive number")
        # No pair of daughters could fulfil these, and no division would be found.
        for name in ("division_min_overlap", "division_min_symmetry"):
            if getattr(self, name) > 1:
                raise _bad(name, getattr(self, name), "a fraction, at most 1")
        if self.division_area_min > self.division_area_max:
            raise _bad(
                "division_area_min",
                self.division_area_min,
                f"at most division_area_max, which is {self.division_area_max!r}",
            )

    @property
    def look_back_frames(self) -> int:
        """How many earlier frames a newly appeared cell is compared with."""
        window = self.division_window_frames if self.division == "mitosis" else 1
        return max(1 + self.gap_closing_max_frame_count, window)


def _bad(name: str, value: object, expected: str) -> InputError:
    return InputError(name, found=repr(value), expected=expected, remedy="change this option")
