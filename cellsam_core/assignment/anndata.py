"""The cell table as AnnData: what scanpy, squidpy and spatialdata read."""

from __future__ import annotations

import io
import os
import re
from typing import IO, TYPE_CHECKING, Any

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem, write_elem

from cellsam_core.assignment.columns import TABLE
from cellsam_core.assignment.coordinates import coordinates
from cellsam_core.assignment.uncertainty import expected_false_positives, expected_false_share
from cellsam_core.features import GENE
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import refuse_repeated, table_errors
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.version import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    import scipy.sparse
    from typing_extensions import Buffer

    from cellsam_core.assignment.assigned import Assigned

COMPRESSION = {"compression": "gzip"}
RESERVED_KEYS = (".", "..", "_index")


def cell_anndata(sample: str, assigned: Assigned, *, with_controls: bool = True) -> anndata.AnnData:
    """Build the cell table: genes in ``X``, controls beside them, every cell kept.

    Parameters
    ----------
    sample
        Goes into the cells' names.
    assigned
        All columns of its cells become columns of ``obs``.
    with_controls
        Include ``obsm["controls"]``, which holds a number for every cell and control; without it,
        :func:`write_h5ad` writes it column by column.

    Returns
    -------
    anndata.AnnData
        ``X`` int32 CSR of genes; ``obs.n_transcripts`` and ``obs.n_genes`` count genes,
        ``obs.n_controls`` the transcripts of ``obsm["controls"]``,
        ``obs.expected_false_positives`` and ``var.expected_false_share`` are estimated from the
        blanks; ``var`` has the transcripts of each gene in the input and in cells;
        ``layers["nucleus"]`` and ``layers["cytoplasm"]`` the counts in and outside of nuclei;
        ``uns["controls"]`` the name and class of each column of ``obsm["controls"]``, in which a
        name that HDF5 can't hold is changed.
    """
    cells, features, counts = assigned.cells, assigned.features, assigned.counts
    is_gene = (features["feature_type"] == GENE).to_numpy()
    genes, controls = counts[:, is_gene], counts[:, ~is_gene]
    obs_names = [f"{sample}_{cell_id}" for cell_id in cells["cell_id"]]
    obs = _placed(cells, assigned.um_to_px).set_axis(pd.Index(obs_names, dtype=object))
    for place, name in enumerate(("region", "sample"), start=1):
        same = pd.Categorical([sample] * len(obs), categories=[sample])
        obs.insert(place, name, pd.Series(same, index=obs.index))
    obs["n_transcripts"] = _total(genes, axis=1)
    obs["n_genes"] = np.diff(genes.indptr).astype(np.int32)
    obs["n_controls"] = _total(controls, axis=1)
    obs["total_counts"] = obs["n_transcripts"].astype(np.float32)
    obs["n_genes_by_counts"] = obs["n_genes"]
    # Blanks tell nothing of the genes whose errors they don't measure.
    is_measured = features.get("is_measured", np.full(len(features), True))
    kinds = features["feature_type"].where(is_measured, "").to_numpy()
    obs["expected_false_positives"] = expected_false_positives(
        counts, kinds, cells["area_um2"].to_numpy()
    )
    var = features[is_gene].drop(columns="is_measured", errors="ignore").astype({"name": object})
    var = var.set_index("name").rename_axis(None)
    var["feature_type"] = pd.Categorical(var["feature_type"], categories=[GENE])
    var["n_assigned"] = _total(genes, axis=0)
    # A gene of the panel that was never seen has no share.
    var["frac_assigned"] = var["n_assigned"] / var["n_transcripts"].replace(0, np.nan)
    share = expected_false_share(features["n_transcripts"].to_numpy(), kinds)
    var["expected_false_share"] = np.where(kinds == GENE, share, np.nan)[is_gene]
    table = anndata.AnnData(X=genes, obs=obs, var=var)
    table.obsm["spatial"] = cells[["x_um", "y_um"]].to_numpy(dtype=np.float64)
    table.obsm["spatial_image"] = obs[["x_image_um", "y_image_um"]].to_numpy(dtype=np.float64)
    names = features["name"][~is_gene].to_list()
    columns = storable(names)
    if with_controls:
        table.obsm["controls"] = pd.DataFrame(controls.toarray(), index=obs.index, columns=columns)
    table.uns["controls"] = pd.DataFrame(
        {"name": names, "feature_type": features["feature_type"][~is_gene].to_list()},
        index=pd.Index(columns, dtype=object),
        dtype=object,
    )
    if assigned.nuclear_counts is not None:
        nuclear = assigned.nuclear_counts[:, is_gene]
        table.layers["nucleus"] = nuclear
        cytoplasmic = (genes - nuclear).tocsr()
        cytoplasmic.eliminate_zeros()
        table.layers["cytoplasm"] = cytoplasmic
        n_all = obs["n_transcripts"].to_numpy(np.float64)
        table.obs["nuclear_fraction"] = np.divide(
            _total(nuclear, axis=1), n_all, out=np.full(len(n_all), np.nan), where=n_all > 0
        )
    table.uns["spatialdata_attrs"] = {
        "region": sample,
        "region_key": "region",
        "instance_key": "cell_id",
    }
    table.uns["schema_version"] = SCHEMA_VERSION
    table.uns["coordinates"] = coordinates(assigned.um_to_px)
    table.uns["columns"] = describe_columns(table)
    return table


