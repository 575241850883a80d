"""Is the frame interval short enough? The user's own movie, thinned out, tells.

A cell that is followed through every frame must also be found by overlap alone in every 2nd, 3rd
or 4th frame, as long as the interval leaves room; where that fails at the movie's own interval,
links hang on the corrections and ``sigma_iou`` is unsafe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.tracking.observe import THINNED_INTERVALS, is_thinned

if TYPE_CHECKING:
    from cellsam_core.tracking.graph import LinkGraph
    from cellsam_core.tracking.overlap import Ints

SAFE_SHARE = 0.99


def intervals_table(graph: LinkGraph, identities: Ints) -> pd.DataFrame:
    """Compare links by overlap alone at longer intervals with the final tracks.

    Parameters
    ----------
    graph
        Linked objects, and the links of the thinned-out movie in ``graph.thinned``.
    identities
        ``(n,)`` track of each object.

    Returns
    -------
    pandas.DataFrame
        One row an interval: every_nth_frame (1 is the movie's own), n_links (links of the final
        tracks that could be found), found (share of these that overlap alone finds), safe
        (whether that is 99 % or more).
    """
    by_overlap = np.flatnonzero(graph.kind == "link")
    own = np.stack([np.ones_like(by_overlap), graph.previous[by_overlap], by_overlap], axis=1)
    place = identities * graph.n_frames + graph.frame
    rows = []
    for lag, links in ((1, own), *((lag, graph.thinned) for lag in THINNED_INTERVALS)):
        _, i, j = links[links[:, 0] == lag].T
        later = (graph.frame >= lag) & ((lag == 1) | is_thinned(graph.frame))
        n_links = np.count_nonzero(np.isin(place[later] - lag, place))
        found = np.count_nonzero(identities[i] == identities[j])
        if n_links:
            rows.append((lag, n_links, found / n_links, found >= SAFE_SHARE * n_links))
    return pd.DataFrame(rows, columns=["every_nth_frame", "n_links", "found", "safe"])


def drift_table(graph: LinkGraph) -> pd.DataFrame:
    """Tabulate where the stage is in each frame: frame, y_px, x_px, from 0 in the first."""
    y, x = graph.drift_yx.T
    return pd.DataFrame({"frame": np.arange(graph.n_frames), "y_px": y, "x_px": x})
