"""Labelled images, on which a model is trained and validated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.filenames import same_stem
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack
from cellsam_core.files.tables import read_table
from cellsam_core.labels.source import open_labels
from cellsam_core.models import PUBLISHED_CLAHE_CLIP_LIMIT
from cellsam_core.preprocessing.channels import RGB, ROLES
from cellsam_core.preprocessing.contrast import preprocess_plane, to_grey
from cellsam_core.preprocessing.roles import planes_of
from cellsam_core.segmentation.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILLED = ["set", "image", "label", "modality"]
"""Columns that must have a value in every row."""

COLUMNS = [*FILLED, "split"]

SUFFIXES = (".tif", ".tiff", ".png")
ZARR = ".zarr"
LABEL_TAIL = "_label"

NOT_PARTIAL = ("no", "")
PATCH = "patch"
PARTIAL = ("yes", PATCH, *NOT_PARTIAL)
"""Values of the column `partial`. Of a truth that is `patch`, all cells of a patch of packed cells
have a label, and no other cell. Of one that is `yes`, some cells have none, wherever they lie."""

PATCH_GAP_PX = 3
"""Half of the widest gap between the labels of two cells of a patch, in pixels."""

PARTIAL_REACH = 0.5
"""Distance from a labelled cell, in diameters, within which a partial truth knows its background.

Who draws a cell has looked at what touches it."""


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
        Kind of the image; scores are given by kind.
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
    unknown
        ``(y, x)`` bool: pixels without a label that may be of a cell. None: there are none.
    """

    name: str
    set_name: str
    modality: str
    channels: NDArray[np.uint8]
    equalised: NDArray[np.uint8]
    labels: NDArray[np.int32]
    diameter_px: float
    weight: float = 1.0
    unknown: NDArray[np.bool_] | None = None


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
        ``pixel_size_um``, ``weight``, ``nuclear``, ``cell`` and ``partial``, of which the
        columns after ``split`` may be absent; see :mod:`cellsam_core.training.split`.
        ``nuclear`` and ``cell`` tell the channels of an image of several (see :mod:`.roles`).
        ``partial`` is ``yes`` where some cells have no label and ``patch`` where only those of a
        patch of packed cells have one. Rows of one image are truths of
        it by several experts; where only another has a cell, it may be one.
    root
        Folder of the data.
    split
        Split whose rows are read.

    Raises
    ------
    InputError
        A column is missing, the split is empty, or an image and its labels differ in shape.
    """
    rows = rows_of(manifest, root, [split])
    images = [load_row(root, row) for row in rows.to_dict("records")]
    for index in rows.reset_index().groupby("image").indices.values():
        truths = [images[k] for k in index]
        for k in index if len(index) > 1 else ():
            images[k] = _beside_others(images[k], truths)
    return images


def load_row(root: Path, row: Mapping[Hashable, Any]) -> LabelledImage:
    """Read the image of a manifest's row; its paths are below `root`."""
    image = load_image(
        root / row["image"],
        root / row["label"],
        name=row["image"],
        set_name=row["set"],
        modality=row["modality"],
        weight=row["weight"],
        roles={role: row[role] for role in ROLES if isinstance(row.get(role), str)},
    )
    partial = row.get("partial", "")
    if partial in NOT_PARTIAL:
        return image
    if partial == PATCH:
        return replace(image, unknown=outside_patch(image.labels))
    return replace(image, unknown=far_from_cells(image.labels, image.diameter_px))


def far_from_cells(labels: NDArray[np.int32], diameter_px: float) -> NDArray[np.bool_]:
    """Find the pixels that are too far from labelled cells for a partial truth to know them."""
    if not labels.any():
        return np.ones(labels.shape, bool)
    away: NDArray[np.float64] = ndimage.distance_transform_edt(labels == 0)
    return away > PARTIAL_REACH * diameter_px


