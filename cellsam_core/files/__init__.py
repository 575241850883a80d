"""File formats, independent of any stage: atomic writing, tables, OME-Zarr, TIFF."""
