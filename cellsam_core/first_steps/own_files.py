"""Masks of cells and nuclei that the user gives, opened for the check of a sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.config.schema import finds_nuclei

if TYPE_CHECKING:
    from cellsam_core.config.sheet import Config
    from cellsam_core.samples.manifest import Manifest


def own_masks(config: Config, sample: str, manifest: Manifest) -> str:
    """Open the user's own masks, which take the place of the segmentation."""
    return f"cells are those of your masks {_open(config, sample, manifest, 'masks')}"


def own_nuclei(config: Config, sample: str, manifest: Manifest) -> list[str]:
    """Open the user's own nuclei, if there are any, and say what they are used for."""
    if config.given_nuclei(sample) is None:
        return []
    if finds_nuclei(config.settings(sample, "segment")):
        name = _open(config, sample, manifest, "nuclei")
        return [f"nuclei are those of {name} (paired with the cells)"]
    if manifest.assay == "movie":  # the config has nuclei for the tissues of the run
        return []
    name = _open(config, sample, manifest, "nuclei", allow_mask=True)
    return [f"nuclei are those of {name} (transcripts in them are counted, no cell is paired)"]


def _open(
    config: Config, sample: str, manifest: Manifest, column: str, *, allow_mask: bool = False
) -> str:
    """Open the masks that a column names, and return the name of the file."""
    from cellsam_core.given_masks.source import open_masks, refuse_other_size

    row = config.samples[sample]
    given = str(row["masks"] if column == "masks" else config.given_nuclei(sample))
    path = Path(config.path_of(sample, column, given))
    masks = open_masks(path, manifest, row.get(f"{column}_unit"), allow_mask=allow_mask)
    refuse_other_size(masks, manifest.n_frames, manifest.shape_yx)
    return path.name
