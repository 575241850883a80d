"""Our cells and the vendor's cells of one sample -> figures, genes and places that differ."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.assignment.purity.masks import grown_um
from cellsam_core.assignment.purity.options import PurityOptions
from cellsam_core.assignment.purity.stage import grown, measure_purity, windows_of
from cellsam_core.corrections.result import masks_folder
from cellsam_core.errors import InputError
from cellsam_core.evaluation.segmentation import match
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import write_described
from cellsam_core.given_masks.options import GivenMasksOptions
from cellsam_core.given_masks.source import open_masks
from cellsam_core.labels.expand import expand
from cellsam_core.labels.image import open_label_image
from cellsam_core.labels.tiles import measure_cells
from cellsam_core.options import options_of
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.manifest import Manifest
from cellsam_core.vendor.columns import MATCHED
from cellsam_core.vendor.counts import SQUARE_UM, Pairing, count_both, genes_table
from cellsam_core.vendor.figures import THRESHOLDS, match_figures, sentences, side_figures
from cellsam_core.vendor.overlap import count_shared
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.assignment.purity.result import Purity
    from cellsam_core.evaluation.segmentation import Overlaps
    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.vendor.counts import BothCounts
    from cellsam_core.vendor.overlap import Shared

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VendorComparison:
    """Our cells beside the vendor's.

    Attributes
    ----------
    record
        Content of ``compare.json``.
    genes
        One row a gene: transcripts in both kinds of cells and their ratio.
    matched
        One row a pair of cells that match with an IoU of 0.25 or more.
    ours, theirs
        Label images of both kinds of cells, ours after they have grown.
    manifest
        Manifest of the sample.
    """

    record: dict[str, Any]
    genes: pd.DataFrame
    matched: pd.DataFrame
    ours: LabelTiles
    theirs: LabelTiles
    manifest: Manifest

    def write(self, folder: str | Path) -> None:
        """Write ``compare.json``, ``genes.tsv`` and ``cells_matched.parquet`` into a folder."""
        folder = Path(folder)
        with atomic_path(folder / "genes.tsv") as path:
            self.genes.to_csv(path, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        write_described(folder / "cells_matched.parquet", self.matched, MATCHED)
        with atomic_path(folder / "compare.json") as path:
            path.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")


def compare_vendor(
    results: str | Path,
    theirs: str | Path | None = None,
    output: str | Path | None = None,
    options: GivenMasksOptions | None = None,
) -> VendorComparison:
    """Compare our cells of a tissue with the vendor's: matches, counts, purity, places.

    Parameters
    ----------
    results
        Folder of the sample, such as ``results/cortex``, after `assign`.
    theirs
        Label image or outlines of the vendor's cells, of any kind that
        :func:`cellsam_core.import_masks` takes; without it, those that `inspect` found in the
        sample's folder.
    output
        Folder to write ``compare.json``, ``genes.tsv`` and ``cells_matched.parquet`` to; without
        it nothing is written.
    options
        Unit of outlines.

    Returns
    -------
    VendorComparison
        Figures, genes and matched cells.

    Raises
    ------
    InputError
        The sample has no transcripts or no masks, or there are no cells of a vendor, or they are
        not of this sample.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> found = cc.compare_vendor("results/cortex")  # doctest: +SKIP
    >>> found.record["ours"]["capture"]  # doctest: +SKIP
    0.41
    """
    folder, options = Path(results), options_of(GivenMasksOptions, options)
    manifest, source = Manifest.load_tissue(folder / "0_manifest.json")
    path = theirs or vendor_cells(manifest)
    if path is None:
        raise InputError(
            folder / "0_manifest.json",
            found="no cells of a vendor",
            expected="a label image or outlines in the sample's folder",
            remedy="give the file of the vendor's cells",
        )
    given = open_masks(path, manifest, options.masks_unit)
    if given.shape_yx != manifest.shape_yx:
        raise InputError(
            path,
            found=f"labels of {given.shape_yx[1]} x {given.shape_yx[0]} px",
            expected=f"{manifest.shape_yx[1]} x {manifest.shape_yx[0]} px, as the sample's images",
            remedy="give the vendor's cells of this sample",
        )
    masks = open_label_image(masks_folder(folder) / "masks.zarr").tiles
    found = compare_tiles(manifest, source, masks, given.tiles(0), grown_um(folder, "auto"))
    found.record["vendor_file"] = Path(path).name
    if output is not None:
        found.write(output)
    for sentence in found.record["sentences"]:
        log.info("%s", sentence)
    return found


def vendor_cells(manifest: Manifest) -> str | None:
    """Return the file of the vendor's cells that `inspect` found; None if there is none."""
    return manifest.labels or manifest.boundaries


