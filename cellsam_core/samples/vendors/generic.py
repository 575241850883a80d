"""No vendor's: a folder with a TIFF for each stain and plane, or one with all, and a table.

An OME-Zarr takes the place of a TIFF.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import is_thumbnail, list_stores
from cellsam_core.samples.panel import panel_in
from cellsam_core.samples.transform import read_transform
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    no_images,
    refuse_fov,
    refuse_orientation,
)
from cellsam_core.samples.vendors.merscope import TRANSFORM_NAME, beside_images
from cellsam_core.samples.vendors.stains import (
    not_read,
    one_file,
    one_file_a_stain,
    select,
    split_masks,
    split_z,
)
from cellsam_core.samples.vendors.tables import transcript_table, vendor_polygons
from cellsam_core.samples.vendors.zplanes import (
    choose_planes,
    count_planes,
    in_file,
    keep_plane,
    plane_warnings,
    project,
    read_flat,
    read_planes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.samples.vendors.contract import Stains


def fits(folder: Path) -> bool:
    """Any folder may be of this kind; it is tried last."""
    return folder.is_dir()


def read(folder: Path, choices: Choices) -> Found:
    """Read what a folder holds.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_fov(folder, choices)
    refuse_orientation(folder, choices)
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in (".tif", ".tiff")]
    stores = list_stores(folder)
    beside = [store.name for store in stores if files]
    files = files or stores
    small = [file.name for file in files if is_thumbnail(file)]
    images, masks = split_masks([f for f in files if f.name not in small], choices.channels)
    by_stain = _images(folder, images)
    stains, planes, shown = _stains(folder, by_stain, choices)
    transform_path = beside_images(folder, TRANSFORM_NAME)
    table = transcript_table(folder)
    boundaries, warnings = vendor_polygons(folder)
    return Found(
        stains,
        table,
        um_to_px=None if transform_path is None else read_transform(transform_path),
        pixel_size_um=choices.pixel_size_um or stains.pixel_size_um,
        keep=keep_plane(table, choices, planes, shown),
        boundaries=boundaries,
        panel=panel_in(folder),
        warnings=[
            *plane_warnings(choices, planes, len(shown)),
            *warnings,
            *masks,
            *not_read(small, "they are thumbnails by their names"),
            *not_read(beside, "stains are read from the TIFFs beside it"),
        ],
    )


def _stains(
    folder: Path, by_stain: dict[str, dict[int, Path]], choices: Choices
) -> tuple[Stains, list[int], set[int]]:
    """Read the stains of the chosen z planes; also these planes, and all that there are."""
    shown = set().union(*by_stain.values())
    shared = set.intersection(*(set(planes) for planes in by_stain.values()))
    if not shared:
        raise InputError(
            folder,
            found=f"no z plane that all of {', '.join(by_stain)} have",
            expected="the same planes of every stain",
            remedy="add the missing images or remove those of the other planes",
        )
    chosen, n_channels = by_stain, len(choices.channels or []) or None
    join: Callable[[Mapping[str, Stack]], Stains] = one_file_a_stain
    if len(by_stain) > 1:
        names = select(folder, sorted(by_stain), choices.channels)
        chosen, n_channels = {name: by_stain[name] for name in names}, 1
    else:
        join = partial(_only_file, channels=choices.channels)
    if shown == {0}:
        files = {name: by_z[0] for name, by_z in chosen.items()}
        shown = set(range(count_planes(files.values(), n_channels)))
        planes = choose_planes(folder, shown, choices)
        stacks = {
            name: read_planes(file, in_file(planes), n_channels) for name, file in files.items()
        }
        return join(stacks), planes, shown
    planes = choose_planes(folder, shared, choices)
    stacks = {name: read_flat(by_z[planes[0]], n_channels) for name, by_z in chosen.items()}
    return project(join(stacks), chosen, planes), planes, shown


def _only_file(stacks: Mapping[str, Stack], channels: Sequence[str] | None) -> Stains:
    (stack,) = stacks.values()
    return one_file(stack, channels)


def _images(folder: Path, files: list[Path]) -> dict[str, dict[int, Path]]:
    """Images by stain and z plane; plane 0 where names give none."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for file in files:
        name, plane = split_z(file.name.split(".")[0])
        z = plane or 0
        if z in found[name]:
            raise InputError(
                file,
                found=f"the same stain and plane as {found[name][z].name}",
                expected="one file for a stain and plane",
                remedy="move one of them out of the folder",
            )
        found[name][z] = file
    if not found:
        raise no_images(
            folder, "TIFF images named by their stain, such as dapi.tif, or an OME-Zarr"
        )
    return found
