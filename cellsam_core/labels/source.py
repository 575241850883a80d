"""Label images: 0 is background, any other number a cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.filenames import is_label, list_images, missing_frame
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.stack import Stack


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
        As the files say; None where they don't.
    """

    path: Path
    n_frames: int
    shape_yx: tuple[int, int]
    read: Callable[[int], NDArray[Any]]
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None

    def frame(self, index: int) -> NDArray[Any]:
        """Read the labels of one frame.

        Returns
        -------
        ndarray, (y, x)
            Integers, none negative.

        Raises
        ------
        InputError
            The file is damaged or has negative labels.
        """
        labels = self.read(index)
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            raise _not_labels(self.path, f"negative labels in frame {index}")
        return labels


def open_labels(path: str | Path) -> LabelSource:
    """Open label images for reading.

    Parameters
    ----------
    path
        A folder of single-plane images in natural order (where label images such as
        ``man_track000.tif`` lie beside raw images, only they are taken), one multi-page
        TIFF, one image, or a ``masks.zarr``.

    Raises
    ------
    InputError
        Nothing there, several planes in a file of a folder, mixed shapes, pixels that are
        not integers, or damaged files.
    """
    root = Path(path)
    if not root.exists():
        raise _not_labels(root, "nothing")
    if omezarr.is_omezarr(root):
        return _open_zarr(root)
    if root.is_dir():
        images = list_images(root)
        files = [f for f in images if is_label(f)] or images
        if not files:
            raise _not_labels(root, "no images")
        _refuse_gap(root, files)
        return _open_stacks(root, [_only_plane(f, len(files)) for f in files])
    stack = read_stack(root, pages_are_frames=True)
    by_channel = len(stack.planes) == 1 and stack.planes[0][0].sample is None
    if by_channel:  # programs that know no time axis call the frames of a stack its channels
        stack = replace(stack, planes=[[p] for p in stack.planes[0]])
    if len(stack.planes[0]) > 1:
        raise _not_labels(root, f"{len(stack.planes[0])} channels")
    return _open_stacks(root, [stack])


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


def _not_labels(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="integer label images (y, x), 0 = background",
        remedy="give a folder of label TIFFs, a multi-page TIFF or a masks.zarr",
    )


def _refuse_gap(root: Path, files: list[Path]) -> None:
    """Where names differ in their last number alone, one left out is a frame that is not there."""
    names = [re.fullmatch(r"(.*?)(\d+)(\D*)", f.stem) for f in files]
    if not all(names) or len({m.group(1, 3) for m in names if m}) > 1:
        return
    gap = missing_frame(int(m[2]) for m in names if m)
    if gap is not None:
        raise InputError(
            root,
            found=f"no frame {gap[0]} after frame {gap[1]}",
            expected="frame numbers without a gap",
            remedy="add the missing label image or renumber the images",
        )


def _only_plane(path: Path, n_files: int) -> Stack:
    stack = read_stack(path, pages_are_frames=True)
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
        if np.dtype(stack.dtype).kind not in "ui":
            raise _not_labels(stack.path, f"pixels of type {stack.dtype}")
    planes = [plane for stack in stacks for (plane,) in stack.planes]
    return LabelSource(
        root,
        len(planes),
        first.shape_yx,
        lambda index: read_plane(planes[index]),
        first.pixel_size_um,
        first.frame_interval_s,
    )


def _open_zarr(root: Path) -> LabelSource:
    masks = omezarr.open_(root)
    if "c" in masks.axes or masks.array.dtype.kind not in "ui":
        raise _not_labels(root, f"axes {masks.axes} of type {masks.array.dtype}")
    return LabelSource(
        root,
        masks.n_frames,
        masks.shape_yx,
        lambda index: np.asarray(masks.frame(index)),
        masks.pixel_size_um,
        masks.frame_interval_s,
    )
