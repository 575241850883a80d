"""Section of crops at full resolution, raw beside outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.reporting.page import Section
from cellsam_core.reporting.pictures.crops import (
    RANDOM,
    choose_places,
    crop_side,
    picture,
    raw_and_outlined,
    seam_centres,
    window_at,
    with_bar,
)
from cellsam_core.reporting.sections.stains import stain_words

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results


def crops_section(results: Results, cells: pd.DataFrame | None) -> Section:
    """Make the section: random places, and the places where a segmentation fails first."""
    section = Section("Crops")
    image, masks = results.image(), results.masks()
    if image is None or masks is None or cells is None or cells.empty:
        section.paragraphs.append("There are no frames, no masks or no cells to show.")
        return section
    shape, units = masks.shape_yx, results.units
    side = crop_side(cells)
    places = choose_places(cells, shape, seam_centres(shape, results.segmentation_parameters()))
    others = "the others are the ones where it fails first"
    if all(place.reason == RANDOM for place in places):
        others = "the image is too small for other ones"
    section.paragraphs.append(
        "Each crop is shown at full resolution, without outlines on the left and with them on the "
        f"right. Judge the segmentation by the random places; {others}. Stain: "
        f"{stain_words(results)}. Grey values are stretched in each crop."
    )
    for place in places:
        window = window_at(place, shape, side)
        drawn = raw_and_outlined(image, masks, place.frame, window)
        drawn, bar = with_bar(drawn, window, 2, units)
        when = f"frame {place.frame}, " if masks.n_frames > 1 else ""
        where = ", ".join(
            f"{name} {value * units.per_px:.0f}" for name, value in (("y", place.y), ("x", place.x))
        )
        caption = f"{place.reason.capitalize()}: {when}{where} {units.length}. Bar: {bar}."
        section.gallery.append(picture(drawn, caption))
    return section
