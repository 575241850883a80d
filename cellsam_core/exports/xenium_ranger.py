"""Masks for Xenium Ranger's ``import-segmentation``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from cellsam_core.labels.expand import expand
from cellsam_core.labels.image import open_label_image
from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellsam_core.exports.outlines import Sample
    from cellsam_core.labels.tiles import LabelTiles

TILE_PX = 1024
SCRIPT = """\
#!/bin/sh
# Import these cells into the Xenium bundle. Xenium Ranger comes from 10x Genomics.
# Ids of cells stay as they are. Cells without a nucleus get one of the same shape.
exec xeniumranger import-segmentation --id={id} --xenium-bundle={bundle} \\
  --cells="$(dirname "$0")/cells.tif"{nuclei} --units=pixels "$@"
"""


def write_xenium_ranger(folder: Path, sample: Sample, expand_um: float) -> int:
    """Write ``cells.tif`` (32 bit), ``nuclei.tif`` if nuclei are known, and ``import.sh``.

    Parameters
    ----------
    folder
        Folder to make.
    sample
        A finished tissue.
    expand_um
        Distance in micrometres by which cells were grown for the assignment.

    Returns
    -------
    int
        Number of mask images.
    """
    folder.mkdir()
    distance_px = expand_um / pixel_size_of(sample.um_to_px)
    cells = expand(open_label_image(sample.masks).tiles, distance_px)
    _write_labels(folder / "cells.tif", cells)
    # Nuclei that the program found with the cells, or outlines that the user gave.
    paths = [sample.folder / "2_masks" / name for name in ("nuclei/masks.zarr", "nuclei.zarr")]
    nuclei = next((path for path in paths if path.is_dir()), None)
    if nuclei is not None:
        _write_labels(folder / "nuclei.tif", open_label_image(nuclei).tiles)
    bundle = Path(sample.manifest.require_transcripts(sample.folder).path).parent
    script = folder / "import.sh"
    text = SCRIPT.format(
        id=shlex.quote(sample.name),
        bundle=shlex.quote(str(bundle)),
        nuclei=' --nuclei="$(dirname "$0")/nuclei.tif"' if nuclei is not None else "",
    )
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return 1 + (nuclei is not None)


def _write_labels(path: Path, labels: LabelTiles) -> None:
    """Write a label image tile by tile, as large as the image of the instrument."""
    height, width = labels.shape_yx

    def tiles() -> Iterator[NDArray[np.uint32]]:
        for y in range(0, height, TILE_PX):
            for x in range(0, width, TILE_PX):
                window = labels.window(y, min(height, y + TILE_PX), x, min(width, x + TILE_PX))
                missing = TILE_PX - window.shape[0], TILE_PX - window.shape[1]
                yield np.pad(window, ((0, missing[0]), (0, missing[1])))

    tifffile.imwrite(
        path,
        tiles(),
        shape=(height, width),
        dtype=np.uint32,
        tile=(TILE_PX, TILE_PX),
        compression="zlib",
        photometric="minisblack",
        software=False,
        metadata=None,
    )
