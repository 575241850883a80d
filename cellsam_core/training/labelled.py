"""Labelled images, on which a model is trained and validated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.models import PUBLISHED_CLAHE_CLIP_LIMIT
from cellsam_core.preprocessing.channels import ROLES
from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.preprocessing.roles import planes_of
from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.training.image_files import (
    SUFFIXES,
    files_by_stem,
    images_and_labels,
    read_channels,
    read_labels,
)
from cellsam_core.training.rows import NOT_PARTIAL, PATCH, rows_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


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

    Without any of these, labels as Cellpose names them are taken, see :func:`.images_and_labels`.

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
    pixels, labels = images_and_labels(folder, files)
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
    pixels, names = read_channels(image, pages_are_channels=bool(roles))
    planes, labels = planes_of(image, pixels, names, roles or {}), read_labels(label)
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
