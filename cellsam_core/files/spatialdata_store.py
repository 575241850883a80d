"""Stores of SpatialData, which are told from OME-Zarr images and are not read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "spatialdata_attrs"


def refuse_store(path: Path) -> None:
    """Refuse a store of SpatialData; all other paths pass.

    Parameters
    ----------
    path
        Folder or file.

    Raises
    ------
    InputError
        It names the folder to use instead.
    """
    for name in ("zarr.json", ".zattrs"):
        try:
            said = json.loads((path / name).read_text(encoding="utf-8"))
            said = said.get("attributes", said)
            # An image in a store may bear the key too.
            is_store = KEY in said and "multiscales" not in said.get("ome", said)
        except (OSError, ValueError, AttributeError, TypeError):
            continue  # no store, or a damaged one, which its reader refuses
        if is_store:
            raise InputError(
                path,
                found="a store of SpatialData, which holds images, outlines and transcripts",
                expected="the files that it was made of, or one OME-Zarr image",
                remedy="name the folder that the instrument wrote as `path` or, for an image, "
                "a folder in its folder images",
            )
