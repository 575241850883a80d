"""Transcripts and cells -> counts, polygons and quality metrics, as one function."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.assignment.anndata import cell_anndata, write_h5ad
from cellsam_core.assignment.assigned import assign_transcripts
from cellsam_core.assignment.boundaries import write_boundaries
from cellsam_core.assignment.complete import (
    complete,
    open_stains,
    read_nuclei_of_cells,
    segmentation_of,
    with_solidity,
)
from cellsam_core.assignment.inputs import manifest_of, place
from cellsam_core.assignment.label_cells import LabelCells, open_label_cells
from cellsam_core.assignment.options import AssignInputOptions, AssignOptions
from cellsam_core.assignment.polygon_cells import open_polygon_cells
from cellsam_core.assignment.purity.masks import MaskPurity, grown_um
from cellsam_core.assignment.purity.options import PurityOptions
from cellsam_core.corrections.result import masks_folder
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.kept import keep_inputs
from cellsam_core.labels.image import as_label_image
from cellsam_core.options import options_of
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.options import InspectOptions
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from cellsam_core.assignment.assigned import Assigned
    from cellsam_core.assignment.cells import Cells

log = logging.getLogger(__name__)
WRITTEN = (
    "transcripts.parquet",
    "cells.h5ad",
    "boundaries.parquet",
    "assign_qc.json",
    "purity.json",
)


def assign(
    transcripts: pd.DataFrame | str | Path | Manifest,
    labels: Any = None,
    options: AssignOptions | None = None,
    *,
    purity: PurityOptions | None = None,
    polygons: str | Path | None = None,
    pixel_size_um: float | None = None,
    cells: pd.DataFrame | str | Path | None = None,
    nuclei: Any = None,
    nuclei_of_cells: pd.DataFrame | str | Path | None = None,
    inputs: AssignInputOptions | None = None,
    panel: Sequence[str | Path] = (),
    images: NDArray[Any] | None = None,
    channels: str | Sequence[str] | None = None,
    sample: str = "sample",
    output: str | Path | None = None,
) -> AnnData:
    """Give transcripts to cells and count the genes of each cell.

    Parameters
    ----------
    transcripts
        One row a transcript, with the columns ``gene`` and ``x_um, y_um`` or ``x_px, y_px``, and
        optionally ``z`` and ``feature_type``: a data frame, or the path of a csv or parquet file.
        Or a manifest, or the path of its ``.json`` file, whose table and transform are used.
    labels
        Label image of the cells: integers ``(y, x)``, 0 = background; the path of a TIFF or
        ``masks.zarr``; or the labels that :func:`cellsam_core.segment_frames` returns.
    options
        Options of the assignment; the defaults without it.
    purity
        Options of measuring the purity of the cells, and of ``expand_um="auto"``; the defaults
        without it.
    polygons
        Outlines of the cells in micrometres instead of `labels`: path of a parquet or csv file.
    pixel_size_um
        Side of a pixel in micrometres; not with a manifest, and not needed with labels whose file
        says it.
    cells
        Table ``cells.parquet`` of the segmentation, or its path; without it, scores are unknown.
    nuclei
        Labels or mask ``(y, x)`` of the nuclei, or a path, as large as `labels`: transcripts in
        them are counted in ``layers["nucleus"]``, all others in ``layers["cytoplasm"]``.
    nuclei_of_cells
        Table of the cells that :func:`cellsam_core.pair_nuclei` returned or wrote, or its path:
        number and area of the nuclei of each cell become columns of ``obs``.
    inputs
        Unit and planes of the outlines, and what is done where transcripts and cells hardly meet.
    panel
        Files that name the genes of the whole panel: genes that no transcript has are counted,
        too, so that sections of one panel have the same genes.
    images
        Raw stains ``(c, y, x)`` or ``(y, x)``, as large as `labels`, whose intensities are measured
        in the cells; not with a manifest, which has its own.
    channels
        Names of the channels of `images`.
    sample
        Name of the sample, with which the names of the cells begin.
    output
        Folder, such as ``3_cells``, to write ``transcripts.parquet``, ``cells.h5ad``,
        ``boundaries.parquet``, ``assign_qc.json`` and, for labels, ``purity.json`` to; without it
        nothing is written.

    Returns
    -------
    AnnData
        Counts of cells x genes, as in ``cells.h5ad``; ``docs/outputs.md`` lists all columns.
        ``uns["quality"]`` has the metrics of ``assign_qc.json`` that are known, which the file
        ``cells.h5ad`` has not. With `output`, ``obsm["controls"]`` is in the file only: a number
        for every cell and control can take more memory than all else.

    Raises
    ------
    InputError
        The transcripts or cells can't be used, or don't belong together, or an option would have
        no effect.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import cellsam_core as cc
    >>> labels = np.zeros((20, 30), dtype=np.uint32)
    >>> labels[2:12, 3:13] = 1
    >>> labels[5:15, 18:28] = 2
    >>> table = pd.DataFrame(
    ...     {"gene": ["Gad1", "Gad1", "Actb"], "x_um": [2.0, 4.5, 11.0], "y_um": [3.0, 2.5, 5.0]}
    ... )
    >>> adata = cc.assign(table, labels, pixel_size_um=0.5)
    >>> adata.to_df()
              Actb  Gad1
    sample_1     0     2
    sample_2     1     0
    >>> adata.uns["quality"]["frac_assigned"]
    1.0
    """
    options = options_of(AssignOptions, options)
    inputs = options_of(AssignInputOptions, inputs, "inputs")
    purity = options_of(PurityOptions, purity, "purity")
    InspectOptions(pixel_size_um=pixel_size_um)  # refuses one that is not positive
    manifest = manifest_of(transcripts)
    given = {"pixel_size_um": pixel_size_um, "cells": cells, "nuclei": nuclei, "images": images}
    given["nuclei_of_cells"] = nuclei_of_cells
    _refuse_unused(given, options, labels, polygons, has_manifest=manifest is not None)
    if output is not None:
        table_of = None if manifest is None else manifest.transcripts
        read = (transcripts, table_of, labels, polygons, cells, nuclei, nuclei_of_cells, *panel)
        keep_inputs(output, WRITTEN, *read)
    pure = None
    if polygons is not None:
        source = place(transcripts, manifest, pixel_size_um, None, inputs)
        owners: Cells = open_polygon_cells(
            polygons,
            source if manifest is not None else None,
            pixel_size_um=pixel_size_um,
            unit=inputs.polygons_unit,
            all_planes=inputs.outlines_in_all_planes,
        )
    else:
        image = as_label_image(labels, "labels")
        source = place(transcripts, manifest, pixel_size_um, image, inputs)
        pure = MaskPurity(source, image.tiles, purity, panel)
        options = replace(options, expand_um=pure.grow(options.expand_um))
        owners = open_label_cells(
            image,
            np.array(source.um_to_px),
            cells,
            expand_um=pure.purity.expand_um,
            nuclei=None if nuclei is None else as_label_image(nuclei, "nuclei", allow_mask=True),
            fields=source.fields,
        )
    raw = None
    if isinstance(owners, LabelCells):
        raw = open_stains(manifest, images, channels, owners.tiles.shape_yx)
    add = partial(
        complete,
        owners=owners,
        raw=raw,
        options=options,
        segmentation=segmentation_of(labels),
        pure=pure,
        nuclei_of_cells=read_nuclei_of_cells(nuclei_of_cells),
    )
    log.info("assigning %d transcripts to %d cells", source.n_rows, len(owners.table))
    if output is None:
        assigned = assign_transcripts(
            source,
            owners,
            None,
            options.localisation_error_um,
            outside=inputs.outside,
            panel=panel,
            sample=sample,
        )
        table = cell_anndata(sample, assigned)
        add(table, assigned)
        table.strings_to_categoricals()
        for _ in with_solidity(owners.outlines(), table):  # tells cells of other labels, too
            pass
    else:
        with_panel = partial(assign_transcripts, outside=inputs.outside, panel=panel, sample=sample)
        count = partial(with_panel, source, owners)
        table, assigned = _write(Path(output), owners, options, sample, count, add)
        if pure is None:  # that of labels in an earlier run is not of these cells
            (Path(output) / "purity.json").unlink(missing_ok=True)
        else:
            with atomic_path(Path(output) / "purity.json") as path:
                path.write_text(pure.purity.to_json(sample, SCHEMA_VERSION))
    quality = assigned.quality
    for warning in quality["warnings"]:
        log.warning(warning)
    log.info(
        "%d of %d transcripts in %d cells",
        quality["n_assigned"],
        quality["n_transcripts"],
        quality["n_cells"],
    )
    if pure is not None:
        quality = quality | {"purity": pure.purity.purity}
    # The older formats of AnnData have no None.
    table.uns["quality"] = {key: value for key, value in quality.items() if value is not None}
    return table


def _refuse_unused(
    given: dict[str, Any],
    options: AssignOptions,
    labels: Any,
    polygons: str | Path | None,
    *,
    has_manifest: bool,
) -> None:
    """Refuse options that would have no effect."""
    if (labels is None) == (polygons is None):
        raise InputError(
            "labels, polygons",
            found="neither" if labels is None else "both",
            expected="one of the two",
            remedy="give the cells either as labels or as polygons",
        )
    unused = {}
    if has_manifest:
        unused["pixel_size_um"] = "a manifest, which has the pixel size"
        unused["images"] = "a manifest, which has the images"
    if polygons is not None:
        unused |= {
            "cells": "polygons, which are the cells",
            "nuclei": "polygons, which no image of nuclei need fit",
            "nuclei_of_cells": "polygons, which no nuclei are paired with",
            "images": "polygons, in which no intensities are measured",
            "expand_um": "polygons, which are not grown",
        }
        given = given | {"expand_um": options.expand_um or None}
    for name, why in unused.items():
        if given[name] is not None:
            raise InputError(
                f"option `{name}`",
                found=f"the option beside {why}",
                expected="one of the two",
                remedy="leave one out",
            )


def _write(
    folder: Path,
    cells: Cells,
    options: AssignOptions,
    sample: str,
    count: Callable[..., Assigned],
    add: Callable[[AnnData, Assigned], None],
) -> tuple[AnnData, Assigned]:
    """Assign the transcripts and write the folder ``3_cells``."""
    # Outlines tell whether cells and labels belong together: before them nothing may appear.
    with atomic_path(folder / "transcripts.parquet") as path:
        assigned = count(path, options.localisation_error_um)
        table = cell_anndata(sample, assigned, with_controls=False)
        add(table, assigned)
        write_boundaries(
            folder / "boundaries.parquet",
            with_solidity(cells.outlines(), table),
            sample=sample,
            um_to_px=cells.um_to_px,
        )
    write_h5ad(folder / "cells.h5ad", table, assigned)
    content = {"schema_version": SCHEMA_VERSION, "sample": sample} | assigned.quality
    with atomic_path(folder / "assign_qc.json") as path:
        path.write_text(json.dumps(content, indent=1) + "\n")
    return table, assigned


def export_spatialdata(
    results: str | Path, output: str | Path, options: AssignOptions | None = None
) -> None:
    """Write the results of a tissue as one SpatialData store; an optional extra.

    Parameters
    ----------
    results
        Folder of a sample, such as ``results/cortex``.
    output
        Zarr folder to write.
    options
        Options that the transcripts were assigned with; without it, those that the cell table
        records.

    Raises
    ------
    InputError
        The folder has no manifest of a tissue, a file is missing, or the package spatialdata is
        not installed.
    """
    from cellsam_core.assignment.spatialdata import write_spatialdata

    folder = Path(results)
    _, source = Manifest.load_tissue(folder / "0_manifest.json")
    write_spatialdata(
        Path(output),
        frames=folder / "1_preprocessed/frames.zarr",
        masks=masks_folder(folder) / "masks.zarr",
        cells=folder / "3_cells",
        um_to_px=np.array(source.um_to_px),
        expand_um=grown_um(folder, None if options is None else options.expand_um),
    )
