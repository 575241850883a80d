"""Suffixes of image files, and files that make a folder an image."""

from __future__ import annotations

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".stk", ".lsm")
DAX_SUFFIX = ".dax"
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg")


STORE_FILES = ("zarr.json", ".zgroup")
"""Files that make a folder a Zarr group, of Zarr v3 and v2."""

ARRAY_FILES = ("zarr.json", ".zarray")
"""Files that make a folder a Zarr array, of Zarr v3 and v2."""
