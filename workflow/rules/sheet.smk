"""Config and sample sheet, which are read and checked before any job runs."""

import functools
import os
import re
from pathlib import Path
from snakemake.exceptions import WorkflowError
from cellsam_core.config.schema import finds_nuclei
from cellsam_core.config.sheet import load_config
from cellsam_core.corrections.result import SHEET_COLUMNS
from cellsam_core.errors import InputError

ROOT = Path(
    os.path.normpath(workflow.current_basedir.join("../..").get_path_or_uri(secret_free=True))
)
try:
    CONFIG = load_config(config, folders=[Path(), ROOT])
except InputError as error:
    raise WorkflowError(str(error)) from None
SAMPLES = CONFIG.samples
GIVEN_MASKS = [sample for sample, row in SAMPLES.items() if "masks" in row]

BOTH_TARGETS = [sample for sample in SAMPLES if finds_nuclei(CONFIG.settings(sample, "segment"))]
# Nuclei of the others are found by the program.
GIVEN_NUCLEI = [sample for sample in BOTH_TARGETS if CONFIG.given_nuclei(sample) is not None]
FOUND_NUCLEI = [sample for sample in BOTH_TARGETS if sample not in GIVEN_NUCLEI]


def only(samples):
    """Return the constraint of a wildcard that has the names of some samples only."""
    return "|".join(map(re.escape, samples)) or "(?!)"


# Folder of all results, if another workflow uses this one as a module with `prefix`. Snakemake puts
# it before the paths of inputs and outputs, but not into params.
PREFIX = workflow.modifier.path_modifier.prefix or ""


wildcard_constraints:
    sample="[A-Za-z0-9][A-Za-z0-9._-]*",
    batch="[0-9]+-of-[0-9]+",


def given_path(sample, column, text):
    """Return the file or folder given in a column; a relative path starts at the sample sheet."""
    try:
        path = CONFIG.path_of(sample, column, text)
        path = os.path.abspath(path) if PREFIX else path
    except InputError as error:
        raise WorkflowError(str(error)) from None
    if not workflow.local_exec and set(path) & set("'\\"):
        raise WorkflowError(
            f"{CONFIG.sheet}, sample {sample!r}, {column}: Snakemake can't hand {path} to a"
            " cluster; use a path, or a symbolic link, without single quote and backslash"
        )
    return path


@functools.cache
def is_raw(sample):
    """Tell if a sample is raw rounds, from its format or from the tables in its folder."""
    from cellsam_core.samples.raw_rounds import FORMATS, find_format

    row = SAMPLES[sample]
    if row["assay"] == "movie":
        return False
    if row.get("format", "auto") != "auto":
        return row["format"] in FORMATS
    return find_format(CONFIG.sheet.parent / row["path"]) is not None


@functools.cache
def may_have_vendor_cells(sample):
    """Tell from the names of files if the folder of a tissue has cells of the vendor."""
    from cellsam_core.samples.vendor_cells import may_have_cells

    row = SAMPLES[sample]
    return row["assay"] != "movie" and may_have_cells(CONFIG.sheet.parent / row["path"])


def user_table(sample, kind):
    """Return a table of corrections: that of the sheet, else the one beside the folder of results.

    Without either, the list of paths is empty.
    """
    column = SHEET_COLUMNS[kind]
    path = f"{PREFIX}corrections/{sample}.{kind}.csv"
    is_there = os.path.exists(path) and (kind == "cells" or SAMPLES[sample]["assay"] == "movie")
    if column in SAMPLES[sample]:
        given = given_path(sample, column, SAMPLES[sample][column])
        # The page may have written the other one before it could know the table of the sheet.
        if is_there and not os.path.samefile(path, given):
            raise WorkflowError(
                f"{CONFIG.sheet}, sample {sample!r}, {column}: found {given} beside {path}, expected"
                " one table of corrections; put the rows of both into one, and remove the other, or"
                " its name from the sheet"
            )
        return given
    if not is_there:
        return []
    return os.path.abspath(path) if PREFIX else path


CORRECTED = [sample for sample in SAMPLES if user_table(sample, "cells")]
for sample in SAMPLES:
    left = f"{PREFIX}results/{sample}/2_masks/corrected"
    # Reports and viewers would take the masks for those of this run.
    if sample not in CORRECTED and os.path.isdir(left):
        raise WorkflowError(
            f"sample {sample!r}: found {left}, expected a table of corrections of cells"
            f" (corrections/{sample}.cells.csv, or the column cell_corrections); put the table"
            " back, or delete this folder"
        )
