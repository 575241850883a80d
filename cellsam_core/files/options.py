"""Options of the files that a stage writes."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options

OmeZarrVersion = Literal["0.5", "0.4"]


@options
class StoreOptions(Options):
    """Options of writing images and label images as OME-Zarr."""

    ome_zarr: OmeZarrVersion = option(
        "0.5",
        "Version of OME-Zarr of frames.zarr and masks.zarr. Some programs, such as QuPath and"
        " Bio-Formats, open 0.4 only. With 0.4 the chunks have no checksum, so that damage of a"
        " file is not always noticed.",
    )
