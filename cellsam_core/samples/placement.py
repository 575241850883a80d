"""Placement of a transcript table on its image: units resolved and tested, never guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.samples.manifest import TranscriptSource
from cellsam_core.samples.transcripts import (
    TableInMemory,
    apply_affine,
    as_shown,
    find_columns,
    good_enough,
    is_inside,
    iter_columns,
    iter_transcripts,
    pixel_size_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.samples.transcripts import TranscriptColumns

Affine = npt.NDArray[np.float64]

OUTSIDE = ("refuse", "drop")
MIN_FRACTION_INSIDE = 0.5
# Coordinates in the right unit span most of the image; in the wrong one they are crowded into a
# corner or lie outside.
MIN_EXTENT = 0.5
MAX_FIT_ERROR_PX = 0.5
LEAST_COVERED = 1e-3  # of an image that fields make up
PIXEL_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class _Candidate:
    """One reading of a table: which columns, in what unit, through which affine."""

    columns: tuple[str, str]
    unit: str
    um_to_px: Affine


@dataclass(frozen=True)
class _MayLack:
    """Properties that a reading of plain ``x, y`` may lack: points all over the image, or on it."""

    extent: bool
    inside: bool


@dataclass
class _Survey:
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
        return self.n_inside / self.n_rows if self.n_rows else 1.0

    def spans(self, shape_yx: tuple[int, int]) -> bool:
        """Tell whether the points cover `MIN_EXTENT` of the image along both axes."""
        if self.low is None or self.high is None:
            return False
        size = np.array(shape_yx[::-1], dtype=float)
        covered = np.minimum(self.high, size - 0.5) - np.maximum(self.low, -0.5)
        return bool((covered >= MIN_EXTENT * size).all())


def place_transcripts(
    path: str | Path,
    *,
    shape_yx: tuple[int, int],
    pixel_size_um: float | None = None,
    um_to_px: Affine | None = None,
    columns: TranscriptColumns | None = None,
    keep: tuple[str, float] | None = None,
    mirror: tuple[float | None, float | None] = (None, None),
    min_qv: float | None = None,
    outside: str = "refuse",
    is_tested: bool = False,
) -> tuple[TranscriptSource, list[str]]:
    """Resolve the unit of a table's coordinates and test that they fall on the image.

    In this order: the transform that is given; the relation between the table's own um and px
    columns, fitted and tested on every row; the pixel size. Plain ``x, y`` columns are taken in
    the unit in which they span the image; beside px columns, as um if that agrees with the pixel
    size, else they are not used.

    Parameters
    ----------
    path
        The table.
    shape_yx
        Height and width of the image in pixels.
    pixel_size_um
        Side of a pixel, where it is known.
    um_to_px
        3x3 affine from micrometres to pixel centres, where it is known.
    columns
        Columns of the table; None finds them by name.
    keep
        Column and number of the rows to place; None for all.
    mirror
        See :class:`~cellsam_core.samples.manifest.TranscriptSource`.
    min_qv
        Transcripts of a lower quality (column ``qv``) are left out; None leaves none out.
    outside
        What is done with transcripts outside the image: ``"refuse"`` refuses a table with more
        than half of them there, ``"drop"`` leaves them out, for an image that is a part of what
        the table is of.
    is_tested
        The place is going to be tested by labels: transcripts may then be crowded in a corner.

    Returns
    -------
    source, warnings

    Raises
    ------
    InputError
        The unit can't be resolved, sources contradict each other, a coordinate is not finite, or
        fewer than half of the transcripts are on the image.
    """
    columns = columns or find_columns(path)
    _refuse_options(path, columns, min_qv, outside)
    source = TranscriptSource(
        path=path if isinstance(path, TableInMemory) else str(path),
        x="",
        y="",
        gene=columns.gene,
        z=columns.z,
        unit="",
        um_to_px=[],
        n_rows=0,
        feature_type=columns.feature_type,
        cell=columns.cell,
        keep=keep,
        qv=columns.qv,
        min_qv=min_qv,
        mirror=list(mirror),
    )
    candidates = _candidates(path, columns, pixel_size_um, um_to_px)
    surveys, n_low = _survey(source, candidates, shape_yx)
    may_lack = _MayLack(extent=is_tested, inside=outside == "drop")
    chosen = 0 if len(candidates) == 1 else _decide(path, surveys, shape_yx, may_lack)
    candidate, survey = candidates[chosen], surveys[chosen]
    _check_pixel_size(path, pixel_size_um, candidate.um_to_px)
    warnings = _check_inside(path, survey, candidate, shape_yx, outside)
    if n_low:
        total = n_low + survey.n_rows
        warnings.append(
            f"{n_low} of {total} transcripts ({n_low / total:.1%}) have a quality (qv) "
            f"below {min_qv:g} and are left out."
        )
    source = replace(
        source,
        x=candidate.columns[0],
        y=candidate.columns[1],
        unit=candidate.unit,
        um_to_px=candidate.um_to_px.tolist(),
        n_rows=survey.n_inside if outside == "drop" else survey.n_rows,
        crop=list(shape_yx) if outside == "drop" else None,
    )
    return source, [*warnings, *_warn_unused(columns, candidate)]


def _refuse_options(
    path: str | Path, columns: TranscriptColumns, min_qv: float | None, outside: str
) -> None:
    if outside not in OUTSIDE:
        raise InputError(
            "outside",
            found=repr(outside),
            expected=f"one of {', '.join(OUTSIDE)}",
            remedy="correct the column outside of the sample sheet, or the option --outside",
        )
    if min_qv is not None and columns.qv is None:
        raise InputError(
            path,
            found="no column qv",
            expected="the quality of each transcript, for min_qv",
            remedy="leave min_qv empty in the sample sheet, or the option --min-qv out",
        )


def refuse_scattered(where: str | Path, xy_px: Affine, field_shape_yx: tuple[int, int]) -> None:
    """Refuse places of fields of which one is so far off that their image would be all but empty.

    Parameters
    ----------
    where
        What the places are from, for the error.
    xy_px
        ``(fields, 2)``.
    field_shape_yx
        Height and width of a field.

    Raises
    ------
    InputError
        They cover less than a thousandth.
    """
    span = np.ptp(xy_px, axis=0)
    share = len(xy_px) * np.prod(field_shape_yx) / np.prod(span + field_shape_yx[::-1])
    if share < LEAST_COVERED:
        raise InputError(
            where,
            found=f"fields scattered over {span[0]:.3g} x {span[1]:.3g} px",
            expected=f"fields that cover at least 1/{1 / LEAST_COVERED:.0f} of that",
            remedy="correct their positions",
        )


def place_in_um(
    path: str | Path, pixel_size_um: float | None = None, *, min_qv: float | None = None
) -> TranscriptSource:
    """Describe a table that meets polygons in micrometres and no image.

    Parameters
    ----------
    path
        The table.
    pixel_size_um
        Side of a pixel, for a table in pixels.
    min_qv
        As of :func:`place_transcripts`.

    Raises
    ------
    InputError
        The table has no column in um, nor px columns and a pixel size.
    """
    columns = find_columns(path)
    _refuse_options(path, columns, min_qv, "refuse")
    pair, unit, scale = columns.um, "um", pixel_size_um or 1.0
    if pair is None and columns.px is not None and pixel_size_um is not None:
        pair, unit = columns.px, "px"
    if pair is None:
        raise InputError(
            path,
            found="no coordinates in micrometres",
            expected="columns x_um, y_um beside polygons, which are in micrometres",
            remedy="rename the columns, or give --pixel-size-um for columns x_px, y_px",
        )
    matrix = np.diag([1 / scale, 1 / scale, 1.0])
    source = TranscriptSource(
        path if isinstance(path, TableInMemory) else str(path),
        *pair,
        columns.gene,
        columns.z,
        unit,
        matrix.tolist(),
        0,
        columns.feature_type,
        qv=columns.qv,
        min_qv=min_qv,
    )
    return replace(source, n_rows=sum(batch.num_rows for batch in iter_transcripts(source)))


def _candidates(
    path: str | Path,
    columns: TranscriptColumns,
    pixel_size_um: float | None,
    um_to_px: Affine | None,
) -> list[_Candidate]:
    """List the readings that the columns allow; more than one only for plain ``x, y``."""
    if um_to_px is None and columns.px is not None:
        if columns.um is not None:
            return [_Candidate(columns.um, "um", fit_affine(path, columns.um, columns.px))]
        if columns.unitless is not None and pixel_size_um is not None:
            fitted = _fit_plain(path, columns.unitless, columns.px, pixel_size_um)
            if fitted is not None:
                return [_Candidate(columns.unitless, "um", fitted)]
    if um_to_px is None:
        if pixel_size_um is None:
            has_plain = columns.px is not None and columns.unitless is not None
            raise InputError(
                path,
                found="coordinates in one unit and no pixel size",
                expected="the pixel size, to tell where on the image they lie",
                remedy="give pixel_size_um in the sample sheet, or the option --pixel-size-um"
                + (", or rename x, y to x_um, y_um if they are in um" if has_plain else ""),
            )
        um_to_px = np.diag([1 / pixel_size_um, 1 / pixel_size_um, 1.0])
    if columns.um is not None:
        return [_Candidate(columns.um, "um", um_to_px)]
    if columns.px is not None:
        return [_Candidate(columns.px, "px", um_to_px)]
    assert columns.unitless is not None
    return [_Candidate(columns.unitless, unit, um_to_px) for unit in ("um", "px")]


def _fit_plain(
    path: str | Path, plain: tuple[str, str], px: tuple[str, str], pixel_size_um: float
) -> Affine | None:
    """Fit plain ``x, y`` to px columns; None unless the pixel size says that they are um.

    They may as well be the same pixels, those of a field of view, or any other length.
    """
    try:
        fitted = fit_affine(path, plain, px)
    except InputError:
        return None
    return fitted if _agrees(fitted, pixel_size_um) else None


def fit_affine(path: str | Path, um: tuple[str, str], px: tuple[str, str]) -> Affine:
    """Fit the affine between a table's um and px columns by least squares.

    The fit uses the first chunk, the test every row.

    Raises
    ------
    InputError
        Fewer than three points that are not on a line, or a row more than half a pixel off.
    """
    matrix: Affine | None = None
    worst = 0.0
    for batch in iter_columns(path, [*um, *px], []):
        um_xy = np.stack([batch[name].to_numpy() for name in um])
        px_xy = np.stack([batch[name].to_numpy() for name in px])
        if matrix is None:
            matrix = _least_squares(um_xy, px_xy)
            if matrix is None:
                break
        worst = max(worst, float(np.abs(apply_affine(matrix, um_xy) - px_xy).max()))
    if matrix is None or worst > MAX_FIT_ERROR_PX:
        found = f"rows up to {worst:.3g} px off" if matrix is not None else "too few rows for a fit"
        raise InputError(
            path,
            found=f"{found} between the columns {', '.join(um)} and {', '.join(px)}",
            expected="one affine relation between micrometres and pixels",
            remedy="remove the pair of columns that is wrong and give pixel_size_um",
        )
    return matrix


def _least_squares(um: npt.NDArray[Any], px: npt.NDArray[Any]) -> Affine | None:
    centre = um.mean(axis=1, keepdims=True)
    design = np.vstack([um - centre, np.ones(um.shape[1])]).T
    # Distinct directions, judged on the scale of the data itself.
    spread = np.linalg.svd(design[:, :2], compute_uv=False)
    if um.shape[1] < 3 or spread[-1] <= 1e-6 * max(spread[0], 1e-12):
        return None
    solution = np.linalg.lstsq(design, px.T, rcond=None)[0].T
    matrix = np.eye(3)
    matrix[:2, :2] = solution[:, :2]
    matrix[:2, 2] = solution[:, 2] - solution[:, :2] @ centre[:, 0]
    return matrix if abs(np.linalg.det(matrix)) > 0 else None


def _survey(
    source: TranscriptSource, candidates: list[_Candidate], shape_yx: tuple[int, int]
) -> tuple[list[_Survey], int]:
    """Go through a table once; also count the rows of too low a quality."""
    surveys, n_low = [_Survey() for _ in candidates], 0
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


def _decide(
    path: str | Path, surveys: list[_Survey], shape_yx: tuple[int, int], may_lack: _MayLack
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


def _check_pixel_size(path: str | Path, pixel_size_um: float | None, um_to_px: Affine) -> None:
    if pixel_size_um is not None and not _agrees(um_to_px, pixel_size_um):
        raise InputError(
            path,
            found=f"a pixel size of {pixel_size_of(um_to_px):.6g} um",
            expected=f"the {pixel_size_um:.6g} um of the sample sheet or the image",
            remedy="correct or remove pixel_size_um in the sample sheet",
        )


def _agrees(um_to_px: Affine, pixel_size_um: float) -> bool:
    return abs(pixel_size_of(um_to_px) / pixel_size_um - 1) <= PIXEL_SIZE_TOLERANCE


def _warn_unused(columns: TranscriptColumns, candidate: _Candidate) -> list[str]:
    if columns.unitless is None or columns.um is not None or candidate.columns == columns.unitless:
        return []
    return ["The columns x, y are not used: the table does not say what their unit is."]


def _check_inside(
    path: str | Path,
    survey: _Survey,
    candidate: _Candidate,
    shape_yx: tuple[int, int],
    outside: str,
) -> list[str]:
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


def _fits_exchanged(candidate: _Candidate, survey: _Survey, shape_yx: tuple[int, int]) -> bool:
    """Tell if all transcripts would lie on the image with x and y exchanged."""
    corners = np.array([survey.low, survey.high]).T
    if candidate.unit == "um":
        to_um = np.linalg.inv(candidate.um_to_px)
        corners = apply_affine(candidate.um_to_px, apply_affine(to_um, corners)[::-1])
    else:
        corners = corners[::-1]
    return bool(is_inside(corners, shape_yx).all())