def _placed(cells: pd.DataFrame, um_to_px: npt.NDArray[np.float64] | None) -> pd.DataFrame:
    """Add the centroids in the image, in um and in pixels; NaN if there is no image."""
    xy_um = cells[["x_um", "y_um"]].to_numpy(dtype=np.float64)
    matrix = np.full((3, 3), np.nan) if um_to_px is None else um_to_px
    xy_px = xy_um @ matrix[:2, :2].T + matrix[:2, 2]
    size = np.nan if um_to_px is None else pixel_size_of(um_to_px)
    placed = cells.drop(columns=["x_um", "y_um"])
    columns = {"x_um": xy_um[:, 0], "y_um": xy_um[:, 1]}
    columns |= {"x_image_um": xy_px[:, 0] * size, "y_image_um": xy_px[:, 1] * size}
    columns |= {"x_px": xy_px[:, 0], "y_px": xy_px[:, 1]}
    for place, (name, values) in enumerate(columns.items(), start=1):
        placed.insert(place, name, values)
    return placed


def describe_columns(table: anndata.AnnData) -> pd.DataFrame:
    """Tabulate type, unit, meaning and missing value of each column of a cell table.

    Returns
    -------
    pandas.DataFrame
        Text; the index is the place of the column, such as ``obs.area_um2``.
    """
    rows = {}
    for part in TABLE:
        where = getattr(table, part.part)
        for column in part.columns:
            names = [name for name in where if part.find(name) is column]
            if part.part == "uns" or column.name == "controls":
                names = [column.name]
            for name in names:
                fields = (column.type, column.unit, column.text, column.missing)
                rows[f"{part.part}.{name}"] = fields
    return pd.DataFrame(
        list(rows.values()),
        columns=["type", "unit", "meaning", "missing"],
        index=pd.Index(list(rows), dtype=object),
        dtype=object,
    )


def write_h5ad(path: str | Path, table: anndata.AnnData, assigned: Assigned | None = None) -> None:
    """Write a table; the same table gives the same bytes.

    Parameters
    ----------
    path
        File to write.
    table
        From :func:`cell_anndata`.
    assigned
        Counts whose controls are written into ``obsm``, where the table is without them.
    """
    table.strings_to_categoricals()
    # Its newer formats have checksums of their structure, without which a damaged file can be
    # read for ever.
    options = {"libver": ("v110", "v110")}
    with atomic_path(path) as temporary, temporary.open("w+b", buffering=0) as file:
        disk = _Disk(file)
        with h5py.File(disk, "w", **options) as store:
            write_elem(store, "/", table, dataset_kwargs=COMPRESSION)
            # Written as an empty element, it keeps anndata before 0.12 from opening the file.
            store.pop("raw", None)
            if assigned is not None:
                _write_controls(store["obsm"], table.obs_names, assigned)
        if disk.error is not None:
            raise OSError(disk.error.errno, disk.error.strerror, str(temporary)) from disk.error


