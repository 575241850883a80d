"""Intensities, a small picture and provenance of the cell table."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from cellsam_core.assignment.anndata import describe_columns, storable
from cellsam_core.assignment.label_cells import LabelCells
from cellsam_core.assignment.picture import frames_of_pictures, spatial_entry
from cellsam_core.assignment.stains import absent_images, measure_stains
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.tables import plain_numbers, read_table, refuse_missing, refuse_repeated
from cellsam_core.nuclei.columns import CELL_COLUMNS
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array, images_of_manifest
from cellsam_core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from cellsam_core.assignment.assigned import Assigned
    from cellsam_core.assignment.cells import Cells
    from cellsam_core.assignment.options import AssignOptions
    from cellsam_core.assignment.purity.masks import MaskPurity
    from cellsam_core.assignment.stains import Measured
    from cellsam_core.preprocessing.images import RawImages
    from cellsam_core.samples.manifest import Manifest

log = logging.getLogger(__name__)

ROWS = 10_000
NUCLEUS_COLUMNS = tuple(column.name for column in CELL_COLUMNS)


def open_stains(
    manifest: Manifest | None,
    images: NDArray[Any] | None,
    channels: str | Sequence[str] | None,
    shape_yx: tuple[int, int],
) -> RawImages | None:
    """Open the raw stains of a manifest or of an array; None if there are none.

    Raises
    ------
    InputError
        The array is no image of the size of the labels, or its channels have no names.
    """
    if images is not None:
        raw = images_of_array(images, ArrayFacts(channels))
        if raw.shape_yx != shape_yx or raw.n_frames != 1:
            raise InputError(
                "images",
                found=f"an array of shape {np.shape(images)}",
                expected=f"one image (c, y, x) of the {shape_yx[1]} x {shape_yx[0]} px of the"
                " labels",
                remedy="give the stains of the tissue that was segmented",
            )
        return raw
    if manifest is None:
        return None
    gone = absent_images(manifest)
    if gone is None:
        return images_of_manifest(manifest)
    log.warning("%s is no longer there: no intensities are measured", gone)
    return None


def segmentation_of(labels: Any) -> dict[str, str | int | float]:
    """Read from masks how they were made; empty for labels of other programs."""
    import zarr

    path = Path(labels if isinstance(labels, str | Path) else getattr(labels, "path", ""))
    if not (path.is_dir() and omezarr.is_omezarr(path)):
        return {}
    recorded: Any = zarr.open_group(str(path), mode="r").attrs.get("cellsam", {})
    # Files of older AnnData hold text and numbers only.
    return {key: value for key, value in recorded.items() if isinstance(value, str | int | float)}


def complete(
    table: AnnData,
    assigned: Assigned,
    *,
    owners: Cells,
    raw: RawImages | None,
    options: AssignOptions,
    segmentation: dict[str, Any],
    pure: MaskPurity | None,
    nuclei_of_cells: pd.DataFrame | None = None,
) -> None:
    """Add shapes, intensities, a small picture and provenance to a cell table, in place.

    Parameters
    ----------
    table
        Table of :func:`~cellsam_core.assignment.anndata.cell_anndata`.
    assigned
        Counts that the table was made of.
    owners
        The cells.
    raw
        Raw stains, or None.
    options
        Options of the assignment.
    segmentation
        Weights, thresholds and cell diameter of the masks; empty if unknown.
    pure
        Purity of the masks; None for cells that are outlines.
    nuclei_of_cells
        Nuclei of each cell, see :func:`read_nuclei_of_cells`.
    """
    table.uns["provenance"] = {
        "cellsam_core": __version__,
        "expand_um": float(options.expand_um),
        "localisation_error_um": float(options.localisation_error_um),
    } | ({"segmentation": segmentation} if segmentation else {})
    if isinstance(owners, LabelCells):
        cell_id = table.obs["cell_id"].to_numpy()
        measured = measure_stains(raw, owners.tiles, cell_id, owners.nuclei)
        if raw is not None:
            _add_intensities(table, measured)
        area_um2 = float(np.median(table.obs["area_um2"])) if table.n_obs else 0.0
        diameter_um = 2 * np.sqrt(max(area_um2, 1e-6) / np.pi)
        frames = frames_of_pictures(table.obsm["spatial"], owners.um_to_px)
        for key, um_to_px in frames.items():
            entry = spatial_entry(measured, um_to_px, table.obsm[key], float(diameter_um))
            table.uns[key] = {table.uns["spatialdata_attrs"]["region"]: entry}
    for name, values in owners.shapes().items():
        table.obs[name] = values.to_numpy()
    if pure is not None:
        pure.add_to(table, owners)
    table.obs["solidity"] = np.nan  # until the outlines are drawn
    if nuclei_of_cells is not None:
        known = nuclei_of_cells.reindex(table.obs["cell_id"].to_numpy())
        refuse_absent(nuclei_of_cells, table.obs["cell_id"])
        for name in NUCLEUS_COLUMNS:
            table.obs[name] = known[name].to_numpy()
    table.uns["columns"] = describe_columns(table)


def read_nuclei_of_cells(given: pd.DataFrame | str | Path | None) -> pd.DataFrame | None:
    """Read the table of cells that ``pair`` wrote.

    Raises
    ------
    InputError
        The table can't be read, lacks a column or has a cell twice.
    """
    if given is None:
        return None
    columns = ["label", *NUCLEUS_COLUMNS]
    name: str | Path = "nuclei_of_cells"
    if isinstance(given, pd.DataFrame):
        refuse_missing(name, given, columns)
        table = given
    else:
        name = Path(given)
        table = read_table(name, columns, only=True)
    table = plain_numbers(name, table, ["label"])
    refuse_repeated(name, table["label"], "cell", "give the table of one label image")
    return table.set_index("label")


def refuse_absent(nuclei_of_cells: pd.DataFrame, cell_id: pd.Series[int]) -> None:
    """Refuse a table that lacks a cell.

    Raises
    ------
    InputError
        A cell is not in the table.
    """
    absent = cell_id[~cell_id.isin(nuclei_of_cells.index)]
    if len(absent):
        raise InputError(
            "nuclei_of_cells",
            found=f"no cell {absent.iloc[0]}",
            expected="all cells of the masks",
            remedy="pair the nuclei with these masks",
        )


def with_solidity(
    outlines: Iterable[tuple[int, shapely.Geometry]], table: AnnData
) -> Iterator[tuple[int, shapely.Geometry]]:
    """Pass outlines on, and write the solidity of each cell into its table at the end."""
    rows, solidity = iter(outlines), []
    while group := list(islice(rows, ROWS)):
        shapes = np.array([shape for _, shape in group], dtype=object)
        solidity.append(shapely.area(shapes) / shapely.area(shapely.convex_hull(shapes)))
        yield from group
    table.obs["solidity"] = np.concatenate([*solidity, np.empty(0)])


def _add_intensities(table: AnnData, measured: Measured) -> None:
    columns = storable(list(measured.channels))
    tables: dict[str, NDArray[Any]] = {"intensities": measured.means.astype(np.float32)}
    tables["intensities_integrated"] = measured.sums
    if measured.has_nuclei:
        tables["intensities_nucleus"] = measured.means_nucleus.astype(np.float32)
    for name, values in tables.items():
        table.obsm[name] = pd.DataFrame(values, index=table.obs_names, columns=columns)
