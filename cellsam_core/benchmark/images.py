"""What is benchmarked: images that are read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.preprocess import preprocess_plane
from cellsam_core.segment.labelled import (
    COLUMNS,
    LabelledImage,
    load_image,
    median_diameter_px,
    read_manifest,
)
from cellsam_core.simulate.cells import STYLES, render_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MANIFEST = Path(__file__).parents[1] / "segment" / "weights" / "tiny_data.tsv"
"""Of the images that the shipped weights were trained and judged on."""

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
        The manifest can't be read, lacks a column, or has no row of one of the splits.
    """
    rows = read_manifest(manifest).fillna("")
    if missing := sorted(set(splits) - set(rows["split"])):
        raise InputError(
            manifest,
            found=f"no row with split {missing[0]}",
            expected="at least one",
            remedy="mark images with that split, or name another with the option `split`",
        )
    rows = rows[rows["split"].isin(splits)].sort_values(["split", "modality", "set", "image"])
    values: list[list[str]] = rows[COLUMNS].to_numpy().tolist()
    return [_manifest_entry(root, dict(zip(COLUMNS, row, strict=True))) for row in values]


def _manifest_entry(root: Path, row: dict[str, str]) -> Entry:
    read = partial(
        load_image,
        root / row["image"],
        root / row["label"],
        name=row["image"],
        set_name=row["set"],
        modality=row["modality"],
    )
    return Entry(row["split"], row["set"], row["modality"], row["image"], read)


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
    clahe, plain = (
        np.stack(
            [
                np.round(255 * preprocess_plane(plane, clahe_clip_limit=limit)).astype(np.uint8)
                for plane in field.image
            ]
        )
        for limit in (0.01, 0.0)
    )
    diameter = median_diameter_px(field.labels)
    return LabelledImage(name, "simulated", style, clahe, plain, field.labels, diameter)
