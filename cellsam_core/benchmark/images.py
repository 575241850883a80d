"""What is benchmarked: images that are read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.segment.labelled import from_planes, load_row, rows_of
from cellsam_core.simulate.cells import STYLES, render_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cellsam_core.segment.labelled import LabelledImage

MANIFEST = Path(__file__).parents[1] / "segment" / "weights" / "tiny_data.tsv"
"""Of the images that the shipped weights were trained and judged on."""

ALL_SETS = "all"
"""Set of the rows that sum up a kind of image."""

N_FIELDS = 4
"""Simulated fields of each style."""

FIELD_PX = 256


@dataclass(frozen=True)
class Entry:
    """A labelled image that is not read yet.

    Attributes
    ----------
    split, set_name, modality, name
        As in the manifest; `name` is the image's path.
    read
        Reads it.
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
        As of :func:`.labelled.rows_of`, or a set is named ``all``.
    """
    rows = rows_of(manifest, root, splits)
    if ALL_SETS in set(rows["set"]):
        raise InputError(
            manifest,
            found=f"a set named {ALL_SETS}",
            expected="another name: that of the rows that sum up all sets",
            remedy="rename it",
        )
    rows = rows.sort_values(["split", "modality", "set", "image"])
    return [
        Entry(row["split"], row["set"], row["modality"], row["image"], partial(load_row, root, row))
        for row in rows.to_dict("records")
    ]


def simulated_entries(seed: int) -> list[Entry]:
    """List rendered fields of every style; each depends on `seed` and its own name alone."""
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
