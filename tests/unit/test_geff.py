from __future__ import annotations

from pathlib import Path

import geff
import numpy as np
import pytest
from disc_movies import budding_movie, crowd, division_movie, draw
from geff.core_io import read_to_memory
from geff.validate.data import ValidationConfig, validate_data

from cellsam_core.files import omezarr
from cellsam_core.tracking.geff import write_geff
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.stage import track
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
    before, after = memory["edge_ids"].astype(int).T - 1
    assert (frame[before] < frame[after]).all()
    track = memory["node_props"]["track_id"]["values"]
    family = set(zip(track[before], track[after], strict=True))
    expected = result.tracks.query("parent_id > 0")[["parent_id", "track_id"]]
    assert {pair for pair in family if pair[0] != pair[1]} == set(
        expected.itertuples(index=False, name=None)
    )


def test_nodes_are_in_frames_and_pixels_with_the_scale_in_the_axes(tmp_path: Path) -> None:
    result = track_labels(division_movie())
    plain = write(tmp_path / "plain.geff", result)
    assert [(a.name, a.unit, a.scale) for a in plain["metadata"].axes] == [
        ("t", "frame", None),
        ("y", "pixel", None),
        ("x", "pixel", None),
    ]
    known = write(tmp_path / "known.geff", result, pixel_size_um=0.5, frame_interval_s=30.0)
    assert [(a.scale, a.scaled_unit) for a in known["metadata"].axes] == [
        (30, "second"),
        (0.5, "micrometer"),
        (0.5, "micrometer"),
    ]
    values = {name: item["values"] for name, item in known["node_props"].items()}
    objects = result.objects
    assert values["t"].dtype.kind == "i"
    for name, column, scale in (
        *(("t", "frame", 1), ("y", "y", 1), ("x", "x", 1), ("seg_id", "label", 1)),
        *(("time_s", "frame", 30), ("y_um", "y", 0.5), ("x_um", "x", 0.5)),
    ):
        np.testing.assert_allclose(values[name], objects[column] * scale)
    assert known["node_ids"].min() == 1
    assert known["metadata"].track_node_props == {
        "tracklet": "tracklet_id",
        "lineage": "lineage_id",
    }


@pytest.mark.parametrize("pixel_size_um", [None, 0.65])
def test_funtracks_opens_it_with_the_masks_and_no_mapping(
    tmp_path: Path, pixel_size_um: float | None
) -> None:
    funtracks = pytest.importorskip("funtracks.import_export")
    frames = np.stack(division_movie()).astype(np.uint32)
    ring = draw([(90, 40, 40, 12)]) > 0
    ring &= draw([(90, 40, 40, 9)]) == 0  # the centroid of the last object lies outside of it
    frames[-1][ring] = 90
    store = omezarr.create(
        tmp_path / "masks.zarr",
        shape=frames.shape,
        axes="tyx",
        dtype="uint32",
        pixel_size_um=pixel_size_um,
    )
    store.array[:] = frames
    result = track(tmp_path / "masks.zarr")
    result.write(tmp_path / "3_tracks")
    path = tmp_path / "3_tracks/tracks.geff"
    opened = funtracks.import_from_geff(path, segmentation_path=tmp_path / "masks.zarr" / "0")
    graph = opened.graph_solution
    assert graph.num_nodes() == len(result.objects)
    edges = {tuple(edge) for edge in graph.edge_list()}
    assert len(edges) == (result.objects["link_kind"] != "start").sum()
    metadata = geff.GeffMetadata.read(path)
    (related,) = metadata.related_objects
    assert (path / related.path).resolve() == (tmp_path / "masks.zarr").resolve()


def test_movie_without_cells(tmp_path: Path) -> None:
    memory = write(tmp_path / "tracks.geff", track_labels([draw([])] * 3))
    assert len(memory["node_ids"]) == len(memory["edge_ids"]) == 0
