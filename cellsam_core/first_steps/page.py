"""Page of a preview: crops, outlines and figures, in one HTML file that loads nothing."""

from __future__ import annotations

import base64
import io
from functools import partial
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from cellsam_core.files.atomic import atomic_path
from cellsam_core.first_steps.check import duration, size
from cellsam_core.first_steps.crops import N_REGIONS
from cellsam_core.preprocessing.channels import ROLES
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.pictures.images import area_means
from cellsam_core.reporting.sections.fusion import FusedPlane, figure_fusion, fusion_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.first_steps.crops import Crop, Region
    from cellsam_core.first_steps.preview import Preview
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.segmentation.instances import Instance

OUTLINE = "#ffd34d"
GENE, BLANK = "#56b4e9", "#e69f00"  # told apart by the colour-blind
PANEL_IN = 2.6
DPI = 110
FUSED_PX = 512
BAR_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def write_page(
    preview: Preview,
    crops: Sequence[Crop],
    found: Sequence[Sequence[Sequence[Instance]]],
    manifest: Manifest,
    *,
    is_measured: bool,
    spots: Sequence[NDArray[np.float64]] = (),
    regions: Sequence[Region] = (),
) -> None:
    """Write the page of a preview.

    Parameters
    ----------
    preview
        Figures, and the path of the page.
    crops
        Crops, as the model sees them.
    found
        Cells of each crop at half the diameter, the diameter and its double.
    manifest
        Description of the sample.
    is_measured
        True if the cell diameter was measured, False if it was given.
    spots
        Transcripts of each crop of raw rounds, ``(n, 3)``: x, y and 1 for a blank.
    regions
        Parts of the image that the crops are from; what is fused in them is shown.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cellsam_core.first_steps"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("preview.html.j2").render(
        preview=preview,
        manifest=manifest,
        picture=_picture(preview, crops, found, manifest.pixel_size_um),
        spots=_spots_picture(crops, spots, manifest.pixel_size_um) if spots else "",
        fused=_fused_pictures(regions),
        is_measured=is_measured,
        time=duration(preview.hours),
        disk=size(preview.disk_gb),
    )
    preview.path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(preview.path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _picture(
    preview: Preview,
    crops: Sequence[Crop],
    found: Sequence[Sequence[Sequence[Instance]]],
    pixel_size_um: float | None,
) -> str:
    """Draw a row of four panels for each crop; return it as a data URI."""
    figure = Figure(figsize=(4 * PANEL_IN, (PANEL_IN + 0.3) * len(crops)), layout="constrained")
    axes = figure.subplots(len(crops), 4, squeeze=False)
    for crop, row, cells in zip(crops, axes, found, strict=True):
        rgb = as_seen(crop.pixels)
        _show(row[0], rgb, f"frame {crop.frame}, x {crop.x0} y {crop.y0} px: as the model sees it")
        _scale_bar(row[0], rgb.shape[1], pixel_size_um)
        sizes = (preview.diameter_px / 2, preview.diameter_px, preview.diameter_px * 2)
        for panel, diameter, instances in zip(row[1:], sizes, cells, strict=True):
            _show(panel, rgb, f"diameter {diameter:.3g} px: {len(instances)} cells")
            for instance in instances:
                _outline(panel, instance)
    return _encode(figure)


def _spots_picture(
    crops: Sequence[Crop], spots: Sequence[NDArray[np.float64]], pixel_size_um: float | None
) -> str:
    """Draw the transcripts of genes and of blanks over the stain of each crop."""
    side, n_columns = 4 * PANEL_IN / N_REGIONS, max(N_REGIONS, len(crops))
    figure = Figure(figsize=(side * n_columns, side + 0.3), layout="constrained")
    axes = figure.subplots(1, n_columns, squeeze=False)[0]
    for panel in axes:
        panel.axis("off")
    for crop, panel, rows in zip(crops, axes, spots, strict=False):
        is_blank = rows[:, 2] > 0
        rgb = 0.7 * as_seen(crop.pixels)
        n_genes, n_blanks = int((~is_blank).sum()), int(is_blank.sum())
        _show(panel, rgb, f"x {crop.x0} y {crop.y0} px: {n_genes} of genes, {n_blanks} of blanks")
        panel.scatter(*rows[~is_blank, :2].T, s=4, color=GENE, linewidths=0)
        panel.scatter(*rows[is_blank, :2].T, s=18, marker="x", color=BLANK, linewidths=1.1)
        _scale_bar(panel, rgb.shape[1], pixel_size_um)
    return _encode(figure)


def _fused_pictures(regions: Sequence[Region]) -> list[tuple[str, str]]:
    """Say for each role of fused stains which of them dominates where, and draw it."""
    found = []
    for role in regions[0].frames.fusion if regions else ():
        panels = []
        for region in regions:
            plane = region.pixels[ROLES.index(role)]
            step = -(-max(plane.shape) // FUSED_PX)
            title = f"frame {region.frame}, x {region.x0} y {region.y0} px"
            means = area_means(plane, step)
            panels.append(FusedPlane(title, means, step, region.frames.fusion[role]))
        shares = [panel.record["dominant"] for panel in panels]
        mean = {name: float(np.mean([share[name] for share in shares])) for name in shares[0]}
        drawn = encode(partial(figure_fusion, panels))
        found.append((f"{role}: {fusion_words({'dominant': mean})}", drawn))
    return found


def _encode(figure: Figure) -> str:
    """Draw a figure as a data URI."""
    buffer = io.BytesIO()
    # The version of matplotlib would change the bytes of the result.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def as_seen(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colour the channels that the model sees.

    Parameters
    ----------
    pixels
        Nuclear and whole-cell channel ``(2, y, x)`` in [0, 1].

    Returns
    -------
    ndarray of float32, (y, x, 3)
        Whole cells in grey with nuclei in blue; a single channel in grey.
    """
    nuclear, cell = pixels
    if not nuclear.any() or not cell.any():
        return np.repeat(np.maximum(nuclear, cell)[..., None], 3, axis=2)
    grey = 0.6 * cell
    blue = np.maximum(grey, nuclear)
    return np.stack((grey, np.maximum(grey, 0.55 * nuclear), blue), axis=2)


