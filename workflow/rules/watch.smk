"""Files that are inputs of a job because the date of their folder does not show that they changed."""

import functools
import os


def is_open(entry):
    """Tell if an entry of a folder is a readable folder that is not hidden."""
    return entry.is_dir() and entry.name[0] != "." and os.access(entry.path, os.R_OK | os.X_OK)


STORE_FILES = ("zarr.json", ".zgroup", ".zattrs")


def folders_below(path, depth):
    """List the readable folders in a folder, down to a depth; the inside of a Zarr is left out."""
    if not depth or any(os.path.isfile(os.path.join(path, name)) for name in STORE_FILES):
        return []
    own = [entry.path for entry in os.scandir(path) if is_open(entry)]
    return own + [folder for name in own for folder in folders_below(name, depth - 1)]


def is_watched(name, suffixes):
    """Tell if a file is an image or table that is not hidden, or the metadata of a Zarr."""
    return name in STORE_FILES or (name.lower().endswith(suffixes) and name[0] != ".")


@functools.cache
def files_seen(path, is_movie):
    """List the sub-folders of a folder, and the file in them that was written last.

    The date of a folder does not change if a file in it is written again. Images are listed and,
    for tissues, tables.
    """
    # Imported only when needed, because each job of a cluster reads this file again.
    from cellsam_core.files.foreign import VENDOR_SUFFIXES
    from cellsam_core.files.suffixes import DAX_SUFFIX, RASTER_SUFFIXES, TIFF_SUFFIXES

    if os.path.isfile(path):
        return []
    tables = () if is_movie else (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".txt")
    suffixes = (*TIFF_SUFFIXES, *RASTER_SUFFIXES, *VENDOR_SUFFIXES, ".companion.ome", *tables)
    suffixes += (DAX_SUFFIX, ".npy", ".roi", ".zip", ".geojson")
    # Images of a movie may lie three levels deep, such as plate, position and stack.
    folders = [path, *folders_below(path, 3 if is_movie else 1)]
    files = {
        folder: [
            (entry.stat().st_mtime_ns, entry.path)
            for entry in os.scandir(folder)
            if entry.is_file() and is_watched(entry.name, suffixes)
        ]
        for folder in folders
    }
    filled = sorted(folder for folder in folders[1:] if files[folder])
    return [*filled, *(name for _, name in sorted(sum(files.values(), []))[-1:])]


def raw_content(wildcards):
    """Input function: files whose change makes the jobs run again that read the raw data."""
    return files_seen(raw_path(wildcards), SAMPLES[wildcards.sample]["assay"] == "movie")


def masks_content(wildcards):
    """Input function: files whose change makes the masks of the user be imported again."""
    return files_seen(masks_path(wildcards), True)


def inspected_content(wildcards):
    """Input function: the same for `inspect`; none if it reads decoded rounds."""
    return [] if is_raw(wildcards.sample) else raw_content(wildcards)


def weights_file(model):
    """List the weights if they are a file of the user, so that jobs run again if it changes."""
    from cellsam_core.models import backend_of

    backend = backend_of(model["weights"])
    path = backend.model if backend else model["weights"]
    # The path is absolute, so that Snakemake does not run the rule `finetune` to make the file.
    return [os.path.abspath(path)] if os.path.isfile(path) else []


weights_path = of_model(weights_file)


def benchmark_content(wildcards):
    """Input function: files whose change makes the benchmark run again, data and weights."""
    data = given_folder("benchmark_data")
    files = [] if data is None else files_seen(data, True)
    return files + weights_file(CONFIG.section("segment"))


def finetune_content(wildcards):
    """Input function: labelled images, since a corrected image does not change its folder's date."""
    return files_seen(finetune_data(wildcards), True)
