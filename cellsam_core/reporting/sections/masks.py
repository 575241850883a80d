"""Section of the masks over the image, in the colours of their tracks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.reporting.figures.common import MAX_LABELS, encode
from cellsam_core.reporting.figures.tracks import figure_masks
from cellsam_core.reporting.page import Picture, Section
from cellsam_core.reporting.pictures.images import overlay, read_window, window_around
from cellsam_core.reporting.sections.stains import stain_words
from cellsam_core.tracking.corrections import merged_pieces

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.reporting.pictures.images import Rgb, Window
    from cellsam_core.reporting.results import Results


def outlines_section(results: Results, objects: pd.DataFrame | None) -> Section:
    """Make the section of the masks of the first, middle and last frame."""
    section = Section("Masks over the image")
    image, masks = results.image(), results.masks()
    if image is None or masks is None:
        section.paragraphs.append("The frames or the masks are missing.")
        return section
    units = results.units
    last = masks.n_frames - 1
    colour = "Outlines" if objects is None else "Outlines in the colour of their track, with its id"
    for frame in sorted({0, last // 2, last}):
        rgb, window, here = frame_overlay(image, masks, objects, frame)
        title = f"frame {frame}" + (
            f", {units.at(float(units.times(frame)))}" if units.timed else ""
        )
        uri = encode(partial(figure_masks, title, rgb, window, units, here), photograph=True)
        caption = f"{colour}, over {stain_words(results)}; frame {frame}."
        if here is not None and len(here) > MAX_LABELS:
            caption += f" No ids are written for more than {MAX_LABELS} cells."
        section.pictures.append(Picture(uri, caption))
    return section


def frame_overlay(
    image: OmeZarr, masks: OmeZarr, objects: pd.DataFrame | None, frame: int
) -> tuple[Rgb, Window, pd.DataFrame | None]:
    """Draw a frame with outlines in the colours of tracks; also return its window and objects."""
    window = window_around(masks.shape_yx)
    labels = read_window(masks, frame, 0, window)
    plane = read_window(image, frame, len(image.channels) - 1, window)
    if objects is None:
        return overlay(plane, labels), window, None
    ids = _track_of_label(objects, frame, int(labels.max()))
    return overlay(plane, labels, ids), window, objects[objects["frame"] == frame]


def _track_of_label(objects: pd.DataFrame, frame: int, max_label: int) -> npt.NDArray[np.int64]:
    """Return the track at the index of its label in `frame`; 0 for a label without a track."""
    here = objects[objects["frame"] == frame]
    pieces = merged_pieces(here)
    labels = pd.concat([here["label"], pieces["piece"]]).to_numpy(np.int64)
    track_ids = pd.concat([here["track_id"], pieces["track_id"]]).to_numpy(np.int64)
    ids = np.zeros(max_label + 1, dtype=np.int64)
    ids[labels[labels <= max_label]] = track_ids[labels <= max_label]
    return ids
