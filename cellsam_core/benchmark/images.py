"""Labelled images of a benchmark, which are read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.simulation.cells import STYLES, render_field
from cellsam_core.training.labelled import from_planes, load_row
from cellsam_core.training.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellsam_core.training.labelled import LabelledImage

MANIFEST = Path(__file__).parents[1] / "segmentation" / "weights" / "tiny_data.tsv"
"""Manifest of the images that the shipped weights were trained and validated on."""

ALL_SETS = "all"
"""Name of the set in the rows that summarise all sets of a modality."""

N_FIELDS = 4
"""Number of simulated fields of each style."""

FIELD_PX = 256


@dataclass(frozen=True)
class Entry:
    """A labelled image that is not read yet.

    Attributes
    ----------
    split, set_name, modality, name
        Columns of the manifest; `name` is the path of the image.
    read
        Function that reads the image and its labels.
    """

    split: str
    set_name: str
    modality: str
    name: str
    read: Callable[[], LabelledImage]


def manifest_entries(manifest: Path, root: Path, splits: Sequence[str]) -> list[Entry]:
    """List the images of some splits of a manifest, sorted by split, modality, set and name.

    Raises
    ------
    InputError
        The manifest can't be used, see :func:`.labelled.rows_of`, or a set is named ``all``.
    """
    rows = rows_of(manifest, root, splits)
    if ALL_SETS in set(rows["set"]):
        raise InputError(
            manifest,
            found=f"a set named {ALL_SETS}",
            expected="another name: that of the rows that sum up all sets",
            remedy="rename the set in the manifest",
        )
    rows = rows.sort_values(["split", "modality", "set", "image"])
    return [
        Entry(row["split"], row["set"], row["modality"], row["image"], partial(load_row, root, row))
        for row in rows.to_dict("records")
    ]


def simulated_entries(seed: int) -> list[Entry]:
    """List simulated fields of every style; each depends only on `seed` and its name."""
    entries = []
    for index, style in enumerate(STYLES):
        for k in range(N_FIELDS):
            name = f"{style}/{k}"
            read = partial(_render, (seed, index, k), style, name)
            entries.append(Entry("simulated", "simulated", style, name, read))
    return entries


def _render(seed: tuple[int, ...], style: str, name: str) -> LabelledImage:
    rng = np.random.default_rng(seed)
    diameter_px = float(rng.uniform(16, 34))
    field = render_field(rng, (FIELD_PX, FIELD_PX), style=style, diameter_px=diameter_px)
    return from_planes(field.image, field.labels, name, "simulated", style)
