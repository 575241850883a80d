"""Spatial transcriptomics folders: stain images, transcripts, and the transform between them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.io.manifest import Manifest, Plane
from cellsam_core.io.placement import place_transcripts
from cellsam_core.io.raw import find_format
from cellsam_core.io.stack import RGB, Stack, read_stack
from cellsam_core.io.tables import table_errors
from cellsam_core.io.transcripts import TABLE_SUFFIXES, pixel_size_of
from cellsam_core.io.transform import check_transform, read_transform

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ("merscope", "generic")
TRANSFORM_NAME = "micron_to_mosaic_pixel_transform.csv"
MOSAIC = re.compile(r"mosaic_(?P<stain>[\w|-]+)_z(?P<z>\d+)\.tiff?")
Z_SUFFIX = re.compile(r"(?P<stain>.+)_z(?P<z>\d+)")
NOT_A_STAIN = re.compile(r"label|mask|segmentation|boundar", re.IGNORECASE)
TRANSCRIPTS = re.compile(r"transcript|spots", re.IGNORECASE)
MERSCOPE_PLANE = 3  # The middle of the instrument's seven; what Vizgen's own tools show.


@dataclass(frozen=True)
class _Stains:
    """The chosen stain planes of a sample, all of one size."""

    channels: list[str]
    planes: list[Plane]
    shape_yx: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    warnings: list[str]


def inspect_spatial(
    path: str | Path,
    *,
    sample: str,
    assay: str,
    format: str = "auto",
    pixel_size_um: float | None = None,
    channels: Sequence[str] | None = None,
) -> Manifest:
    """Find out what a MERFISH or seqFISH folder holds and test that it fits together.

    Parameters
    ----------
    path
        A MERSCOPE region folder, or a folder with stain images and a transcript table.
    sample, assay
        Name and kind of the experiment, for the manifest.
    format
        ``"merscope"``, ``"generic"`` or ``"auto"``.
    pixel_size_um
        Side of a pixel, where the files don't say it.
    channels
        Stains to use, in this order; for a multi-channel image without names, the names of all.

    Raises
    ------
    InputError
        Something is missing, unreadable or contradicts something else; the message names it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(
            folder,
            found="a file" if folder.exists() else "nothing",
            expected="a folder with stain images and transcripts",
            remedy="correct path in the sample sheet",
        )
    if format == "auto" and find_format(folder):
        raise InputError(
            folder,
            found="raw rounds of imaging",
            expected="a transcript table",
            remedy="run `cellsam-core decode` first",
        )
    if format == "auto":
        format = "merscope" if _find_mosaics(_region(folder)) else "generic"
    if format not in FORMATS:
        raise InputError(
            "format",
            found=repr(format),
            expected=f"one of auto, {', '.join(FORMATS)}",
            remedy="correct format in the sample sheet",
        )
    um_to_px: npt.NDArray[np.float64] | None
    if format == "merscope":
        folder = _region(folder)
        stains, um_to_px = _merscope(folder, channels, pixel_size_um)
    else:
        stains, um_to_px = _generic(folder, channels)
        pixel_size_um = pixel_size_um or stains.pixel_size_um
    source, placement_warnings = place_transcripts(
        _transcript_table(folder),
        shape_yx=stains.shape_yx,
        pixel_size_um=pixel_size_um,
        um_to_px=um_to_px,
    )
    boundaries, boundary_warnings = _vendor_boundaries(folder)
    return Manifest(
        sample=sample,
        assay=assay,
        format=format,
        channels=stains.channels,
        n_frames=1,
        shape_yx=stains.shape_yx,
        dtype=stains.dtype,
        pixel_size_um=pixel_size_of(np.array(source.um_to_px)),
        frame_interval_s=None,
        planes=[stains.planes],
        transcripts=source,
        boundaries=boundaries,
        warnings=[*stains.warnings, *placement_warnings, *boundary_warnings],
    )


def _region(folder: Path) -> Path:
    """Return the region folder of a MERSCOPE run with a single one, else `folder` itself."""
    regions = sorted(p for p in folder.glob("region_*") if _find_mosaics(p))
    if len(regions) > 1:
        raise InputError(
            folder,
            found=f"{len(regions)} regions ({', '.join(p.name for p in regions)})",
            expected="one region a sample",
            remedy="give each region folder its own row in the sample sheet",
        )
    return regions[0] if regions else folder


