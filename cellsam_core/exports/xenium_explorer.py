"""Files of Xenium Explorer, written by the package sopa; an optional extra.

Blampey et al., Sopa, Nature Communications 2024, 10.1038/s41467-024-48981-z.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.assignment.spatialdata import write_spatialdata
from cellsam_core.errors import InputError
from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from cellsam_core.exports.outlines import Sample

SHAPES = "cell_boundaries"
MAX_VERTICES = 50
"""Largest number of corners of an outline; sopa's own limit of 13 changes areas visibly."""


def write_xenium_explorer(folder: Path, sample: Sample, expand_um: float) -> int:
    """Write image, outlines, transcripts and counts for Xenium Explorer.

    Parameters
    ----------
    folder
        Folder to make; ``experiment.xenium`` in it opens the sample.
    sample
        A finished tissue.
    expand_um
        Distance in micrometres by which cells were grown for the assignment.

    Returns
    -------
    int
        Number of cells.

    Raises
    ------
    InputError
        The package sopa is not installed, or the sample has no cells.
    """
    try:
        from sopa.io.explorer import str_cell_id, write, write_metadata
        from spatialdata import read_zarr
    except ImportError as error:
        raise InputError(
            "option `programs`",
            found="xenium_explorer, but no package sopa in this environment",
            expected="the optional package sopa",
            remedy="run `pip install 'cellsam-core[explorer]'`",
        ) from error
    size_um = pixel_size_of(sample.um_to_px)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        store = Path(scratch) / "spatialdata.zarr"
        write_spatialdata(
            store,
            frames=sample.folder / "1_preprocessed/frames.zarr",
            masks=sample.masks,
            cells=sample.folder / "3_cells",
            um_to_px=sample.um_to_px,
            expand_um=expand_um,
        )
        data = read_zarr(store)
        if "counts" not in data.tables:
            raise InputError(
                sample.folder,
                found="a tissue without cells",
                expected="at least one cell",
                remedy="leave xenium_explorer out of `programs`",
            )
        ids = _name_cells(data, str_cell_id)
        write(
            str(folder),
            data,
            table_key="counts",
            image_key="stains",
            points_key="transcripts",
            gene_column="feature",
            pixel_size=size_um,
            polygon_max_vertices=MAX_VERTICES,
            mode="-m",
        )
    # Called by `write`, it would name the size of a pixel of Xenium (sopa 2.2).
    write_metadata(str(folder), sample.name, SHAPES, len(ids), pixel_size=size_um)
    ids.to_csv(folder / "cell_ids.csv", index=False)
    return len(ids)


def _name_cells(data: Any, str_cell_id: Any) -> pd.DataFrame:
    """Give the cells ids of the form that Xenium Explorer has, from their numbers; return both."""
    table, shapes = data.tables["counts"], data.shapes[SHAPES]
    number = table.obs["cell_id"].to_numpy().astype(np.uint32)
    names = [str_cell_id(value) for value in number.tolist()]
    known = dict(zip(number.tolist(), names, strict=True))
    shapes.index = pd.Index([known[value] for value in shapes.index.tolist()])
    table.obs_names = names
    table.obs["explorer_id"] = names
    table.obs["region"] = pd.Categorical([SHAPES] * table.n_obs, categories=[SHAPES])
    attributes = {"region": SHAPES, "region_key": "region", "instance_key": "explorer_id"}
    table.uns["spatialdata_attrs"] = attributes
    return pd.DataFrame({"explorer_id": names, "cell_id": number})
