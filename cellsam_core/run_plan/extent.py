"""Size of a sample, read from file names and one header, from which jobs are planned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.errors import InputError
from cellsam_core.files.filenames import find_images
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.stack import read_stack
from cellsam_core.models import FITS_TILES, kind_of
from cellsam_core.samples.movie_files import FOLDER_FORMATS, MovieOptions, movie_root
from cellsam_core.samples.movie_search import find_movie
from cellsam_core.samples.positions import choose_position
from cellsam_core.samples.raw_rounds import find_format
from cellsam_core.samples.vendors import cosmx
from cellsam_core.segmentation.tiles import REFERENCE_PX, plan


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
    path: str | Path,
    *,
    is_movie: bool,
    n_channels: int | None = None,
    fov: str | None = None,
    movie: MovieOptions | None = None,
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
    movie
        Options of a movie, as the sample sheet gives them.

    Returns
    -------
    Extent or None
        None if the images can't be found or read; ``inspect`` then reports the cause.
    """
    root = Path(path)
    if not root.exists():
        return None
    try:
        if root.is_dir() and find_format(root):
            raw = open_raw(root, pixel_size_um=1)  # the size of a pixel does not matter here
            return Extent(len(raw.fields), raw.shape_yx)
        if is_movie:
            return _movie_extent(root, movie or MovieOptions(), n_channels)
        if root.is_dir() and cosmx.fits(root):
            images = list(cosmx.stain_files(root).values())
            n_fields = len(images) if fov is None else 1
        else:
            images, n_fields = [root] if root.is_file() else find_images(root, 2), 1
        if not images:
            return None
        return Extent(n_fields, read_stack(images[0], n_channels=n_channels).shape_yx)
    except InputError:
        return None


def _movie_extent(root: Path, options: MovieOptions, n_channels: int | None) -> Extent:
    """Read the header of one image, or of all stacks that are joined."""
    options = replace(options, z=options.z or ZChoice("one"))
    files = find_movie(movie_root(root), options)
    position = choose_position(files, options.position or None)
    if files.container is not None:
        is_stack = options.format == "tiff_stack"
        stack = read_stack(
            files.container,
            n_channels=n_channels,
            pages_are_frames=is_stack,
            z=options.z,
            series=position,
        )
        return Extent(len(stack.planes), stack.shape_yx)
    images = [i for i in files.images if i.position == position]
    by_frame = {i.frame: i.path for i in images if i.channel == images[0].channel}
    is_alone = options.format in FOLDER_FORMATS
    first = read_stack(images[0].path, n_channels=n_channels, z=options.z, alone=is_alone)
    n_frames = len({i.frame for i in images})
    if len(first.planes) > 1:
        stacks = (read_stack(p, z=options.z, alone=is_alone) for p in by_frame.values())
        n_frames = sum(len(stack.planes) for stack in stacks)
    return Extent(n_frames, first.shape_yx)


class Tiles(NamedTuple):
    """Tiles in which a sample is segmented.

    Attributes
    ----------
    n
        Number of tiles of all images.
    area_px
        Pixels of the model in one tile.
    """

    n: int
    area_px: float


def count_tiles(extent: Extent, cell_diameter_px: float | str, tile_px: int, weights: str) -> Tiles:
    """Count the tiles of a sample.

    Parameters
    ----------
    extent
        Number and size of the images.
    cell_diameter_px
        Cell diameter in pixels; for ``auto``, 30 px are taken.
    tile_px
        Side of a tile in pixels of the model.
    weights
        Name or path of the weights.
    """
    diameter_px = REFERENCE_PX if cell_diameter_px == "auto" else float(cell_diameter_px)
    tiles = plan(1, extent.shape_yx, diameter_px, tile_px, fits=FITS_TILES[kind_of(weights)])
    height, width = tiles[0].y1 - tiles[0].y0, tiles[0].x1 - tiles[0].x0
    return Tiles(extent.n_images * len(tiles), height * width * (REFERENCE_PX / diameter_px) ** 2)
