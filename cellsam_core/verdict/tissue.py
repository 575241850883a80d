"""Checks of a tissue's transcripts: in cells, controls, purity, registration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import table_errors
from cellsam_core.samples.affine import apply_affine
from cellsam_core.samples.sources import other_unit
from cellsam_core.verdict import limits
from cellsam_core.verdict.checks import Check, Measure
from cellsam_core.verdict.registration import (
    BINS_PER_DIAMETER,
    REACH_DIAMETERS,
    bin_means,
    register,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.verdict.evidence import Evidence

    Map = NDArray[np.float64]

BATCH_ROWS = 500_000
GRID = 3  # windows along each axis
WINDOW_BINS = 256
MIN_TRANSCRIPTS = 200
NO_COUNTS = "There is no assign_qc.json."


def transcript_check(
    quality: dict[str, Any] | None, source: TranscriptSource | None = None
) -> Check:
    """Judge the share of transcripts in cells and their number in a cell."""
    if quality is None or not quality["n_transcripts"]:
        absent = Measure(limits.IN_CELLS, None, NO_COUNTS)
        return Check("transcripts", "Transcripts in cells", "assignment", (absent,))
    n, inside = quality["n_transcripts"], quality["n_assigned"]
    said = f"{inside} of {n} transcripts lie in cells."
    if source is not None and 100 * inside / n < limits.IN_CELLS.green:
        said += other_unit(source)
    median = quality["median_transcripts_per_cell"]
    each = f"Median {median:g} transcripts a cell." if median is not None else "There is no cell."
    measures = (
        Measure(limits.IN_CELLS, 100 * inside / n, said),
        Measure(limits.PER_CELL, median, each),
    )
    return Check("transcripts", "Transcripts in cells", "assignment", measures)


def control_check(quality: dict[str, Any] | None) -> Check:
    """Judge the rate of blanks."""
    rate = None if quality is None else quality["misidentification_rate"]
    if rate is None:
        said = NO_COUNTS if quality is None else "There is no blank among the features."
        measure = Measure(limits.CONTROLS, None, said)
    else:
        said = f"Blanks are {rate:.1%} as frequent as genes, on average."
        measure = Measure(limits.CONTROLS, 100 * rate, said)
    return Check("controls", "Controls", "controls", (measure,))


PURITY_NUMBERS = ("purity", "expand_um", "auto_um", "profile_gain")


def read_purity(folder: Path) -> dict[str, Any] | None:
    """Read ``purity.json`` of the results of a sample; None without it."""
    path = folder / "3_cells/purity.json"
    if not path.is_file():
        return None
    with table_errors(path):
        record = dict(json.loads(path.read_text(encoding="utf-8")))
        for name in PURITY_NUMBERS:
            if not isinstance(record.get(name), int | float | None):
                raise ValueError(f"{name} is no number")
    return record


def purity_check(record: dict[str, Any] | None) -> Check | None:
    """Judge the purity of the cells; None where it was not measured."""
    if record is None:
        return None
    purity = record.get("purity")
    if isinstance(purity, int | float):
        said = f"{purity:.0%} of the transcripts in cells are the cells' own"
        at_most = f"{record['purity_at_most']:.0%}"
        said += "." if at_most == "100%" else f", at most {at_most}."
        measure = Measure(limits.PURITY, 100 * purity, said)
    else:
        measure = Measure(limits.PURITY, None, str(record.get("reason") or "It was not measured."))
    return Check("purity", "Purity of cells", "purity-of-cells", (measure,))


def registration_check(results: Evidence, diameter_px: float | None) -> Check:
    """Judge if the transcripts follow the cells."""
    measures = registration_measures(results, diameter_px)
    link = "cells-and-transcripts-over-the-stain"
    return Check("registration", "Transcripts and cells together", link, measures)


def registration_measures(results: Evidence, diameter_px: float | None) -> tuple[Measure, ...]:
    """Measure the contrast of transcripts between cells and their surroundings, and the offset."""
    path = results.folder / "3_cells/transcripts.parquet"
    masks, source = results.masks(), results.manifest.transcripts
    if masks is None or source is None or not path.is_file() or not diameter_px:
        said = "There are no masks, no cells or no transcripts."
        return (Measure(limits.CONTRAST, None, said),)
    bin_px = max(1, round(diameter_px / BINS_PER_DIAMETER))
    windows = spread_windows(masks.shape_yx, WINDOW_BINS * bin_px)
    cells = [cover_of(masks, window, bin_px) for window in windows]
    affine = np.asarray(source.um_to_px, dtype=np.float64)
    counts = counts_of(path, affine, windows, [cover.shape for cover in cells], bin_px)
    n = int(sum(each.sum() for each in counts))
    reach = round(REACH_DIAMETERS * diameter_px / bin_px)
    found = register(cells, counts, reach) if n >= MIN_TRANSCRIPTS else None
    if found is None:
        said = f"There are fewer than {MIN_TRANSCRIPTS} transcripts, or cells are everywhere."
        return (Measure(limits.CONTRAST, None, said),)
    said = (
        f"{found.contrast:.2f} times as many transcripts lie in cells as with the transcripts "
        f"moved ({found.sigma:.1f} standard deviations of the moves)."
    )
    contrast = Measure(limits.CONTRAST, found.sigma, said)
    said = f"Transcripts are {found.density_ratio:.1f} times as dense in cells as between them."
    density = Measure(limits.DENSITY, found.density_ratio, said)
    if not found.is_clear:
        said = "No shift of the transcripts stands out."
        return contrast, density, Measure(limits.OFFSET, None, said)
    offset_px = float(np.hypot(*found.offset_yx)) * bin_px
    scale = results.manifest.pixel_size_um
    how_far = f"{offset_px * scale:.1f} µm" if scale else f"{offset_px:.0f} px"
    said = f"Most transcripts lie in cells if they are moved by {how_far}."
    return contrast, density, Measure(limits.OFFSET, offset_px / diameter_px, said)


Corner = tuple[int, int, int, int]


def spread_windows(shape_yx: tuple[int, int], side_px: int) -> list[Corner]:
    """Spread up to 3 x 3 windows ``(y0, y1, x0, x1)`` over an image, or take the whole of it."""
    spans = []
    for side in shape_yx:
        if side <= GRID * side_px:
            spans.append([(0, side)])
        else:
            starts = np.linspace(0, side - side_px, GRID).astype(int)
            spans.append([(int(start), int(start) + side_px) for start in starts])
    return [(y0, y1, x0, x1) for y0, y1 in spans[0] for x0, x1 in spans[1]]


def cover_of(masks: OmeZarr, window: Corner, bin_px: int) -> Map:
    """Return the share of each bin of a window that cells cover; read by bands of rows."""
    y0, y1, x0, x1 = window
    rows = bin_px * max(1, 1024 // bin_px)
    bands = []
    for start in range(y0, y1, rows):
        index = {"t": 0, "y": slice(start, min(start + rows, y1)), "x": slice(x0, x1)}
        labels = np.asarray(masks.read(tuple(index[axis] for axis in masks.axes)))
        bands.append(bin_means((labels > 0).astype(np.float64), bin_px))
    return np.concatenate(bands)


def counts_of(
    path: Path,
    um_to_px: Map,
    windows: list[Corner],
    shapes: list[tuple[int, ...]],
    bin_px: int,
) -> list[Map]:
    """Count the transcripts in the bins of windows; memory does not grow with the table."""
    counts = [np.zeros(shape) for shape in shapes]
    file = open_parquet(path)
    for batch in file.iter_batches(BATCH_ROWS, columns=["x_um", "y_um"]):
        xy = [column.to_numpy(zero_copy_only=False).astype(np.float64) for column in batch.columns]
        x, y = apply_affine(um_to_px, np.stack(xy))
        for (y0, _, x0, _), count in zip(windows, counts, strict=True):
            i, j = np.floor((y + 0.5 - y0) / bin_px), np.floor((x + 0.5 - x0) / bin_px)
            here = (i >= 0) & (i < count.shape[0]) & (j >= 0) & (j < count.shape[1])
            np.add.at(count, (i[here].astype(np.int64), j[here].astype(np.int64)), 1)
    return counts