def compare_tiles(
    manifest: Manifest,
    source: TranscriptSource,
    masks: LabelTiles,
    theirs: LabelTiles,
    expand_um: float,
) -> VendorComparison:
    """Compare two label images of a sample; see :func:`compare_vendor`.

    Parameters
    ----------
    manifest, source
        The sample and its transcripts.
    masks
        Our masks, before they grow.
    theirs
        The vendor's cells.
    expand_um
        Distance by which our cells have grown.
    """
    pixel_um = pixel_size_of(np.array(source.um_to_px))
    ours = expand(masks, expand_um / pixel_um)
    shared = count_shared(ours, theirs)
    overlaps = shared.overlaps()
    pairs = match(overlaps, THRESHOLDS[0])
    partner = np.full(len(shared.ours), -1, dtype=np.intp)
    partner[overlaps.rows[pairs]] = overlaps.columns[pairs]
    counts = count_both(source, Pairing(shared.ours, shared.theirs, partner, ours, theirs))
    pure = [grown(_purity(source, masks), expand_um), _purity(source, theirs)]
    sides = [
        side_figures(matrix, counts.n_rows, controls, area * pixel_um**2, purity)
        for matrix, controls, area, purity in zip(
            (counts.ours, counts.theirs),
            counts.n_controls,
            (shared.area_ours, shared.area_theirs),
            pure,
            strict=True,
        )
    ]
    genes = genes_table(counts)
    matched = _matched_table(shared, overlaps, pairs, counts)
    n_matched = matched["n_vendor"].sum()
    shape_um = [size * pixel_um for size in masks.shape_yx]
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "sample": manifest.sample,
        "vendor_file": "",
        "expand_um": expand_um,
        "n_transcripts": counts.n_rows,
        "ours": sides[0],
        "vendor": sides[1],
        "matches": [match_figures(overlaps, counts, each) for each in THRESHOLDS],
        "n_merged": shared.n_merged(),
        "n_split": shared.n_split(),
        "same_cell_share": float(matched["n_common"].sum() / n_matched) if n_matched else None,
        "places": [
            {"y_um": (row + 0.5) * SQUARE_UM, "x_um": (column + 0.5) * SQUARE_UM, "n_changed": n}
            for row, column, n in counts.places((shape_um[0], shape_um[1]))
        ],
        "purity_rings": [each.to_dict()["rings"] for each in pure],
    }
    record["sentences"] = sentences(record)
    return VendorComparison(record, genes, matched, ours, theirs, manifest)


def _purity(source: TranscriptSource, tiles: LabelTiles) -> Purity:
    measured = measure_cells(tiles)
    return measure_purity(source, windows_of(source, tiles, measured), measured, PurityOptions())


def _matched_table(
    shared: Shared, overlaps: Overlaps, pairs: NDArray[np.intp], counts: BothCounts
) -> pd.DataFrame:
    """Tabulate the matched cells, and the transcripts of each and of both."""
    rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
    totals = [np.asarray(matrix.sum(axis=1)).ravel() for matrix in (counts.ours, counts.theirs)]
    return pd.DataFrame(
        {
            "ours": shared.ours[rows],
            "vendor": shared.theirs[columns],
            "iou": overlaps.iou[pairs],
            "n_ours": totals[0][rows],
            "n_vendor": totals[1][columns],
            "n_common": counts.n_common[rows],
        }
    )
