"""Compose the pictures of README.md from the results of a movie and of a spatial sample.

``python benchmarks/make_pictures.py results/movie results/merfish -o docs/images`` writes
``movie.png`` and ``spatial.png``; the same results give the same bytes.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.reporting.figures import spatial as figures_spatial
from cellsam_core.reporting.figures import traces as figures_traces
from cellsam_core.reporting.figures import tracks as figures_tracks
from cellsam_core.reporting.figures.common import STYLE
from cellsam_core.reporting.pictures.images import read_window, stretch
from cellsam_core.reporting.results import Results
from cellsam_core.reporting.sections.cells import cell_shapes
from cellsam_core.reporting.sections.masks import frame_overlay
from cellsam_core.reporting.sections.overlays import overlay_panels, zoom_windows
from cellsam_core.reporting.sections.spatial import read_cells
from cellsam_core.reporting.sections.traces import onset_of, ratio_matrix, read_traces
from cellsam_core.reporting.sections.transcript_summary import summarise

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_IN = (14.0, 4.5)
DPI = 100


def movie_picture(folder: Path) -> Figure:
    """Masks of the last frame | paths | lineages of dividing cells | R/R0."""
    results = Results.load(folder)
    units, image, masks = results.units, results.image(), results.masks()
    objects = results.table("3_tracks/objects.parquet")
    tracks = results.table("3_tracks/tracks.csv")
    traces, options = read_traces(results)
    if image is None or masks is None or objects is None or tracks is None or traces is None:
        raise _incomplete(folder)
    if options.get("ratio") is None:
        raise InputError(
            folder,
            found="traces without a ratio",
            expected="the results of a movie with a ratio",
            remedy="name traces.ratio in the config",
        )
    figure = _figure()
    grid = figure.add_gridspec(2, 3, width_ratios=[1, 1, 1.25])
    last = masks.n_frames - 1
    rgb, window, here = frame_overlay(image, masks, objects, last)
    axes = figure.add_subplot(grid[:, 0], title="masks and tracks")
    figures_tracks.draw_masks(axes, rgb, window, units, here)
    grey = stretch(read_window(image, last, len(image.channels) - 1, window))
    axes = figure.add_subplot(grid[:, 1], title="paths and divisions")
    paths = figures_tracks.track_paths(objects, tracks)
    figures_tracks.draw_tracks(axes, grey, window, units, paths)
    axes = figure.add_subplot(grid[0, 2], title="lineages of dividing cells")
    dividing = tracks[tracks.groupby("lineage_id")["track_id"].transform("size") > 1]
    figures_tracks.draw_lineages(axes, dividing if len(dividing) else tracks, units)
    axes = figure.add_subplot(grid[1, 2])
    axes.set_title("reporter ratio of each cell", loc="right")
    figures_traces.draw_heat_map(axes, ratio_matrix(results, traces), onset_of(options), units)
    return figure


def spatial_picture(folder: Path) -> Figure:
    """Outlines and transcripts over the stain, whole and closer | cells by transcripts."""
    results = Results.load(folder)
    cells, _ = read_cells(results)
    path = folder / "3_cells/transcripts.parquet"
    source = results.manifest.transcripts
    if cells is None or source is None or not path.is_file():
        raise _incomplete(folder)
    windows = zoom_windows(results, cells)
    summary = summarise(path, source.um_to_px, results.manifest.shape_yx, windows)
    panels = overlay_panels(results, windows, summary)
    if not panels:
        raise _incomplete(folder)
    genes = figures_spatial.frequent_genes(panels[0].spots)
    shapes, counts, _ = cell_shapes(results, cells)
    figure = _figure()
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    for axes, panel in ((left, panels[0]), (middle, panels[-1])):
        figures_spatial.draw_panel(axes, panel, genes, results.units)
    left.get_legend().remove()
    figures_spatial.draw_cell_map(right, shapes, counts, "transcripts per cell", results.units)
    right.set_title("cells by transcripts")
    return figure


def _figure() -> Figure:
    return Figure(figsize=SIZE_IN, layout="constrained")


def _incomplete(folder: Path) -> InputError:
    return InputError(
        folder,
        found="results that lack a stage",
        expected="all stages of a movie, then of a spatial sample",
        remedy="run the workflow on both first",
    )


def write(draw: Callable[[Path], Figure], results: Path, target: Path) -> None:
    """Draw a picture in the report's style and write it."""
    buffer = io.BytesIO()
    with style.context(STYLE, after_reset=True):
        figure = draw(results)
        figure.savefig(buffer, format="png", dpi=DPI)
    # 64 levels a colour: a third smaller, and no difference to see
    picture = (
        Image.open(buffer).convert("RGB").point([(v >> 2) * 255 // 63 for v in range(256)] * 3)
    )
    with atomic_path(target) as path:
        picture.save(path, format="png", optimize=True)


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("movie", type=Path, help="results folder of a movie with a ratio")
    parser.add_argument("spatial", type=Path, help="results folder of a spatial sample")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args()
    write(movie_picture, args.movie, args.output / "movie.png")
    write(spatial_picture, args.spatial, args.output / "spatial.png")


if __name__ == "__main__":
    main()
