"""Label images: 0 is background, any other number a cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.filenames import is_label, list_images, missing_frame, natural_key
from cellsam_core.files.foreign import refuse_foreign
from cellsam_core.files.names.parts import parse_names
from cellsam_core.files.npy import SEGMENTATION, SUFFIX, read_array
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import list_series, read_stack
from cellsam_core.labels.masks import refuse_mask
from cellsam_core.labels.pieces import SplitNotes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.names.named_images import NamedImage

OUTLINE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".json", ".geojson")
EXACT_FLOAT32 = 1 << 24
"""Whole numbers from here on are not all different in 32-bit floating point."""


@dataclass(frozen=True)
class LabelSource:
    """Label images on disk, read one frame at a time.

    Attributes
    ----------
    path
        Where they are.
    n_frames, shape_yx
        Number of frames; height and width in pixels.
    read
        Function of the frame index.
    pixel_size_um, frame_interval_s
        Pixel size and frame interval as the files say; None where they do not.
    is_own
        True if this pipeline wrote them: its labels are no mask.
    """

    path: Path
    n_frames: int
    shape_yx: tuple[int, int]
    read: Callable[[int], NDArray[Any]]
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    is_own: bool = False
    _split: SplitNotes = field(default_factory=SplitNotes, compare=False, repr=False)

    def frame(self, index: int) -> NDArray[Any]:
        """Read the labels of one frame.

        After the last frame, a warning names cells that are in places far from each other.

        Returns
        -------
        ndarray, (y, x)
            Integers, none negative.

        Raises
        ------
        InputError
            The file is damaged, has negative or broken numbers, or is a mask of all cells.
        """
        labels = self.read(index)
        if labels.dtype.kind == "f":
            labels = _whole(self.path, labels, index)
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            raise _not_labels(self.path, f"negative labels in frame {index}")
        if not self.is_own and index not in self._split:
            split = refuse_mask(self.path, labels, index if self.n_frames > 1 else None)
            self._split.add(self.path, split, index, self.n_frames)
        return labels


def open_labels(path: str | Path) -> LabelSource:
    """Open label images for reading.

    Parameters
    ----------
    path
        A folder of single-plane images, told in order by their names (where label images such as
        ``man_track000.tif`` or ``t0_seg.npy`` lie beside raw images, only they are taken), one
        multi-page TIFF, one image, an array of NumPy, a ``masks.zarr`` or another OME-Zarr.

    Raises
    ------
    InputError
        Nothing there, several planes in a file of a folder, mixed shapes, several positions or
        kinds of labels, pixels that are no numbers, or damaged files.
    """
    root = Path(path)
    if not root.exists():
        raise _not_labels(root, "nothing")
    if omezarr.is_omezarr(root):
        return _open_zarr(root)
    if root.is_dir():
        return _open_folder(root)
    if root.suffix.lower() == SUFFIX:
        return _open_arrays(root, [root])
    refuse_foreign(root)
    if root.name.lower().endswith(OUTLINE_SUFFIXES):
        raise InputError(
            root,
            found="a table or outlines",
            expected="integer label images (y, x), 0 = background",
            remedy="give outlines of cells in the column `masks` of the sample sheet, or to the "
            "command assign with --polygons",
        )
    _refuse_several(root, list_series(root))
    stack = read_stack(root, pages_are_frames=True, are_labels=True)
    by_channel = len(stack.planes) == 1 and stack.planes[0][0].sample is None
    if by_channel:  # programs that know no time axis call the frames of a stack its channels
        stack = replace(stack, planes=[[p] for p in stack.planes[0]])
    if len(stack.planes[0]) > 1:
        raise _not_labels(root, f"{len(stack.planes[0])} channels")
    return _open_stacks(root, [stack])


def _open_folder(root: Path) -> LabelSource:
    """Open the label images of a folder, one a frame."""
    images = list_images(root)
    arrays = sorted(
        (f for f in root.iterdir() if f.name.lower().endswith(SUFFIX) and f.name[0] != "."),
        key=lambda f: natural_key(f.name),
    )
    segmented = [f for f in arrays if f.name.lower().endswith(SEGMENTATION)]
    files = [f for f in images if is_label(f)] or segmented or images or arrays
    if not files:
        for file in sorted(root.iterdir()):
            refuse_foreign(file)
        raise _not_labels(root, "no images")
    files = _in_order(root, files)
    if files[0].suffix.lower() == SUFFIX:
        return _open_arrays(root, files)
    return _open_stacks(root, [_only_plane(f, len(files)) for f in files])


def write_label_tiff(path: str | Path, labels: NDArray[Any]) -> None:
    """Write a label image as zlib-compressed uint32 TIFF; it appears when complete.

    Parameters
    ----------
    path
        File to write.
    labels
        Integers ``(y, x)``.
    """
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            labels.astype(np.uint32, copy=False),
            photometric="minisblack",
            compression="zlib",
            metadata=None,
        )


def _whole(path: Path, pixels: NDArray[Any], index: int) -> NDArray[Any]:
    """Take whole numbers in floating point as labels; refuse others."""
    finite = pixels if np.isfinite(pixels).all() else np.zeros((1, 1))
    largest = float(finite.max(initial=0.0))
    is_exact = pixels.dtype.itemsize > 4 or largest < EXACT_FLOAT32
    if finite is pixels and is_exact and (np.rint(pixels) == pixels).all():
        return pixels.astype(np.int64)
    scaled = " between 0 and 1" if finite.min() >= 0 and largest <= 1 else ""
    raise InputError(
        path,
        found=f"numbers that are not whole{scaled} in frame {index}"
        if is_exact and finite is pixels
        else f"floating point numbers that can't be labels in frame {index}",
        expected="whole numbers, 0 = background",
        remedy="save the labels as 16 or 32-bit integers without scaling (in Fiji: Edit > Options "
        "> Conversions, no scaling, then Image > Type > 16-bit)",
    )


def _not_labels(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="integer label images (y, x), 0 = background",
        remedy="give a folder of label TIFFs, a multi-page TIFF or a masks.zarr",
    )


def _in_order(root: Path, files: list[Path]) -> list[Path]:
    """Order label images by the frames in their names.

    Names that have nothing in common are taken in natural order. Several positions, stains, z
    planes, or two files of a frame are refused: they would be taken for frames.
    """
    skeletons = {re.sub(r"\d+", "#", f.stem) for f in files}
    if len(skeletons) == len(files) > 1:
        return files
    try:
        named = parse_names(files, root).images
    except InputError as error:
        found = str(error).partition(": found ")[2].partition(", expected ")[0]
        raise _one_movie(root, found) from error
    if len(named) < len(files):
        raise _one_movie(root, "names of more than one kind")
    for what, values in (
        ("positions", {i.position for i in named}),
        ("kinds of labels", {i.channel or "" for i in named}),
        ("z planes", {str(i.z) for i in named}),
    ):
        if len(values) > 1:
            shown = sorted(values, key=natural_key)
            raise _one_movie(root, f"several {what} ({', '.join(shown[:4])})")
    _refuse_gap(root, named)
    return [i.path for i in sorted(named, key=lambda i: i.frame or 0)]


def _one_movie(root: Path, found: str) -> InputError:
    return InputError(
        root,
        found=found,
        expected="the label images of one movie, one a frame",
        remedy="put them into a folder of their own",
    )


def _refuse_several(root: Path, names: list[str]) -> None:
    """Refuse a file or plate of several images: only the first would be read."""
    if len(names) > 1:
        raise InputError(
            root,
            found=f"{len(names)} images ({', '.join(names[:4])})",
            expected="the label images of one movie or tissue",
            remedy="save the labels of each image as a file or folder of their own",
        )


def _refuse_gap(root: Path, named: list[NamedImage]) -> None:
    """Refuse a frame that is not there; clocks may be uneven."""
    if any(image.time_s is not None for image in named):
        return
    gap = missing_frame(i.frame for i in named if i.frame is not None)
    if gap is not None:
        raise InputError(
            root,
            found=f"no frame {gap[0]} after frame {gap[1]}",
            expected="frame numbers without a gap",
            remedy="add the missing label image or renumber the images",
        )


def _only_plane(path: Path, n_files: int) -> Stack:
    stack = read_stack(path, pages_are_frames=True, are_labels=True)
    if len(stack.planes) > 1 or len(stack.planes[0]) > 1:
        raise _not_labels(path, f"several planes in one of {n_files} files")
    return stack


def _open_stacks(root: Path, stacks: list[Stack]) -> LabelSource:
    """Put the frames of stacks of one channel one after the other."""
    first = stacks[0]
    height, width = first.shape_yx
    for stack in stacks:
        if stack.shape_yx != first.shape_yx:
            y, x = stack.shape_yx
            raise _not_labels(stack.path, f"{y} x {x} px after {height} x {width} px")
    planes = [plane for stack in stacks for (plane,) in stack.planes]
    if np.dtype(first.dtype).kind == "f":
        _whole(first.path, read_plane(planes[0]), 0)
    return LabelSource(
        root,
        len(planes),
        first.shape_yx,
        lambda index: read_plane(planes[index]),
        first.pixel_size_um,
        first.frame_interval_s,
    )


def _open_arrays(root: Path, files: list[Path]) -> LabelSource:
    """Open NumPy arrays, ``(y, x)`` each, or one ``(t, y, x)``."""
    first = read_array(files[0])
    if len(files) == 1 and first.ndim == 3:
        _refuse_kind(root, first)
        return LabelSource(
            root, len(first), _yx(first.shape[1:]), lambda index: np.asarray(first[index])
        )
    for file in files:
        array = read_array(file)
        _refuse_kind(file, array)
        if array.ndim != 2 or array.shape != first.shape:
            sizes = " x ".join(map(str, array.shape)), " x ".join(map(str, first.shape))
            raise _not_labels(file, f"{sizes[0]} px after {sizes[1]} px")
    return LabelSource(
        root, len(files), _yx(first.shape), lambda index: np.asarray(read_array(files[index]))
    )


def _refuse_kind(path: Path, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "uif" or not array.size:
        raise _not_labels(path, f"an array of type {array.dtype} and shape {array.shape}")


def _yx(shape: tuple[int, ...]) -> tuple[int, int]:
    return int(shape[0]), int(shape[1])


def _open_zarr(root: Path) -> LabelSource:
    from cellsam_core.files import ngff

    names = ngff.list_images(root)
    _refuse_several(root, names)
    image = ngff.open_image(root, names[0])
    sizes, dtype = image.sizes, image.array.dtype
    if sizes["c"] > 1 or sizes["z"] > 1 or np.dtype(dtype).kind not in "uif":
        raise _not_labels(root, f"axes {image.axes} of type {dtype}")
    return LabelSource(
        root,
        sizes["t"],
        (sizes["y"], sizes["x"]),
        lambda index: image.read(image.page(index, 0, 0)),
        image.pixel_size_um,
        image.frame_interval_s,
        image.is_own,
    )