def _show(axes: Any, rgb: NDArray[np.float32], title: str) -> None:
    axes.imshow(rgb, interpolation="nearest", vmin=0, vmax=1)
    axes.set_title(title, fontsize=7.5)
    axes.set_xlim(-0.5, rgb.shape[1] - 0.5)
    axes.set_ylim(rgb.shape[0] - 0.5, -0.5)
    axes.axis("off")


def _outline(axes: Any, instance: Instance) -> None:
    """Draw the edge of a mask as a line."""
    mask = np.pad(instance.mask, 1).astype(np.float32)
    height, width = mask.shape
    x = np.arange(width) + instance.x0 - 1
    y = np.arange(height) + instance.y0 - 1
    axes.contour(x, y, mask, levels=[0.5], colors=OUTLINE, linewidths=0.9)


def _scale_bar(axes: Any, width_px: int, pixel_size_um: float | None) -> None:
    """Draw a bar of at most a third of the width, with its length."""
    if pixel_size_um is None:
        length_px, text = float(10 * max(1, width_px // 50)), ""
        text = f"{length_px:.0f} px"
    else:
        fitting = [um for um in BAR_UM if um / pixel_size_um <= width_px / 3]
        um = fitting[-1] if fitting else BAR_UM[0]
        length_px, text = um / pixel_size_um, f"{um} µm"
    x0, y0 = 0.04 * width_px, 0.95 * axes.get_ylim()[0]
    axes.plot([x0, x0 + length_px], [y0, y0], color="white", linewidth=3, solid_capstyle="butt")
    axes.text(x0, y0 - 0.03 * width_px, text, color="white", fontsize=8, va="bottom")
