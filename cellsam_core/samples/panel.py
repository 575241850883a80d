"""The whole panel of a sample: features that were looked for, whether or not they were found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.features import classify_feature, normalise_type
from cellsam_core.files.tables import read_table, table_errors
from cellsam_core.samples.table_rows import TABLE_SUFFIXES, column_names, iter_columns
from cellsam_core.samples.transcripts import GENE_COLUMNS, TYPE_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterable

# Tables with a column for each feature: MERSCOPE, Spatial Genomics, CosMx.
MATRIX = re.compile(r"(.*_)?(cell_by_gene|CellxGene|exprMat_file)(_.*)?\.csv(\.gz)?")
MATRIX_KEYS = {"", "cell", "cell_id", "cell_ID", "fov", "EntityID"}
MEASURED_COLUMN = "blanks_measure"
NAME_COLUMNS = (*GENE_COLUMNS, "Name")
IN_FOLDERS = ("gene_panel.json", "panel.csv", "panel.txt", "codebook.csv")


def read_panel(paths: Iterable[str | Path]) -> dict[str, str]:
    """Read the features of a panel and what each one is.

    Parameters
    ----------
    paths
        Files of which each names features of the panel: Xenium's ``gene_panel.json``; a table
        with a column ``gene`` or ``name``, such as a codebook or the transcripts of another
        sample, and maybe ``feature_type``; MERSCOPE's ``cell_by_gene.csv`` or CosMx'
        ``exprMat_file.csv``; another sample's ``cells.h5ad``; or text, one name a line.

    Returns
    -------
    dict
        ``"gene"`` or the class of the control, by name, in the order of the files.

    Raises
    ------
    InputError
        A file can't be read or names nothing.
    """
    panel: dict[str, str] = {}
    for path in map(Path, paths):
        with table_errors(path):
            found = _read(path)
        found = {name.strip(): kind for name, kind in found.items() if name.strip()}
        if not found:
            raise InputError(
                path,
                found="no names of genes",
                expected="the features of the panel, one name a line or in a column named gene",
                remedy="correct the file, or leave the panel out",
            )
        panel = found | panel
    return panel


def unmeasured_in(paths: Iterable[str | Path]) -> set[str]:
    """Find the genes whose errors no blank measures, as the codebook of a decoded sample says."""
    found: set[str] = set()
    for path in map(Path, paths):
        if path.suffix == ".csv" and MEASURED_COLUMN in column_names(path):
            table = read_table(path, ("name", MEASURED_COLUMN), only=True, dtype=str)
            found.update(table["name"][table[MEASURED_COLUMN] == "0"])
    return found


def panel_in(folder: Path) -> list[Path]:
    """List the files of a folder that are known to name its panel."""
    return [folder / name for name in IN_FOLDERS if (folder / name).is_file()][:1]


def matrix_in(files: Iterable[Path]) -> list[Path]:
    """List the first of a vendor's own tables with a column for each feature."""
    return [file for file in sorted(files) if MATRIX.fullmatch(file.name)][:1]


def _read(path: Path) -> dict[str, str]:
    if path.suffix == ".json":
        return _read_xenium(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".h5ad":
        return _read_h5ad(path)
    if not path.name.endswith(TABLE_SUFFIXES) and not path.is_dir():
        names = path.read_text(encoding="utf-8-sig").splitlines()
        return {name: classify_feature(name.strip()) for name in names}
    names = column_names(path)
    if MATRIX.fullmatch(path.name):
        return {name: classify_feature(name) for name in names if name not in MATRIX_KEYS}
    column = next((name for name in NAME_COLUMNS if name in names), None)
    if column is None:
        return {}
    return _read_column(path, column, TYPE_COLUMN if TYPE_COLUMN in names else None)


def _read_column(path: Path, column: str, type_column: str | None) -> dict[str, str]:
    found: dict[str, str] = {}
    # Rows at the end of a spreadsheet may be empty.
    wanted = [column] + ([type_column] if type_column else [])
    for batch in iter_columns(path, [], [], ids=wanted):
        table = batch.to_pandas().drop_duplicates().dropna(subset=column)
        kinds = table[type_column] if type_column else [None] * len(table)
        for name, kind in zip(table[column], kinds, strict=True):
            is_said = isinstance(kind, str) and kind != ""
            found.setdefault(name, normalise_type(kind) if is_said else classify_feature(name))
    return found


def _read_xenium(content: Any) -> dict[str, str]:
    found = {}
    for target in content["payload"]["targets"]:
        kind = target["type"]
        data = kind.get("data", kind)
        found[str(data["name"])] = normalise_type(str(kind.get("descriptor", "gene")))
    return found


def _read_h5ad(path: Path) -> dict[str, str]:
    import h5py
    from anndata.io import read_elem

    with h5py.File(path) as file:
        found = {str(name): "gene" for name in read_elem(file["var"]).index}
        controls = read_elem(file["uns"]).get("controls")
    if controls is not None:
        found |= dict(zip(controls["name"], controls["feature_type"], strict=True))
    return found
