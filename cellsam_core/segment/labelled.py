"""Labelled images: what a model is trained on and judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.io import imread

from cellsam_core.errors import InputError, first_line
from cellsam_core.io.planes import READ_ERRORS, unreadable
from cellsam_core.io.tables import read_table
from cellsam_core.preprocess import Contrast, preprocess_plane, to_grey
from cellsam_core.segment.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

COLUMNS = ["set", "image", "label", "modality", "split", "weight"]
SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class LabelledImage:
    """One image and its truth.

    Attributes
    ----------
    name
        Path below the data's root.
    set_name
        The data set it comes from.
    modality
        What kind of image it is; scores are given by kind.
    channels
        ``(2, y, x)`` uint8: nuclear, whole cell; an absent channel is 0.
    equalised
        The same after CLAHE.
    labels
        ``(y, x)`` int32.
    diameter_px
        Median diameter of the disc with a cell's area.
    weight
        Training draws images in proportion to it.
    """

    name: str
    set_name: str
    modality: str
    channels: NDArray[np.uint8]
    equalised: NDArray[np.uint8]
    labels: NDArray[np.int32]
    diameter_px: float
    weight: float = 1.0


def median_diameter_px(labels: NDArray[np.integer]) -> float:
    """Median over cells of ``sqrt(4 area / pi)``, px; the model's reference if there is none."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.median(np.sqrt(4 * areas / np.pi))) if len(areas) else REFERENCE_PX


def load_manifest(manifest: Path, root: Path, split: str) -> list[LabelledImage]:
    """Read the labelled images that a training manifest lists for one split.

    Parameters
    ----------
    manifest
        Tab-separated: ``set``, ``image``, ``label`` (paths below `root`), ``modality``,
        ``source``, ``split`` (``train``, ``validation`` or ``test``), ``licence``,
        ``pixel_size_um`` and ``weight``; see :mod:`cellsam_core.segment.split`.
    root
        Folder of the data.
    split
        Which rows to read.

    Raises
    ------
    InputError
        A column is missing, the split is empty, or an image and its labels differ in shape.
    """
    rows = rows_of(manifest, [split])
    return [load_row(root, row) for row in rows.to_dict("records")]


def load_row(root: Path, row: Mapping[Hashable, str]) -> LabelledImage:
    """Read the image of a manifest's row; its paths are below `root`."""
    return load_image(
        root / row["image"],
        root / row["label"],
        name=row["image"],
        set_name=row["set"],
        modality=row["modality"],
        weight=float(row["weight"]),
    )


def rows_of(manifest: Path, splits: Sequence[str]) -> pd.DataFrame:
    """Read the manifest's rows of some splits, as text.

    Raises
    ------
    InputError
        The manifest can't be read, lacks a column, or has no row of one of the splits.
    """
    rows = read_manifest(manifest)
    if missing := sorted(set(splits) - set(rows["split"])):
        raise InputError(
            manifest,
            found=f"no row with split {missing[0]}",
            expected="at least one",
            remedy="mark images with that split, or ask for another",
        )
    return rows[rows["split"].isin(splits)]


def read_manifest(manifest: Path) -> pd.DataFrame:
    """Read a manifest's rows as text; weights are 1 where the column is empty."""
    rows = read_table(manifest, COLUMNS, sep="\t", dtype=str).fillna({"weight": "1"})
    return rows


def load_folder(folder: Path) -> list[LabelledImage]:
    """Read a user's labelled images: ``<id>.tif`` or ``.png`` with ``<id>_label``.

    Raises
    ------
    InputError
        There is no image, or one has no labels, or labels of another shape.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    labels = {p.stem.removesuffix("_label"): p for p in files if p.stem.endswith("_label")}
    pixels = {p.stem: p for p in files if not p.stem.endswith("_label")}
    if not pixels:
        raise InputError(
            folder,
            found="no image",
            expected=f"<id> and <id>_label, {', '.join(SUFFIXES)}",
            remedy="put images and their labels there",
        )
    alone = sorted(set(pixels) ^ set(labels))
    if alone:
        raise InputError(
            folder,
            found=f"{alone[0]} without its {'labels' if alone[0] in pixels else 'image'}",
            expected="<id> and <id>_label for each image",
            remedy="add the missing file or remove the other",
        )
    return [
        load_image(path, labels[name], name=name, set_name=folder.name, modality="own")
        for name, path in pixels.items()
    ]


def _read(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(imread(path))
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable image ({first_line(error)})") from error


def read_grey(path: Path) -> NDArray[Any]:
    """Read an image, colours as grey: ``(y, x)``."""
    return _grey(_read(path))


def _grey(pixels: NDArray[Any]) -> NDArray[Any]:
    return to_grey(np.moveaxis(pixels[..., :3], -1, 0)) if pixels.ndim == 3 else pixels


def _planes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring an image to nuclear and cell planes ``(2, y, x)``, as the workflow does."""
    grey = _grey(pixels)
    is_coloured = pixels.ndim == 3 and (pixels[..., 0] != pixels[..., 1]).any()
    red = pixels[..., 0] if is_coloured else np.zeros_like(grey)
    return np.stack((red.astype(grey.dtype), grey))


def load_image(
    image: Path, label: Path, *, name: str, set_name: str, modality: str, weight: float = 1.0
) -> LabelledImage:
    """Read one grey or RGB image with its labels.

    Raises
    ------
    InputError
        One can't be read, or their shapes differ.
    """
    planes, labels = _planes(_read(image)), _read(label).astype(np.int32)
    if planes.shape[1:] != labels.shape:
        raise InputError(
            label,
            found=f"shape {labels.shape}",
            expected=f"{planes.shape[1:]}, that of {image.name}",
            remedy="fix the label image",
        )
    return from_planes(planes, labels, name, set_name, modality, weight)


def from_planes(
    planes: NDArray[Any],
    labels: NDArray[np.int32],
    name: str,
    set_name: str,
    modality: str,
    weight: float = 1.0,
) -> LabelledImage:
    """Bring raw planes ``(2, y, x)`` (nuclear, whole cell) to the contrast of the workflow."""
    return LabelledImage(
        name,
        set_name,
        modality,
        _contrasted(planes, 0.0),
        _contrasted(planes, Contrast.clahe_clip_limit),
        labels,
        median_diameter_px(labels),
        weight,
    )


def _contrasted(planes: NDArray[Any], clahe_clip_limit: float) -> NDArray[np.uint8]:
    return np.stack(
        [
            np.round(255 * preprocess_plane(p, clahe_clip_limit=clahe_clip_limit)).astype(np.uint8)
            for p in planes
        ]
    )