def outside_patch(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Find the pixels outside the patch of packed cells that has labels."""
    margin = 2 * PATCH_GAP_PX
    cells = np.pad(labels > 0, margin)
    closed = ndimage.binary_closing(cells, iterations=PATCH_GAP_PX)
    patch = ndimage.binary_fill_holes(closed)
    inside: NDArray[np.bool_] = patch[margin:-margin, margin:-margin]
    return ~inside


def _beside_others(image: LabelledImage, truths: Sequence[LabelledImage]) -> LabelledImage:
    """Leave open where another expert has a cell and this one has none."""
    others = np.any([truth.labels > 0 for truth in truths], axis=0) & (image.labels == 0)
    return replace(image, unknown=others if image.unknown is None else others | image.unknown)


def rows_of(manifest: Path, root: Path, splits: Sequence[str]) -> pd.DataFrame:
    """Read the manifest's rows of some splits: text, and weights, which are 1 where none is given.

    Raises
    ------
    InputError
        The manifest can't be read, lacks a column or a value, names a file that is not below
        `root`, or has no row of one of the splits.
    """
    rows = read_manifest(manifest)
    if missing := sorted(set(splits) - set(rows["split"])):
        raise InputError(
            manifest,
            found=f"no row with split {missing[0]}",
            expected="at least one",
            remedy="mark images with that split, or ask for another",
        )
    rows = rows[rows["split"].isin(splits)]
    refuse_absent(root, [*rows["image"], *rows["label"]])
    return rows.assign(weight=_weights(manifest, rows), partial=_partial(manifest, rows))


def _partial(manifest: Path, rows: pd.DataFrame) -> pd.Series[str]:
    given = rows["partial"] if "partial" in rows else pd.Series("", rows.index)
    given = given.fillna("")
    if not given.isin(PARTIAL).all():
        raise InputError(
            manifest,
            found=f"partial {given[~given.isin(PARTIAL)].iloc[0]}",
            expected="yes where some cells have no label, patch where those of a patch have one and"
            " no others, else no or nothing",
            remedy="correct the column `partial`",
        )
    return given


def refuse_absent(root: Path, names: Sequence[str]) -> None:
    """Refuse a manifest of which a file is not there, before anything is read."""
    absent = next((name for name in names if not _is_image(root / name)), None)
    if absent is not None:
        raise InputError(
            root / absent,
            found="no file",
            expected="the file that the manifest lists",
            remedy="correct the option `data` or the manifest",
        )


def _is_image(path: Path) -> bool:
    return path.is_dir() if path.suffix.lower() == ZARR else path.is_file()


def _weights(manifest: Path, rows: pd.DataFrame) -> pd.Series[float]:
    given = rows["weight"] if "weight" in rows else pd.Series("1", rows.index)
    weights = pd.to_numeric(given.fillna("1"), errors="coerce")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any() or not weights.any():
        raise InputError(
            manifest,
            found=f"weight {given[bad].iloc[0]}" if bad.any() else "no weight above 0",
            expected="numbers of 0 or more, one of them above",
            remedy="correct the column `weight`, or leave it out",
        )
    return weights.astype(float)


def read_manifest(manifest: Path, *more: str) -> pd.DataFrame:
    """Read a manifest's rows as text; it must have the columns `more`, too.

    Raises
    ------
    InputError
        It can't be read, lacks a column, or a set, path or modality is empty.
    """
    rows = read_table(manifest, [*COLUMNS, *more], sep="\t", dtype=str)
    empty = rows[FILLED].isna()
    if empty.any(axis=None):
        row = int(np.flatnonzero(empty.any(axis=1))[0])
        raise InputError(
            manifest,
            found=f"no {empty.columns[empty.iloc[row]][0]} in row {row + 1}",
            expected=f"values for {', '.join(FILLED)}",
            remedy="fill it in (row 1 is the first under the header)",
        )
    return rows


def files_by_stem(folder: Path) -> dict[str, Path]:
    """List the images of a folder by their names without suffix, sorted.

    Raises
    ------
    InputError
        There is no folder, or two files differ in their suffix alone.
    """
    if not folder.is_dir():
        raise InputError(
            folder, found="no folder", expected="a folder of images", remedy="check the path"
        )
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*SUFFIXES, ZARR) and _is_image(path)
    )
    if (twins := same_stem(files)) is not None:
        raise InputError(
            folder,
            found=f"{twins[0].name} and {twins[1].name}",
            expected="one file for each image and each label image",
            remedy="move one of the two to another folder",
        )
    return {path.stem.removesuffix(".ome"): path for path in files}


def labels_of(files: Mapping[str, Path]) -> dict[str, Path]:
    """Choose those named ``<id>_label``, by id."""
    return {
        stem.removesuffix(LABEL_TAIL): path
        for stem, path in files.items()
        if stem.endswith(LABEL_TAIL)
    }


def refuse_without_cells(where: Path, images: Sequence[LabelledImage]) -> None:
    """Refuse images of which none has a cell: there is nothing to learn from."""
    if not any(image.labels.any() for image in images):
        raise InputError(
            where,
            found=f"{len(images)} label images without a cell",
            expected="at least one cell",
            remedy="label some cells",
        )


def load_folder(folder: Path, roles: Mapping[str, str] | None = None) -> list[LabelledImage]:
    """Read a user's labelled images: ``<id>.tif``, ``.png`` or ``.zarr`` with ``<id>_label``.

    Parameters
    ----------
    folder
        Names of the files.
    roles
        Channels of ``nuclear`` and ``cell`` where the files do not tell; see :mod:`.roles`.

    Raises
    ------
    InputError
        There is no image, or one has no labels, or labels of another shape, or two files have
        one id.
    """
    files = files_by_stem(folder)
    labels = labels_of(files)
    pixels = {stem: path for stem, path in files.items() if not stem.endswith(LABEL_TAIL)}
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
        load_image(
            path,
            labels[name],
            name=name,
            set_name=folder.name,
            modality="own",
            roles=dict(roles or {}),
        )
        for name, path in pixels.items()
    ]


def _read(path: Path, *, pages_are_channels: bool = False) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read the channels ``(c, y, x)`` of one image and their names, where the file has them.

    Pages whose axis the file does not name are frames, unless the caller knows better.
    """
    if path.suffix.lower() == ZARR:
        source = omezarr.open_(path)
        n_frames, names = source.n_frames, source.channels
        pixels = source.frame(0)
        pixels = pixels if "c" in source.axes else pixels[None]
    else:
        stack = read_stack(path)
        planes, names = stack.planes, stack.channels
        if pages_are_channels and len(planes[0]) == 1:
            planes = [[page for (page,) in planes]]
        n_frames = len(planes)
        pixels = np.stack([read_plane(plane) for plane in planes[0]])
    if n_frames > 1:
        raise InputError(
            path,
            found=f"{n_frames} frames",
            expected="one image",
            remedy="save each frame as a file of its own; if they are channels, name the nuclear "
            "and the cell channel by number: in the columns `nuclear` and `cell` of the manifest, "
            "or in the options of `finetune`",
        )
    return pixels, names


def read_grey(path: Path) -> NDArray[Any]:
    """Read an image, colours as grey, of other channels the mean: ``(y, x)``."""
    pixels, names = _read(path, pages_are_channels=True)
    if len(pixels) == 1:
        return np.asarray(pixels[0])
    if list(names) == RGB:
        return to_grey(pixels)
    return np.asarray(pixels.mean(0, dtype=np.float32))


def _read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label image and number its cells from 1 in the order of their numbers.

    Numbers may be as large as the file can hold, which counting up to them can't bear.
    """
    source = open_labels(path)
    if source.n_frames > 1:
        raise InputError(
            path,
            found=f"{source.n_frames} frames",
            expected="the labels of one image",
            remedy="save each frame as a file of its own",
        )
    labels = source.frame(0)
    ids, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] != 0)
    return np.asarray(numbers)


def load_image(
    image: Path,
    label: Path,
    *,
    name: str,
    set_name: str,
    modality: str,
    weight: float = 1.0,
    roles: dict[str, str] | None = None,
) -> LabelledImage:
    """Read one image with its labels; `roles` tell its channels, see :func:`.planes_of`.

    Raises
    ------
    InputError
        One can't be read, has channels of unknown roles, or is a mask of all cells; or their
        shapes differ.
    """
    pixels, names = _read(image, pages_are_channels=bool(roles))
    planes, labels = planes_of(image, pixels, names, roles or {}), _read_labels(label)
    if planes.shape[1:] != labels.shape:
        raise InputError(
            label,
            found=f"shape {labels.shape}",
            expected=f"{planes.shape[1:]}, that of {image.name}",
            remedy="fix the label image",
        )
    if labels.any() and bool((planes == planes[:, :1, :1]).all()):
        raise InputError(
            image,
            found=f"all pixels alike where {label.name} has {labels.max()} cells",
            expected="an image of these cells",
            remedy="export it again",
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
        _contrasted(planes, PUBLISHED_CLAHE_CLIP_LIMIT),
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
