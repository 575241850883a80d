"""Size of a sample, read from file names and one header, from which jobs are planned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.errors import InputError
from cellsam_core.files.filenames import is_label, list_images, parse_names
from cellsam_core.files.stack import read_stack
from cellsam_core.samples.raw_rounds import find_format
from cellsam_core.samples.vendors import cosmx


@dataclass(frozen=True)
class Extent:
    """Number and size of the images of a sample.

    Attributes
    ----------
    n_images
        Number of frames of a movie, or of fields of raw rounds or of a CosMx export; else 1.
    shape_yx
        Height and width of one image in pixels.
    """

    n_images: int
    shape_yx: tuple[int, int]


def read_extent(
    path: str | Path, *, is_movie: bool, n_channels: int | None = None, fov: str | None = None
) -> Extent | None:
    """Read the size of a sample from file names and one header; `inspect` reads all headers.

    Parameters
    ----------
    path
        Folder or file with the raw data of a sample.
    is_movie
        True if the sample is a movie, False if it is a tissue.
    n_channels
        Number of channels, if the sample sheet names them.
    fov
        Only field of view to use, if the sample sheet names one.

    Returns
    -------
    Extent or None
        None if the images can't be found or read; ``inspect`` then reports the cause.
    """
    root = Path(path)
    try:
        if root.is_dir() and find_format(root):
            raw = open_raw(root, pixel_size_um=1)  # the size of a pixel does not matter here
            return Extent(len(raw.fields), raw.shape_yx)
        if not is_movie and root.is_dir() and cosmx.fits(root):
            images = list(cosmx.stain_files(root).values())
            n_fields = len(images) if fov is None else 1
        else:
            images, n_fields = [root] if root.is_file() else _find_images(root), 1
        if not images:
            return None
        stack = read_stack(images[0], n_channels=n_channels, pages_are_frames=is_movie)
        if not is_movie:
            return Extent(n_fields, stack.shape_yx)
        in_names = {image.frame for image in parse_names(images)} if len(images) > 1 else {None}
        return Extent(max(len(in_names), len(stack.planes)), stack.shape_yx)
    except InputError:
        return None


def _find_images(root: Path) -> list[Path]:
    """Find the images of a folder; if it has none, those of the sub-folder with most images."""
    for pattern in ("", "*/", "*/*/"):
        folders = sorted(root.glob(pattern)) if pattern else [root]
        groups = [[f for f in list_images(g) if not is_label(f)] for g in folders if g.is_dir()]
        largest = max(groups, key=len, default=[])
        if largest:
            return largest
    return []