def _write_controls(obsm: h5py.Group, obs_names: pd.Index[str], assigned: Assigned) -> None:
    """Write the data frame ``controls``, of which only a column at a time is in memory."""
    is_control = (assigned.features["feature_type"] != GENE).to_numpy()
    names = storable(assigned.features["name"][is_control].to_list())
    counts = assigned.counts[:, is_control].tocsc()
    write_elem(obsm, "controls", pd.DataFrame(index=obs_names), dataset_kwargs=COMPRESSION)
    frame = obsm["controls"]
    for i, name in enumerate(names):
        column = counts[:, [i]].toarray().ravel()
        write_elem(frame, name, column, dataset_kwargs=COMPRESSION)
    if names:
        frame.attrs["column-order"] = np.array(names, dtype=object)


class _Disk(io.RawIOBase):
    """File for HDF5, to which a full disk is no error: HDF5 prints tracebacks of its own.

    After the first error it goes on in memory.

    Parameters
    ----------
    file
        Unbuffered, to write and read.

    Attributes
    ----------
    error
        The first error; None while all that was written is in the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        content = self._file.read(len(view))
        view[: len(content)] = content
        return len(content)

    def write(self, data: Buffer) -> int:
        start, view = self._file.tell(), memoryview(data)
        try:
            while (done := self._file.tell() - start) < len(view):
                self._file.write(view[done:])
        except OSError as error:
            self._go_on_in_memory(error)
            self._file.seek(start)
            self._file.write(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._go_on_in_memory(error)
            return self._file.truncate(size)

    def _go_on_in_memory(self, error: OSError) -> None:
        self.error = error
        self._file.seek(0)
        self._file = io.BytesIO(self._file.read())


def read_gene_counts(path: str | Path) -> pd.Series[Any]:
    """Read the transcripts of each gene in the input from ``cells.h5ad``; its counts stay on disk.

    Returns
    -------
    pandas.Series
        int64, the index is the gene.

    Raises
    ------
    InputError
        The file can't be read, or was not written by ``assign``.
    """
    with table_errors(path), h5py.File(path) as file:
        return _gene_counts(path, read_elem(file["var"]))


def gene_counts(name: str, table: anndata.AnnData) -> pd.Series[Any]:
    """Return the transcripts of each gene in the input, as :func:`read_gene_counts` does.

    Parameters
    ----------
    name
        Name of the sample, for errors.
    table
        Cell table of :func:`cell_anndata`.
    """
    with table_errors(f"sample {name}"):
        return _gene_counts(f"sample {name}", table.var)


def _gene_counts(where: str | Path, var: pd.DataFrame) -> pd.Series[Any]:
    counts: pd.Series[Any] = var["n_transcripts"].astype(np.int64)
    remedy = "give the table as `cellsam-core assign` wrote it"
    refuse_repeated(where, counts.index.to_series(), "gene", remedy)
    return counts


def storable(names: list[str]) -> list[str]:
    """Change the names that HDF5 or AnnData can't hold as keys, so that all still differ.

    A slash parts groups, one dot is the group itself, and ``_index`` is AnnData's own.
    """
    keys, taken = [], {*names, *RESERVED_KEYS}
    for name in names:
        key = re.sub(r"[/\0]", "_", name)
        if key != name or name in RESERVED_KEYS:
            while key in taken:
                key += "_"
            taken.add(key)
        keys.append(key)
    return keys


def _total(counts: scipy.sparse.csr_matrix, axis: int) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] = np.asarray(counts.sum(axis=axis, dtype=np.int64)).ravel()
    return total
