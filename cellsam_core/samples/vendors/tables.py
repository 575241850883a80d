"""Transcript tables and polygon files, looked for by name and by what is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.samples.table_rows import TABLE_SUFFIXES, column_names, parquet_parts
from cellsam_core.samples.transcripts import BARCODE_COLUMN, SURE_GENE_COLUMNS, has_coordinates

MIN_COLUMNS = 3
MAX_LINE_CHARACTERS = 10_000
TRANSCRIPTS = re.compile(r"transcript|spots", re.IGNORECASE)


def transcript_tables(folder: Path) -> list[Path]:
    """List the tables that may be that of the transcripts, the instrument's own alone if it is."""
    tables = [
        file
        for file in sorted(folder.iterdir())
        if TRANSCRIPTS.search(file.name)
        and (parquet_parts(file) if file.is_dir() else file.name.endswith(TABLE_SUFFIXES))
    ]
    native = [file for file in tables if file.name.split(".")[0] == "detected_transcripts"]
    return native or tables or [file for file in sorted(folder.iterdir()) if _is_like_one(file)]


def _is_like_one(file: Path) -> bool:
    """Tell by its columns if a table of any name has the gene and the place of each transcript.

    Baysor writes ``segmentation.csv``, and many programs a table named by the sample.
    """
    is_table = file.is_file() and file.name.endswith(TABLE_SUFFIXES)
    if not is_table or file.name.startswith("."):
        return False
    try:
        names = set(column_names(file))
    except InputError:
        return False  # of another kind, or damaged: nothing says that it is one of transcripts
    has_genes = any(name in names for name in (*SURE_GENE_COLUMNS, BARCODE_COLUMN))
    return has_genes and has_coordinates(names)


def text_tables(folder: Path) -> list[Path]:
    """List tables named like one of transcripts, whose suffix tells no table: ``S_results.txt``."""
    return [
        file
        for file in sorted(folder.glob("*.txt"))
        if TRANSCRIPTS.search(file.name)
        and not file.name.endswith(TABLE_SUFFIXES)
        and _has_columns(file)
    ]


def _has_columns(file: Path) -> bool:
    """Tell by its first line if a text has the columns of a table: x, y and gene at the least."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return len(re.split(r"[\t,;]", stream.readline(MAX_LINE_CHARACTERS))) >= MIN_COLUMNS


def transcript_table(folder: Path) -> Path:
    """Find the one table with transcripts; the instrument's own wins over tables derived from it.

    Raises
    ------
    InputError
        There is none, or more than one.
    """
    tables = transcript_tables(folder)
    if len(tables) == 1:
        return tables[0]
    if not tables and (text := text_tables(folder)):
        raise InputError(
            text[0],
            found="a text file with the name of a transcript table",
            expected="a table whose name ends in .csv or .tsv and whose first line names the "
            "columns",
            remedy="rename it to end in .tsv (tabs between the columns) or .csv (commas), and, if "
            "it has no such line, write one above its rows, such as x_px, y_px, z, gene",
        )
    raise InputError(
        folder,
        found=f"{len(tables)} transcript tables ({', '.join(file.name for file in tables)})"
        if tables
        else "no transcript table",
        expected="one csv, csv.gz, tsv or parquet file with 'transcript' or 'spots' in its name",
        remedy="rename the other tables, or move them out of the folder, or, if they are of several"
        " tissues, put the images and the table of each into a folder of its own"
        if tables
        else "add or rename the table",
    )


def vendor_polygons(folder: Path) -> tuple[Path | None, list[str]]:
    """Find the vendor's own cells in um, as GeoParquet or a folder of HDF5; and give warnings."""
    files = []
    for file in filter(Path.is_file, sorted(folder.glob("*.parquet"))):
        with table_errors(file):
            metadata = pq.read_schema(file).metadata or {}
        # The vendor's tool writes the same polygons in pixels as well.
        if b"geo" in metadata and "mosaic_space" not in file.name:
            files.append(file)
    if not files and any((folder / "cell_boundaries").glob(HDF5_NAME)):
        files = [folder / "cell_boundaries"]
    if len(files) < 2:
        return (files[0] if files else None), []
    listed = ", ".join(file.name for file in files)
    return None, [f"There are several sets of vendor polygons ({listed}); none is used."]


HDF5_NAME = "feature_data_*.hdf5"
