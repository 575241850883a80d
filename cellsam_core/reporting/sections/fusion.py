"""Section of stains that were fused: the plane that was segmented, and whose signal it shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch

from cellsam_core.reporting.figures.common import CATEGORICAL, WIDTH_IN, encode, new_figure, plain
from cellsam_core.reporting.page import Picture, Section
from cellsam_core.reporting.pictures.images import read_window, stretch, window_around
from cellsam_core.reporting.sections.stains import KINDS, preprocessing_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from cellsam_core.reporting.results import Results


@dataclass(frozen=True)
class FusedPlane:
    """Fused plane to be drawn.

    Attributes
    ----------
    title
        Words above it.
    plane
        Pixels ``(y, x)``.
    stride
        Side of the squares of the image that are one pixel of the plane, in pixels.
    record
        Record of its stains: ``dominant``, ``map`` and ``map_px``.
    """

    title: str
    plane: NDArray[Any]
    stride: int
    record: dict[str, Any]


def fusion_section(results: Results) -> Section | None:
    """Make the section; None for a sample with one stain for each role."""
    fusion: dict[str, dict[str, Any]] = preprocessing_record(results).get("fusion", {})
    image = results.image()
    if not fusion or image is None:
        return None
    section = Section("Fused stains")
    window = window_around(image.shape_yx, max_side_px=450)
    for role, record in fusion.items():
        section.paragraphs.append(f"{KINDS[role].capitalize()}: {fusion_words(record)}")
        plane = read_window(image, 0, list(image.channels).index(role), window)
        shown = FusedPlane("", plane, window.stride, record)
        picture = encode(partial(figure_fusion, [shown]), photograph=True)
        first = " of the first frame" if results.is_movie else ""
        caption = f"Plane{first} that was segmented as {KINDS[role]}, in the colour of the stain"
        caption += " with the largest part in it."
        section.pictures.append(Picture(picture, caption))
    return section


def fusion_words(record: dict[str, Any]) -> str:
    """Say in which part of the area each stain dominates."""
    dominant: dict[str, float] = record["dominant"]
    parts = ", ".join(f"{name} in {100 * share:.0f} %" for name, share in dominant.items())
    rest = 1 - sum(dominant.values())
    none = f" There is no signal in {100 * rest:.0f} %." if rest >= 0.005 else ""
    return (
        f"{len(dominant)} stains are added, each weighted by its local signal to noise. The stain"
        f" with the largest part in the sum is {parts} of the area.{none}"
    )


def figure_fusion(panels: Sequence[FusedPlane]) -> Figure:
    """Draw fused planes side by side, each in the colours of the stains that dominate."""
    height, width = panels[0].plane.shape
    n_columns = len(panels)
    figure = new_figure(float(np.clip(WIDTH_IN / n_columns * height / width, 1.5, 6)) + 0.6)
    axes = figure.subplots(1, n_columns, squeeze=False)[0]
    for ax in axes:
        ax.axis("off")
    for ax, panel in zip(axes, panels, strict=False):
        ax.imshow(_tinted(panel), interpolation="nearest")
        ax.set_title(panel.title, fontsize=8)
    names = list(panels[0].record["dominant"])
    handles = [Patch(color=_colour(i), label=plain(name)) for i, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside lower left", ncols=min(3, len(names)))
    return figure


def _colour(stain: int) -> str:
    return CATEGORICAL[stain % len(CATEGORICAL)]


def _tinted(panel: FusedPlane) -> NDArray[np.uint8]:
    """Colour each pixel by the stain that dominates its square; grey where none has a signal."""
    squares = np.asarray(panel.record["map"])
    rows, columns = (
        np.minimum(np.arange(size) * panel.stride // panel.record["map_px"], n - 1)
        for size, n in zip(panel.plane.shape, squares.shape, strict=True)
    )
    stain = squares[np.ix_(rows, columns)]
    palette = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in CATEGORICAL]
    colours = np.array([*palette, (128, 128, 128)]) / 255
    tint = colours[np.where(stain < 0, len(palette), stain % len(palette))]
    grey = stretch(panel.plane)[..., None] / 255
    # Light parts of the stain are white, so that dim ones show the colour and both the shape.
    mixed = tint * np.minimum(1, 0.25 + 1.2 * grey) + 0.5 * grey**2
    return np.asarray(255 * np.clip(mixed, 0, 1), np.uint8)
