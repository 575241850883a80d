"""Check of the frame interval, by subsampling the movie.

If the frame interval is short enough, overlap alone also links a tracked cell in every 2nd, 3rd or
4th frame. If overlap alone already fails at the movie's own interval, many links depend on rescue
and gap closing, and ``sigma_iou`` is not reliable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.tracking.link_frames import SUBSAMPLED_INTERVALS, is_subsampled

if TYPE_CHECKING:
    from cellsam_core.tracking.graph import LinkGraph
    from cellsam_core.tracking.overlap import Ints

SAFE_SHARE = 0.99


def intervals_table(graph: LinkGraph, identities: Ints) -> pd.DataFrame:
    """Compare links by overlap alone at longer frame intervals with the final tracks.

    Parameters
    ----------
    graph
        Linked objects, with the links of the subsampled movie in ``graph.subsampled_links``.
    identities
        ``(n,)`` track of each object.

    Returns
    -------
    pandas.DataFrame
        One row per interval: every_nth_frame (1 is the movie's own interval), n_links (links of
        the final tracks at this interval), found (fraction of them that overlap alone finds), safe
        (True if this fraction is at least 0.99).
    """
    by_overlap = np.flatnonzero(graph.kind == "link")
    own = np.stack([np.ones_like(by_overlap), graph.predecessor[by_overlap], by_overlap], axis=1)
    place = identities * graph.n_frames + graph.frame
    rows = []
    for lag, links in ((1, own), *((lag, graph.subsampled_links) for lag in SUBSAMPLED_INTERVALS)):
        _, i, j = links[links[:, 0] == lag].T
        later = (graph.frame >= lag) & ((lag == 1) | is_subsampled(graph.frame))
        n_links = np.count_nonzero(np.isin(place[later] - lag, place))
        found = np.count_nonzero(identities[i] == identities[j])
        if n_links:
            rows.append((lag, n_links, found / n_links, found >= SAFE_SHARE * n_links))
    return pd.DataFrame(rows, columns=["every_nth_frame", "n_links", "found", "safe"])


def drift_table(graph: LinkGraph) -> pd.DataFrame:
    """Tabulate the position of the stage in each frame: frame, y_px, x_px, n_cells.

    The position is 0 in the first frame. It is the movement that the cells have in common, and of
    few cells their own.
    """
    y, x = graph.drift_yx.T
    n_cells = np.bincount(graph.frame, minlength=graph.n_frames)
    frames = np.arange(graph.n_frames)
    return pd.DataFrame({"frame": frames, "y_px": y, "x_px": x, "n_cells": n_cells})
