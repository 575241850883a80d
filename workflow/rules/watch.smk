"""Files that a job must see to run again, besides its inputs: what a folder's date does not tell."""

import functools
import os


def is_open(entry):
    """Whether a folder's entry is a folder that we may look into and that is not hidden."""
    return entry.is_dir() and entry.name[0] != "." and os.access(entry.path, os.R_OK | os.X_OK)


@functools.cache
def files_seen(path, is_movie):
    """What a folder's own date does not tell: its sub-folders, and the file written last.

    Images count, and tables of tissues; a frame or table that is written anew changes no folder.
    """
    # Imported where needed: each job of a cluster reads this file anew.
    from cellsam_core.files.planes import RASTER_SUFFIXES, TIFF_SUFFIXES

    if os.path.isfile(path):
        return []
    tables = () if is_movie else (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".txt")
    suffixes = (*TIFF_SUFFIXES, *RASTER_SUFFIXES, *tables)
    folders = [path, *(e.path for e in os.scandir(path) if is_open(e))]
    files = {
        folder: [
            (entry.stat().st_mtime_ns, entry.path)
            for entry in os.scandir(folder)
            if entry.is_file() and entry.name.lower().endswith(suffixes) and entry.name[0] != "."
        ]
        for folder in folders
    }
    filled = sorted(folder for folder in folders[1:] if files[folder])
    return [*filled, *(name for _, name in sorted(sum(files.values(), []))[-1:])]


def raw_content(wildcards):
    """Input function: what has a job run again that reads the sample's folder or file."""
    return files_seen(raw_path(wildcards), SAMPLES[wildcards.sample]["assay"] == "movie")


def inspected_content(wildcards):
    """Input function: the same of the folder that `inspect` reads, where it is not our own."""
    return [] if is_raw(wildcards.sample) else raw_content(wildcards)


def weights_file(model):
    """Weights that are a file of the user: tuned anew, they are to be used anew."""
    # Absolute, since the rule that tunes weights need not run because of them.
    return [os.path.abspath(model["weights"])] if os.path.isfile(model["weights"]) else []


def weights_path(wildcards):
    """Input function: the weights that a sample is segmented with."""
    return weights_file(CONFIG.settings(wildcards.sample, "segment"))


def benchmark_content(wildcards):
    """Input function: what tells that data or weights of the benchmark have changed."""
    data = given_folder("benchmark_data")
    files = [] if data is None else files_seen(data, True)
    return files + weights_file(CONFIG.section("segment"))


def finetune_content(wildcards):
    """Input function: a label image that is corrected changes no folder's date."""
    return files_seen(finetune_data(wildcards), True)
