from __future__ import annotations

from pathlib import Path

import geff
import numpy as np
import pytest
from disc_movies import budding_movie, crowd, division_movie, draw
from geff.core_io import read_to_memory
from geff.validate.data import ValidationConfig, validate_data

from cellsam_core.tracking.geff import write_geff
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels
from cellsam_core.tracking.tracks import Tracks

EVERYTHING = ValidationConfig(graph=True, lineage=True, tracklet=True)


def write(path: Path, result: Tracks, **calibration: float):
    write_geff(path, result.objects, result.tracks, **calibration)
    geff.validate_structure(path)
    memory = read_to_memory(path)
    validate_data(memory, EVERYTHING)
    return memory


@pytest.mark.parametrize(
    ("frames", "division"),
    [(division_movie(), "mitosis"), (budding_movie(), "budding"), (crowd(), "none")],
    ids=["division", "budding", "gaps"],
)
def test_graph_is_valid_and_complete(tmp_path: Path, frames: list, division: str) -> None:
    result = track_labels(frames, TrackOptions(division=division))
    memory = write(tmp_path / "tracks.geff", result)
    links = (result.objects["link_kind"] != "start").sum()
    assert len(memory["node_ids"]) == len(result.objects)
    assert len(memory["edge_ids"]) == links
    frame = memory["node_props"]["frame"]["values"]
    before, after = memory["edge_ids"].astype(int).T
    assert (frame[before] < frame[after]).all()
    track = memory["node_props"]["track_id"]["values"]
    family = set(zip(track[before], track[after], strict=True))
    expected = result.tracks.query("parent_id > 0")[["parent_id", "track_id"]]
    assert {pair for pair in family if pair[0] != pair[1]} == set(
        expected.itertuples(index=False, name=None)
    )


def test_axes_carry_the_units_that_are_known(tmp_path: Path) -> None:
    result = track_labels(division_movie())
    plain = write(tmp_path / "plain.geff", result)
    assert [(a.name, a.unit) for a in plain["metadata"].axes] == [
        ("t", "frame"),
        ("y", "pixel"),
        ("x", "pixel"),
    ]
    known = write(tmp_path / "known.geff", result, pixel_size_um=0.5, frame_interval_s=30.0)
    assert [a.unit for a in known["metadata"].axes] == ["second", "micrometer", "micrometer"]
    for name, scale in (("t", 30.0), ("y", 0.5), ("x", 0.5)):
        np.testing.assert_allclose(
            known["node_props"][name]["values"], plain["node_props"][name]["values"] * scale
        )
    assert known["metadata"].track_node_props == {
        "tracklet": "tracklet_id",
        "lineage": "lineage_id",
    }


def test_movie_without_cells(tmp_path: Path) -> None:
    memory = write(tmp_path / "tracks.geff", track_labels([draw([])] * 3))
    assert len(memory["node_ids"]) == len(memory["edge_ids"]) == 0
