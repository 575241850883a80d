"""Purity of the masks of a sample, from the choice of how far they grow to the columns of cells."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import h5py

from cellsam_core.assignment.purity.cells import cell_purity
from cellsam_core.assignment.purity.stage import grown, measure_purity, windows_of
from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.labels.tiles import measure_cells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData

    from cellsam_core.assignment.cells import Cells
    from cellsam_core.assignment.purity.options import PurityOptions
    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.samples.manifest import TranscriptSource

log = logging.getLogger(__name__)


class MaskPurity:
    """Purity of masks that transcripts are assigned to.

    Parameters
    ----------
    source
        The transcripts.
    tiles
        Masks, before they grow.
    options
        Options of the estimate.
    panel
        Files that name the genes and controls of the panel, beside those of `source`.
    """

    def __init__(
        self,
        source: TranscriptSource,
        tiles: LabelTiles,
        options: PurityOptions,
        panel: Sequence[str | Path] = (),
    ) -> None:
        measured = measure_cells(tiles)
        self._source = source
        self._windows = windows_of(source, tiles, measured)
        self.purity = measure_purity(source, self._windows, measured, options, panel=panel)

    def grow(self, expand_um: float | str) -> float:
        """Choose the distance by which masks grow, if it is ``auto``, and return it."""
        chosen = self.purity.auto_um if expand_um == "auto" else float(expand_um)
        if expand_um == "auto":
            why = self.purity.reason or "farther out, transcripts are rather not the cells' own"
            log.info("expand_um auto: cells grow by %g um (%s)", chosen, why)
        self.purity = grown(self.purity, chosen)
        self.purity = replace(self.purity, is_auto=expand_um == "auto")
        return chosen

    def add_to(self, table: AnnData, owners: Cells) -> None:
        """Add the columns of the cells to a table of counts."""
        found = cell_purity(
            table,
            self.purity,
            self._source,
            self._windows,
            lambda batch: owners.owners(batch).cell_id,
        )
        for name, values in found.items():
            table.obs[str(name)] = values.to_numpy()


def grown_um(results: Path, expand_um: float | str | None) -> float:
    """Return by how much the cells of a sample have grown, also where that is ``auto``.

    The cell table records it, so that another distance is refused: masks and table would differ.

    Parameters
    ----------
    results
        Folder of the sample.
    expand_um
        Option of the assignment; None for what the cell table records.

    Raises
    ------
    InputError
        It is ``auto``, and there is no purity.json, or the cells have not grown by it.
    """
    if expand_um != "auto":
        recorded = _recorded_um(results / "3_cells/cells.h5ad")
        if expand_um is None:
            return recorded or 0.0
        if recorded is not None and not math.isclose(recorded, float(expand_um), abs_tol=1e-9):
            raise InputError(
                results / "3_cells/cells.h5ad",
                found=f"cells that have grown by {recorded:g} µm",
                expected=f"{float(expand_um):g} µm, the option `expand_um`",
                remedy=f"give --expand-um {recorded:g}, or run `assign` again",
            )
        return float(expand_um)
    path = results / "3_cells/purity.json"
    if not path.is_file():
        raise InputError(
            path,
            found="no such file",
            expected="the distance by which cells grow",
            remedy="run `assign` first, or give the distance as a number",
        )
    with table_errors(path):
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return float(record["expand_um"])


def _recorded_um(path: Path) -> float | None:
    """Read from the cell table by how much cells have grown; None without a table or record."""
    if not path.is_file():
        return None
    with table_errors(path), h5py.File(path, "r") as file:
        found = file.get("uns/provenance/expand_um")
        return None if found is None else float(found[()])
