"""Placement of a transcript table on its image: units resolved and tested, never guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.samples.affine import Affine, pixel_size_of
from cellsam_core.samples.affine_fit import fit_affine
from cellsam_core.samples.manifest import TranscriptSource
from cellsam_core.samples.sources import other_unit
from cellsam_core.samples.survey import (
    Candidate,
    MayLack,
    check_inside,
    decide,
    survey_rows,
    tell_crowded,
)
from cellsam_core.samples.table_rows import TableInMemory
from cellsam_core.samples.transcripts import find_columns, iter_transcripts

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.samples.survey import Survey
    from cellsam_core.samples.transcripts import TranscriptColumns


OUTSIDE = ("refuse", "drop")
Keep = tuple[str, float]
LEAST_COVERED = 1e-3  # of an image that fields make up
PIXEL_SIZE_TOLERANCE = 0.01
MANY_INSIDE = 0.95
"""Share of transcripts on the image below which their unit may be another one."""


def place_transcripts(
    path: str | Path,
    *,
    shape_yx: tuple[int, int],
    pixel_size_um: float | None = None,
    um_to_px: Affine | None = None,
    columns: TranscriptColumns | None = None,
    keep: Keep | None = None,
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
    keep = _kept(path, columns, keep)
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
    surveys, n_low = survey_rows(source, candidates, shape_yx)
    may_lack = MayLack(extent=is_tested, inside=outside == "drop")
    chosen = 0 if len(candidates) == 1 else decide(path, surveys, shape_yx, may_lack)
    candidate, survey = candidates[chosen], surveys[chosen]
    _check_pixel_size(path, pixel_size_um, candidate.um_to_px)
    warnings = check_inside(path, survey, candidate, shape_yx, outside)
    if not is_tested:
        warnings += tell_crowded(survey, candidate, shape_yx)
    unit_from = _unit_from(columns, candidate, survey, is_extent=survey.spans(shape_yx))
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
        unit_from=unit_from,
    )
    if survey.fraction_inside < MANY_INSIDE and warnings:
        warnings[0] += other_unit(source)
    return source, [*tell_rejected(source), *warnings, *_warn_unused(columns, candidate)]


def _unit_from(
    columns: TranscriptColumns, candidate: Candidate, survey: Survey, *, is_extent: bool
) -> str:
    """Say why plain columns have the unit that they were taken in; empty for other columns."""
    if candidate.columns != columns.unitless or candidate.columns == columns.um:
        return ""
    if columns.px is not None:
        return f"beside {', '.join(columns.px)}, by the pixel size"
    if not survey.n_rows:
        return "there are no rows to tell it"
    return "in this unit they span the image" if is_extent else "in this unit they lie on the image"


def _kept(path: str | Path, columns: TranscriptColumns, keep: Keep | None) -> Keep | None:
    """Keep the spots that starfish has not rejected, where the table says which."""
    if columns.passed is not None and keep is not None:
        raise InputError(
            path,
            found=f"a column {columns.passed} beside z_policy one",
            expected="one reason to leave rows out",
            remedy=f"remove the rows whose {columns.passed} is False, and then the column",
        )
    return keep if columns.passed is None else (columns.passed, True)


def tell_rejected(source: TranscriptSource) -> list[str]:
    """Tell that rejected spots are left out, where they are."""
    if source.keep is None or source.keep[1] is not True:
        return []
    return [f"Spots that starfish rejected ({source.keep[0]} is False) are left out."]


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
        keep=_kept(path, columns, None),
        qv=columns.qv,
        min_qv=min_qv,
    )
    return replace(source, n_rows=sum(batch.num_rows for batch in iter_transcripts(source)))


def _candidates(
    path: str | Path,
    columns: TranscriptColumns,
    pixel_size_um: float | None,
    um_to_px: Affine | None,
) -> list[Candidate]:
    """List the readings that the columns allow; more than one only for plain ``x, y``."""
    if um_to_px is None and columns.px is not None:
        if columns.um is not None:
            return [Candidate(columns.um, "um", fit_affine(path, columns.um, columns.px))]
        if columns.unitless is not None and pixel_size_um is not None:
            fitted = _fit_plain(path, columns.unitless, columns.px, pixel_size_um)
            if fitted is not None:
                return [Candidate(columns.unitless, "um", fitted)]
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
        return [Candidate(columns.um, "um", um_to_px)]
    if columns.px is not None:
        return [Candidate(columns.px, "px", um_to_px)]
    assert columns.unitless is not None
    return [Candidate(columns.unitless, unit, um_to_px) for unit in ("um", "px")]


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


def _warn_unused(columns: TranscriptColumns, candidate: Candidate) -> list[str]:
    if columns.unitless is None or columns.um is not None or candidate.columns == columns.unitless:
        return []
    return ["The columns x, y are not used: the table does not say what their unit is."]
