"""Kinds of masks, told by the names of files; nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ROI_SUFFIXES = (".zip", ".roi")
OUTLINE_SUFFIXES = (
    *(".geojson", ".json", ".geojson.gz", ".json.gz"),
    *(".parquet", ".csv", ".csv.gz", ".hdf5", ".zarr.zip"),
)


def is_rois(path: Path) -> bool:
    """Tell if a file is named as ROIs of ImageJ are; Xenium's masks end in .zarr.zip."""
    name = path.name.lower()
    return name.endswith(ROI_SUFFIXES) and not name.endswith(".zarr.zip")


def is_outlines(path: Path) -> bool:
    """Tell if a file holds outlines other than ROIs, by its name."""
    if path.is_dir():
        shapes = any(path.glob("*.hdf5")) or any(path.glob("shapes/*/shapes.parquet"))
        return shapes or (path / "shapes.parquet").is_file()
    return path.name.lower().endswith(OUTLINE_SUFFIXES)
