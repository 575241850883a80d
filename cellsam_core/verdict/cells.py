"""Checks of the segmentation: scores, sizes, and cells at borders and seams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.segmentation.seams import seam_ratio
from cellsam_core.segmentation.tiles import recorded_plan
from cellsam_core.statistics import median_diameter
from cellsam_core.verdict import limits
from cellsam_core.verdict.checks import Check, Measure

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.segmentation.seams import SeamRatio
    from cellsam_core.verdict.evidence import Evidence

COLUMNS = ["frame", "label", "y", "x", "area_px", "score", "touches_border"]
MIN_CELLS = 20
"""Fewest cells of which a share is judged."""
NO_CELLS = "No cell was found."
NOT_SEGMENTED = "The image was not segmented here."
TOO_FEW = f"There are fewer than {MIN_CELLS} cells."


def cell_checks(results: Evidence, cells: pd.DataFrame | None) -> list[Check]:
    """Judge scores, sizes, and cells at borders and seams.

    Parameters
    ----------
    results
        Results of the sample.
    cells
        Table ``cells.parquet``, or None where the image was not segmented.
    """
    recorded = results.segmentation_parameters()
    manifest = results.manifest
    n_frames, shape, size_um = manifest.n_frames, manifest.shape_yx, manifest.pixel_size_um
    return [
        Check("cells", "Cells found", "crops", tuple(found_measures(cells, n_frames))),
        Check("size", "Cell size", "crops", tuple(size_measures(cells, recorded, shape, size_um))),
        Check("borders", "Borders and seams", "crops", border_measures(results, cells)),
    ]


def found_measures(cells: pd.DataFrame | None, n_frames: int) -> list[Measure]:
    """Measure the share of frames without a cell, and the scores."""
    if cells is None:
        return [Measure(limits.EMPTY_FRAMES, None, NOT_SEGMENTED)]
    n_empty = n_frames - cells["frame"].nunique()
    share = n_empty / n_frames
    counted = Measure(limits.N_CELLS, len(cells), f"{len(cells)} masks in {n_frames} frames.")
    said = f"{n_empty} of {n_frames} frames have no cell."
    empty = Measure(limits.EMPTY_FRAMES, 100 * share, said)
    if cells.empty or "score" not in cells or cells["score"].isna().all():
        return [counted, empty]
    score = float(cells["score"].median())
    weak = 100 * float((cells["score"] < limits.WEAK_SCORE).mean())
    return [
        Measure(
            limits.SCORE,
            score,
            f"{len(cells)} masks, median detection score {score:.2f}; {weak:.0f} % are below "
            f"{limits.WEAK_SCORE:g}.",
        ),
        counted,
        empty,
    ]


def size_measures(
    cells: pd.DataFrame | None,
    recorded: dict[str, Any],
    shape_yx: tuple[int, int],
    pixel_size_um: float | None,
) -> list[Measure]:
    """Measure the diameter of the masks against the searched one, the field and those of cells."""
    if cells is None or cells.empty:
        return [Measure(limits.SIZE_FACTOR, None, NO_CELLS)]
    area = cells["area_px"].to_numpy(np.float64)
    diameter = median_diameter(area)
    share = 100 * diameter / min(shape_yx)
    said = f"The median diameter, {diameter:.0f} px, is {share:.0f} % of the side of the image."
    measures = [
        _size_factor(diameter, recorded.get("cell_diameter_px")),
        Measure(limits.FIELD, share, said),
        Measure(limits.DIAMETER, diameter, f"Median diameter {diameter:.1f} px."),
    ]
    if pixel_size_um is not None:
        measures.append(_size_um(diameter * pixel_size_um, pixel_size_um))
    if len(cells) < MIN_CELLS:
        return [*measures, Measure(limits.SIZE_SPREAD, None, TOO_FEW)]
    small, large = np.sqrt(np.percentile(area, [10, 90]))
    said = f"The middle 80 % of the cells differ {large / small:.1f}-fold in diameter."
    measures.append(Measure(limits.SIZE_SPREAD, float(large / small), said))
    frames = cells["frame"].to_numpy(np.int64)
    if frames.max() >= 3:
        part = (4 * frames) // (frames.max() + 1)
        medians = [float(np.median(area[part == i])) for i in range(4) if (part == i).any()]
        change = float(np.sqrt(max(medians) / min(medians)))
        said = f"The median diameter changes {change:.2f}-fold over the movie."
        measures.append(Measure(limits.SIZE_CHANGE, change, said))
    return measures


def _size_um(diameter_um: float, pixel_size_um: float) -> Measure:
    least, most = limits.CELL_UM
    said = f"With pixels of {pixel_size_um:g} µm, the median diameter is {diameter_um:.3g} µm."
    return Measure(limits.SIZE_UM, max(1.0, diameter_um / most, least / diameter_um), said)


def _size_factor(diameter_px: float, searched_px: Any) -> Measure:
    if not isinstance(searched_px, int | float) or searched_px <= 0:
        said = "The masks do not record the diameter that they were searched with."
        return Measure(limits.SIZE_FACTOR, None, said)
    factor = max(diameter_px / searched_px, searched_px / diameter_px)
    said = f"Median diameter {diameter_px:.0f} px; cells were searched with {searched_px:.0f} px."
    return Measure(limits.SIZE_FACTOR, factor, said)


def border_measures(results: Evidence, cells: pd.DataFrame | None) -> tuple[Measure, ...]:
    """Measure the share of cells that the image border cuts, and the density at seams."""
    if cells is None or cells.empty:
        return (Measure(limits.AT_BORDER, None, NO_CELLS),)
    if len(cells) < MIN_CELLS:
        border = Measure(limits.AT_BORDER, None, TOO_FEW)
    else:
        share = 100 * float(cells["touches_border"].astype(bool).mean())
        border = Measure(limits.AT_BORDER, share, f"{share:.0f} % of the cells touch the border.")
    found = sample_seam_ratio(results, cells)
    if found is None:
        return border, Measure(limits.SEAMS, None, "There is no seam, or too few cells at seams.")
    # Twice the error of counting is chance.
    excess = max(0.0, abs(found.ratio - 1) - 2 * found.standard_error)
    said = (
        f"There are {found.ratio:.2f} (± {found.standard_error:.2f}) times as many cells per area "
        "near seams of tiles as beside them."
    )
    return border, Measure(limits.SEAMS, 100 * excess, said)


def sample_seam_ratio(results: Evidence, cells: pd.DataFrame) -> SeamRatio | None:
    """Compare the density of cells near the borders of tiles with that beside them."""
    recorded = results.segmentation_parameters()
    shape = results.manifest.shape_yx
    tiles = recorded_plan(shape, recorded)
    if not tiles:
        return None
    y, x = (cells[name].to_numpy(np.float64) for name in ("y", "x"))
    n_frames = cells["frame"].nunique()
    return seam_ratio(y, x, tiles, shape, recorded["cell_diameter_px"], n_frames)
