"""Compares output files with the columns that the stages declare."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import pandas as pd
import pyarrow.parquet as pq

from cellsam_core.outputs import Output
from cellsam_core.reporting.outputs import outputs_at

FOLDERS = (".zarr", ".geff")


def files_below(root: Path) -> list[str]:
    """Paths of files and Zarr folders, relative to `root`; hidden files are left out."""
    found = []
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and path.suffix not in FOLDERS:
            found += [f"{path.name}/{name}" for name in files_below(path)]
        else:
            found.append(path.name)
    return found


def faults_of(root: Path) -> list[str]:
    """Compare all files below a folder with what is declared; one sentence a difference."""
    faults = []
    for name in files_below(root):
        declared = list(outputs_at(name))
        if not declared:
            faults.append(f"{name}: declare it in the columns.py of the stage that writes it")
        for output in declared:
            if output.columns and output.path == name:
                faults += faults_in(root / name, output)
    return faults


def faults_in(path: Path, output: Output) -> list[str]:
    """Compare one file with its declaration."""
    if path.suffix == ".json":
        return output.faults(json.loads(path.read_text()))
    if path.suffix == ".h5ad":
        table = anndata.read_h5ad(path)
        described = table.uns["columns"].index
        names = list(getattr(table, output.part))
        lacking = [f"{output.part}.{name}" for name in names if output.part != "uns"]
        faults = [f"uns['columns'] lacks {key}" for key in lacking if key not in described]
        return output.faults(names) + faults
    if path.suffix == ".parquet":
        schema = pq.read_schema(path)
        plain = [item.name for item in schema if not item.metadata]
        faults = [f"{output.path}: {name} has no description" for name in plain]
        return output.faults(schema.names) + list(output.wrong_types(schema)) + faults
    table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    return output.faults(table.columns) + wrong_csv_types(table, output)


def wrong_csv_types(table: pd.DataFrame, output: Output) -> list[str]:
    """Find columns of a csv file that hold something else than is declared."""
    kinds = {"int": "iu", "float": "iuf", "bool": "b", "text": "OiufS"}
    return [
        f"{output.path}: {name} is {table[name].dtype}, not {column.type}"
        for name in table
        if (column := output.find(str(name))) is not None
        and table[name].notna().any()
        and table[name].dtype.kind not in kinds[column.type]
    ]
