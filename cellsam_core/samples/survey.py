"""Place of a table's transcripts on the image, in each unit that they may have; one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.samples.affine import Affine, apply_affine, is_inside
from cellsam_core.samples.table_rows import iter_columns
from cellsam_core.samples.transcripts import as_shown, good_enough

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.samples.manifest import TranscriptSource


MIN_FRACTION_INSIDE = 0.5

# Coordinates in the right unit span most of the image; in the wrong one they are crowded into a
# corner or lie outside.
MIN_EXTENT = 0.5


MIN_ROWS = 20
"""Fewest transcripts that tell which part of the image they lie in."""


@dataclass(frozen=True)
class Candidate:
    """One reading of a table: which columns, in what unit, through which affine."""

    columns: tuple[str, str]
    unit: str
    um_to_px: Affine


@dataclass(frozen=True)
class MayLack:
    """Properties that a reading of plain ``x, y`` may lack: points all over the image, or on it."""

    extent: bool
    inside: bool


@dataclass
class Survey:
    """Result of one pass over a table for a candidate."""

    n_rows: int = 0
    n_inside: int = 0
    low: npt.NDArray[np.float64] | None = None
    high: npt.NDArray[np.float64] | None = None

    def add(self, px: npt.NDArray[np.float64], shape_yx: tuple[int, int]) -> None:
        """Take in points ``(2, n)`` in pixels."""
        self.n_rows += px.shape[1]
        self.n_inside += int(np.count_nonzero(is_inside(px, shape_yx)))
        if px.shape[1]:
            low, high = px.min(axis=1), px.max(axis=1)
            self.low = low if self.low is None else np.minimum(low, self.low)
            self.high = high if self.high is None else np.maximum(high, self.high)

    @property
    def fraction_inside(self) -> float:
        """Share of the points that are on the image; 1 where there are none."""
        return self.n_inside / self.n_rows if self.n_rows else 1.0

    def spans(self, shape_yx: tuple[int, int]) -> bool:
        """Tell whether the points cover `MIN_EXTENT` of the image along both axes."""
        if self.low is None or self.high is None:
            return False
        size = np.array(shape_yx[::-1], dtype=float)
        covered = np.minimum(self.high, size - 0.5) - np.maximum(self.low, -0.5)
        return bool((covered >= MIN_EXTENT * size).all())


def survey_rows(
    source: TranscriptSource, candidates: list[Candidate], shape_yx: tuple[int, int]
) -> tuple[list[Survey], int]:
    """Go through a table once; also count the rows of too low a quality."""
    surveys, n_low = [Survey() for _ in candidates], 0
    x, y = candidates[0].columns
    extra = [source.qv] if source.qv and source.min_qv is not None else []
    floats = [x, y, source.z] if source.z else [x, y]
    for batch in iter_columns(
        source.path, floats, [source.gene], keep=source.keep, may_be_missing=extra
    ):
        rows = good_enough(source, batch)
        n_low += batch.num_rows - rows.num_rows
        xy = as_shown(source, np.stack([rows[x].to_numpy(), rows[y].to_numpy()]))
        for candidate, survey in zip(candidates, surveys, strict=True):
            is_px = candidate.unit == "px"
            survey.add(xy if is_px else apply_affine(candidate.um_to_px, xy), shape_yx)
    return surveys, n_low


def decide(
    path: str | Path, surveys: list[Survey], shape_yx: tuple[int, int], may_lack: MayLack
) -> int:
    """Choose between um (0) and px (1) for plain ``x, y`` columns."""
    if surveys[0].n_rows == 0:
        return 0
    on_image = [s.fraction_inside >= MIN_FRACTION_INSIDE or may_lack.inside for s in surveys]
    fits = [on and s.spans(shape_yx) for on, s in zip(on_image, surveys, strict=True)]
    if not any(fits) and may_lack.extent:
        fits = on_image
    if sum(fits) != 1:
        low, high = surveys[1].low, surveys[1].high
        assert low is not None
        assert high is not None
        um, px = (
            f"{survey.fraction_inside:.0%} of them inside as {unit}"
            for survey, unit in zip(surveys, ("um", "px"), strict=True)
        )
        raise InputError(
            path,
            found=f"plain columns x, y from ({low[0]:.6g}, {low[1]:.6g}) to ({high[0]:.6g}, "
            f"{high[1]:.6g}), which fit the image of {shape_yx[1]} x {shape_yx[0]} px "
            f"{'both as' if all(fits) else 'neither as'} um {'and' if all(fits) else 'nor'} px "
            f"({um}, {px})",
            expected="coordinates that lie on the image, and all over it, in one unit alone",
            remedy="rename the columns to x_um, y_um or x_px, y_px and check pixel_size_um, and"
            " convert other units, such as nm, to um first",
        )
    return fits.index(True)


def check_inside(
    path: str | Path,
    survey: Survey,
    candidate: Candidate,
    shape_yx: tuple[int, int],
    outside: str,
) -> list[str]:
    """Refuse a table of which most lies outside of the image, and warn of a smaller part.

    Parameters
    ----------
    path
        The table.
    survey, candidate
        Where its transcripts lie, and the reading of its columns that puts them there.
    shape_yx
        Height and width of the image in pixels.
    outside
        ``"refuse"``, or ``"drop"`` to leave out what lies outside.
    """
    fraction = survey.fraction_inside
    n_outside = survey.n_rows - survey.n_inside
    is_dropped = outside == "drop" and survey.n_inside > 0
    if fraction < MIN_FRACTION_INSIDE and not is_dropped:
        assert survey.low is not None
        assert survey.high is not None
        exchange = ""
        if _fits_exchanged(candidate, survey, shape_yx):
            exchange = (
                f"exchange the names of the columns {' and '.join(candidate.columns)}, with which"
                " transcripts would lie on the image; or "
            )
        raise InputError(
            path,
            found=f"{n_outside} of {survey.n_rows} transcripts outside the image of {shape_yx[1]} "
            f"x {shape_yx[0]} px (they span x {survey.low[0]:.6g} to {survey.high[0]:.6g}, "
            f"y {survey.low[1]:.6g} to {survey.high[1]:.6g} px)",
            expected="transcripts on the image",
            remedy=f"{exchange}correct the transform, the pixel size or the columns' unit, which do"
            " not fit; or, if the image is a part of what the table is of, fill the column outside"
            " of the sample sheet (--outside) with drop",
        )
    if n_outside == 0:
        return []
    return [
        f"{n_outside} of {survey.n_rows} transcripts ({100 * n_outside / survey.n_rows:.2g} %) lie "
        f"outside the image and are {'left out' if is_dropped else 'counted in no cell'}."
    ]


def tell_crowded(survey: Survey, candidate: Candidate, shape_yx: tuple[int, int]) -> list[str]:
    """Warn of transcripts that lie in a part of the image alone, as those of another unit do.

    Parameters
    ----------
    survey, candidate
        Where they lie, and the reading of columns whose names tell their unit.
    shape_yx
        Height and width of the image in pixels.
    """
    if survey.n_inside < MIN_ROWS or survey.spans(shape_yx):
        return []
    assert survey.low is not None
    assert survey.high is not None
    other = "px" if candidate.unit == "um" else "um"
    return [
        f"Transcripts lie at x {survey.low[0]:.6g} to {survey.high[0]:.6g} and y"
        f" {survey.low[1]:.6g} to {survey.high[1]:.6g} px alone, in an image of {shape_yx[1]} x"
        f" {shape_yx[0]} px. If the tissue fills more of it, {' and '.join(candidate.columns)} are"
        f" not in {candidate.unit} (but in {other} or mm, or of one field of view), or the pixel"
        " size is wrong."
    ]


def _fits_exchanged(candidate: Candidate, survey: Survey, shape_yx: tuple[int, int]) -> bool:
    """Tell if all transcripts would lie on the image with x and y exchanged."""
    corners = np.array([survey.low, survey.high]).T
    if candidate.unit == "um":
        to_um = np.linalg.inv(candidate.um_to_px)
        corners = apply_affine(candidate.um_to_px, apply_affine(to_um, corners)[::-1])
    else:
        corners = corners[::-1]
    return bool(is_inside(corners, shape_yx).all())