def _find_mosaics(folder: Path) -> dict[str, dict[int, Path]]:
    """Mosaic images by stain and z plane, from ``images/`` or the folder itself."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for parent in (folder / "images", folder):
        for file in sorted(parent.glob("mosaic_*")):
            match = MOSAIC.fullmatch(file.name)
            if match and not found[match["stain"]].get(int(match["z"])):
                found[match["stain"]][int(match["z"])] = file
    return {stain: found[stain] for stain in sorted(found) if found[stain]}


def _merscope(
    folder: Path, channels: Sequence[str] | None, pixel_size_um: float | None
) -> tuple[_Stains, npt.NDArray[np.float64]]:
    mosaics = _find_mosaics(folder)
    if not mosaics:
        raise _no_images(folder, "images/mosaic_<stain>_z<plane>.tif")
    names = _select(folder, list(mosaics), channels)
    z = _choose_plane({plane for name in names for plane in mosaics[name]}, MERSCOPE_PLANE)
    for name in names:
        if z not in mosaics[name]:
            raise InputError(
                folder,
                found=f"no mosaic_{name}_z{z}.tif",
                expected=f"plane {z} of every stain",
                remedy="copy the file from the instrument or leave the stain out of channels",
            )
    n_planes = len(set().union(*(mosaics[name] for name in names)))
    stacks = {name: read_stack(mosaics[name][z]) for name in names}
    stains = _one_file_a_stain(stacks, _plane_warnings(z, n_planes))
    transform_path = _beside(folder, TRANSFORM_NAME)
    if transform_path is None:
        raise InputError(
            folder,
            found=f"no images/{TRANSFORM_NAME}",
            expected="the transform from micrometres to pixels of the mosaic",
            remedy="copy the file from the instrument's output",
        )
    um_to_px = read_transform(transform_path)
    check_transform(transform_path, um_to_px, stains.shape_yx, pixel_size_um)
    return stains, um_to_px


def _generic(
    folder: Path, channels: Sequence[str] | None
) -> tuple[_Stains, npt.NDArray[np.float64] | None]:
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in (".tif", ".tiff") and not NOT_A_STAIN.search(file.name)
    ]
    if not files:
        raise _no_images(folder, "TIFF images named by their stain, such as dapi.tif")
    by_stain: dict[str, dict[int, Path]] = defaultdict(dict)
    for file in files:
        stem = file.name.split(".")[0]
        match = Z_SUFFIX.fullmatch(stem)
        name, z = (match["stain"], int(match["z"])) if match else (stem, 0)
        if z in by_stain[name]:
            raise InputError(
                file,
                found=f"the same stain and plane as {by_stain[name][z].name}",
                expected="one file for a stain and plane",
                remedy="remove one of them",
            )
        by_stain[name][z] = file
    shared = set.intersection(*(set(planes) for planes in by_stain.values()))
    if not shared:
        raise InputError(
            folder,
            found=f"no z plane that all of {', '.join(by_stain)} have",
            expected="the same planes of every stain",
            remedy="add the missing images or remove those of the other planes",
        )
    z = _choose_plane(shared, None)
    warnings = _plane_warnings(z, len(set().union(*by_stain.values())))
    if len(by_stain) == 1:
        stack = read_stack(by_stain.popitem()[1][z], n_channels=len(channels or []) or None)
        stains = _one_file(stack, channels, warnings)
    else:
        names = _select(folder, sorted(by_stain), channels)
        stacks = {name: read_stack(by_stain[name][z]) for name in names}
        stains = _one_file_a_stain(stacks, warnings)
    transform_path = _beside(folder, TRANSFORM_NAME)
    return stains, None if transform_path is None else read_transform(transform_path)


def _one_file(stack: Stack, channels: Sequence[str] | None, warnings: list[str]) -> _Stains:
    """Take the channels of a file: one named by the file, or several named inside or by hand."""
    planes = stack.planes[0]
    names = list(stack.channels) if stack.channels != RGB else []
    if len(stack.planes) == 1 and not names and len(planes) == 1:
        match = Z_SUFFIX.fullmatch(stack.path.name.split(".")[0])
        names = [match["stain"] if match else stack.path.name.split(".")[0]]
    if len(stack.planes) == 1 and len(set(names)) == len(planes):
        chosen = _select(stack.path, names, channels)
        planes = [planes[names.index(name)] for name in chosen]
    elif len(stack.planes) == 1 and channels and len(set(channels)) == len(planes):
        chosen = list(channels)
    else:
        n_planes = len(stack.planes) * len(planes)
        raise InputError(
            stack.path,
            found=f"{n_planes} planes and {len(channels) if channels else 'no'} names for them",
            expected="a name for each channel, in the order of the file",
            remedy="give them as channels in the sample sheet, such as DAPI,PolyT",
        )
    return _Stains(chosen, planes, stack.shape_yx, stack.dtype, stack.pixel_size_um, warnings)


def _one_file_a_stain(stacks: dict[str, Stack], warnings: list[str]) -> _Stains:
    """Join files of one plane each, all of one size and dtype."""
    first = next(iter(stacks.values()))
    for stack in stacks.values():
        n_planes = sum(len(frame) for frame in stack.planes)
        if n_planes != 1:
            raise InputError(
                stack.path,
                found=f"{n_planes} planes in one of {len(stacks)} stain images",
                expected="one image with all channels or one image a channel",
                remedy="remove the images that are not stains or split their channels",
            )
        if (stack.shape_yx, stack.dtype) != (first.shape_yx, first.dtype):
            raise InputError(
                stack.path,
                found=_describe(stack),
                expected=f"{_describe(first)} as in {first.path.name}",
                remedy="export all stains alike",
            )
    sizes = [stack.pixel_size_um for stack in stacks.values() if stack.pixel_size_um is not None]
    return _Stains(
        list(stacks),
        [stack.planes[0][0] for stack in stacks.values()],
        first.shape_yx,
        first.dtype,
        sizes[0] if sizes else None,
        warnings,
    )


def _describe(stack: Stack) -> str:
    return f"{stack.shape_yx[1]} x {stack.shape_yx[0]} px of {stack.dtype}"


def _select(where: Path, found: list[str], channels: Sequence[str] | None) -> list[str]:
    for name in channels or []:
        if name not in found:
            raise InputError(
                where,
                found=f"the stains {', '.join(found)}",
                expected=f"one named {name!r}",
                remedy="correct channels in the sample sheet",
            )
    return list(channels) if channels else found


def _choose_plane(planes: set[int], preferred: int | None) -> int:
    """Choose `preferred` if there, else the middle plane, the lower of two."""
    ordered = sorted(planes)
    return preferred if preferred in planes else ordered[(len(ordered) - 1) // 2]


def _plane_warnings(z: int, n_planes: int) -> list[str]:
    if n_planes < 2:
        return []
    return [
        f"Cells are segmented on z plane {z} of {n_planes}; transcripts of all planes are counted."
    ]


def _no_images(folder: Path, expected: str) -> InputError:
    return InputError(
        folder, found="no stain images", expected=expected, remedy="correct path or add the images"
    )


def _beside(folder: Path, name: str) -> Path | None:
    return next((p / name for p in (folder / "images", folder) if (p / name).is_file()), None)


def _transcript_table(folder: Path) -> Path:
    tables = [
        file
        for file in sorted(folder.iterdir())
        if file.name.endswith(TABLE_SUFFIXES) and TRANSCRIPTS.search(file.name)
    ]
    # The instrument's own table wins over tables derived from it.
    native = [file for file in tables if file.name.split(".")[0] == "detected_transcripts"]
    tables = native or tables
    if len(tables) == 1:
        return tables[0]
    raise InputError(
        folder,
        found=f"{len(tables)} transcript tables ({', '.join(file.name for file in tables)})"
        if tables
        else "no transcript table",
        expected="one csv, csv.gz, tsv or parquet file with 'transcript' or 'spots' in its name",
        remedy="rename or remove the other tables" if tables else "add or rename the table",
    )


def _vendor_boundaries(folder: Path) -> tuple[str | None, list[str]]:
    """Find the GeoParquet file with the vendor's own cells."""
    import pyarrow.parquet as pq

    files = []
    for file in sorted(folder.glob("*.parquet")):
        with table_errors(file):
            metadata = pq.read_schema(file).metadata or {}
        if b"geo" in metadata:
            files.append(str(file))
    if len(files) < 2:
        return (files[0] if files else None), []
    listed = ", ".join(Path(file).name for file in files)
    return None, [f"There are several sets of vendor polygons ({listed}); none is used."]
