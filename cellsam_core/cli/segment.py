"""``cellsam-core segment``: images in, label images and cell tables out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.segment_options import (
    add_dark_cells_argument,
    add_model_arguments,
    given_diameter_px,
    load_segmenter,
)
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.segmenter import TileSegmenter

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="TIFF, PNG or JPEG")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--nuclear-channel", help="name of the nuclear stain")
    parser.add_argument("--cell-channel", help="name of the cytoplasm, membrane or phase channel")
    parser.add_argument("--channels", help="names of the channels, comma separated, in file order")
    parser.add_argument(
        "--boxes",
        type=Path,
        help="CSV with image, x0, y0, x1, y1 in px: draw the cells in these boxes",
    )
    parser.add_argument(
        "--min-area-px", type=int, default=25, help="smaller cells are left out, px"
    )
    add_model_arguments(parser)
    add_dark_cells_argument(
        parser, "auto keeps them, as in a movie, since an image may be bright-field"
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.labels.source import write_label_tiff
    from cellsam_core.segmentation.cell_table import cell_table
    from cellsam_core.segmentation.image import segment_image
    from cellsam_core.segmentation.instances import paint

    _refuse_same_stems(args.images)
    _refuse_overwriting(args.images, args.output)
    boxes = _given_boxes(args)
    diameter = given_diameter_px(args.cell_diameter_px)
    inputs = [_open(path, args) for path in args.images]
    if boxes is not None:
        shapes = {p.name: m.shape_yx for p, (m, _) in zip(args.images, inputs, strict=True)}
        _refuse_outside(args.boxes, boxes, shapes)
    segmenter, _ = load_segmenter(args)
    for path, (manifest, roles) in zip(args.images, inputs, strict=True):
        pixels = _preprocess(manifest, roles, args)
        if boxes is None:
            cells = segment_image(
                segmenter,
                pixels,
                diameter_px=diameter,
                tile_px=args.tile_px,
                min_area_px=args.min_area_px,
                drops_dark=args.dark_cells == "drop",
            )
        else:
            cells = _prompt(segmenter, pixels, boxes[boxes["image"] == path.name], diameter)
        height, width = pixels.shape[1:]
        write_label_tiff(args.output / f"{path.stem}.tif", paint(cells, 0, height, width))
        with atomic_path(args.output / f"{path.stem}_cells.csv") as temporary:
            table = cell_table(0, cells, (height, width), manifest.pixel_size_um)
            table.to_csv(temporary, index=False)
        log.info("%s: %d cells", path, len(cells))


def _open(path: Path, args: argparse.Namespace) -> tuple[Manifest, dict[str, list[str]]]:
    """Read what the image says of itself and decide on its channels, before any is segmented."""
    from cellsam_core.cli.inspect import split_channels
    from cellsam_core.cli.preprocess import choose_roles
    from cellsam_core.samples.movies import inspect_movie

    manifest = inspect_movie(
        path, sample=path.stem, assay="movie", channels=split_channels(args.channels)
    )
    if manifest.n_frames != 1:
        raise InputError(
            path,
            found=f"{manifest.n_frames} frames",
            expected="a single image",
            remedy="list the movie in a sample sheet and run the workflow",
        )
    return manifest, choose_roles(manifest, args.nuclear_channel, args.cell_channel, args.weights)


def _preprocess(
    manifest: Manifest, roles: dict[str, list[str]], args: argparse.Namespace
) -> NDArray[np.float32]:
    """Bring the channels to the values that `preprocess` writes and `segment-batch` reads."""
    import numpy as np

    from cellsam_core.cli.preprocess import bands_of, to_uint16
    from cellsam_core.models import clahe_clip_limit_of
    from cellsam_core.preprocessing.contrast import Contrast
    from cellsam_core.segmentation.image import ROLES

    contrast = Contrast(clahe_clip_limit=clahe_clip_limit_of(args.weights, args.preset))
    pixels = np.zeros((2, *manifest.shape_yx), np.float32)
    for role, names in roles.items():
        for y0, rows in bands_of(manifest, 0, names, contrast):
            values = to_uint16(rows) / np.float32(65535)
            pixels[ROLES.index(role), y0 : y0 + len(rows)] = values
    return pixels


def _prompt(
    segmenter: TileSegmenter,
    pixels: NDArray[np.float32],
    boxes: pd.DataFrame,
    diameter_px: float | None,
) -> list[Instance]:
    """Draw the cells in given boxes; without a diameter, the boxes tell it."""
    import numpy as np

    from cellsam_core.segmentation.instances import settle

    corners = boxes[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
    if len(corners) == 0:
        return []
    sides = np.sqrt((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    found = segmenter.prompt(pixels, diameter_px or float(np.median(sides)), corners)
    return settle(found, min_area_px=1)


def _given_boxes(args: argparse.Namespace) -> pd.DataFrame | None:
    """Read the boxes, if any; all cells in boxes are drawn, also dark ones."""
    if args.boxes is None:
        return None
    if args.dark_cells == "drop":
        raise InputError(
            "option `dark_cells`",
            found="drop beside `boxes`",
            expected="one of the two: the cells in boxes are all drawn",
            remedy="leave one out",
        )
    return _read_boxes(args.boxes, args.images)


def _read_boxes(path: Path, images: list[Path]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    columns = ["image", "x0", "y0", "x1", "y1"]
    try:
        table = pd.read_csv(path, dtype={"image": str})
    except (OSError, ValueError) as error:
        raise InputError(
            path, found=str(error), expected="a CSV file", remedy="check the option `boxes`"
        ) from error
    if missing := [c for c in columns if c not in table.columns]:
        raise InputError(
            path,
            found=f"columns {', '.join(table.columns)}",
            expected=f"also {', '.join(missing)}",
            remedy="name the columns image, x0, y0, x1, y1",
        )
    corners = table[columns[1:]].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = (
        ~np.isfinite(corners).all(axis=1) | (corners.x1 <= corners.x0) | (corners.y1 <= corners.y0)
    )
    if bad.any():
        raise InputError(
            path,
            found=f"no box in row {int(np.flatnonzero(bad)[0]) + 1}",
            expected="numbers with x0 < x1 and y0 < y1",
            remedy="correct the row",
        )
    if unknown := sorted(set(table["image"]) - {p.name for p in images}):
        raise InputError(
            path,
            found=f"boxes for {unknown[0]}",
            expected=f"the images given: {', '.join(p.name for p in images)}",
            remedy="write the file's name with its extension in the column `image`",
        )
    return table.assign(**corners)


def _refuse_outside(path: Path, boxes: pd.DataFrame, shapes: dict[str, tuple[int, int]]) -> None:
    """Every box must touch its image, else it would silently give no cell."""
    columns = boxes[["image", "x0", "y0", "x1", "y1"]].itertuples(index=False, name=None)
    for row, (image, x0, y0, x1, y1) in enumerate(columns, start=1):
        height, width = shapes[image]
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InputError(
                path,
                found=f"a box outside of {image} in row {row}",
                expected=f"x from 0 to {width} and y from 0 to {height} px",
                remedy="correct the row",
            )


def _refuse_overwriting(images: list[Path], output: Path) -> None:
    """Refuse a folder where labels would take the place of an image that is given."""
    given = {path.resolve() for path in images}
    for path in images:
        labels = output / f"{path.stem}.tif"
        if labels.resolve() in given:
            raise InputError(
                output,
                found=f"the image {labels.name}, which the labels of {path.name} would replace",
                expected="a folder without the images",
                remedy="give another folder with -o",
            )


def _refuse_same_stems(images: list[Path]) -> None:
    """Two images of one name would overwrite each other's result."""
    from cellsam_core.files.filenames import same_stem

    if (twins := same_stem(images)) is not None:
        raise InputError(
            twins[1],
            found=f"the same name as {twins[0]}",
            expected="images that differ in their names",
            remedy="segment them into different folders",
        )
