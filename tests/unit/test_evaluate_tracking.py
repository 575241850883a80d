from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from ctc_metrics.scripts.evaluate import evaluate_sequence
from disc_movies import crowd, division_movie

from cellsam_core.errors import InputError
from cellsam_core.evaluation.stage import evaluate_tracking
from cellsam_core.simulation.options import MovieOptions
from cellsam_core.simulation.stage import simulate_movie
from cellsam_core.tracking.ctc import write_ctc
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.stage import track
from cellsam_core.tracking.tracker import track_labels


def write_result(folder: Path, frames: list[np.ndarray], parameters=None) -> Path:
    result = track_labels(frames, parameters)
    write_ctc(folder, frames, len(frames), result.objects, result.tracks)
    return folder


def as_truth(result: Path, truth: Path) -> Path:
    (truth / "TRA").mkdir(parents=True)
    (truth / "SEG").mkdir()
    for path in result.glob("mask*.tif"):
        image = path.read_bytes()
        (truth / "TRA" / path.name.replace("mask", "man_track")).write_bytes(image)
        (truth / "SEG" / path.name.replace("mask", "man_seg")).write_bytes(image)
    (truth / "TRA" / "man_track.txt").write_text((result / "res_track.txt").read_text())
    return truth


def damaged(frames: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Cells lost, merged, invented and eroded."""
    rng = np.random.default_rng(seed)
    out = []
    for frame in frames:
        image = frame.copy()
        labels = [v for v in np.unique(image) if v]
        for label in labels:
            chance = rng.random()
            if chance < 0.06:
                image[image == label] = 0
            elif chance < 0.12:
                image[image == label] = rng.choice(labels)
        if rng.random() < 0.5:
            y, x = rng.integers(0, image.shape[0] - 8), rng.integers(0, image.shape[1] - 8)
            image[y : y + 8, x : x + 8] = image.max() + 1
        out.append(image)
    return out


def test_perfect_result(tmp_path: Path) -> None:
    result = write_result(tmp_path / "res", division_movie())
    scores = evaluate_tracking(result, as_truth(result, tmp_path / "gt"))
    perfect = [
        "det",
        "tra",
        "lnk",
        "seg",
        "division_f1",
        "division_f1_within_1",
        "mbc",
        "complete_tracks",
    ]
    assert {name: scores[name] for name in perfect} == dict.fromkeys(perfect, 1.0)
    assert scores["division_tp"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_reference_implementation(tmp_path: Path, seed: int) -> None:
    frames = division_movie() if seed % 2 else crowd(8, seed)
    truth = as_truth(write_result(tmp_path / "true", frames), tmp_path / "gt")
    result = write_result(tmp_path / "res", damaged(frames, seed))
    ours = evaluate_tracking(result, truth)
    names = ["Valid", "DET", "SEG", "TRA", "LNK", "CT", "BC"]
    theirs = evaluate_sequence(str(result), str(truth), list(names), threads=1)
    assert theirs["Valid"] == 1
    assert ours["det"] < 1
    for name in ("DET", "SEG", "TRA", "LNK"):
        assert ours[name.lower()] == pytest.approx(theirs[name])
    assert ours["complete_tracks"] == pytest.approx(theirs["CT"])
    for i, suffix in ((0, ""), (1, "_within_1")):
        for kind in ("tp", "fp", "fn"):
            assert ours[f"division_{kind}{suffix}"] == theirs[f"{kind}_div({i})"]


def test_shifted_division_counts_only_with_tolerance(tmp_path: Path) -> None:
    truth = as_truth(write_result(tmp_path / "true", division_movie()), tmp_path / "gt")
    late = division_movie()
    late[4] = late[3]
    scores = evaluate_tracking(write_result(tmp_path / "res", late), truth)
    assert (scores["division_f1"], scores["division_f1_within_1"]) == (0, 1)


def test_missed_division(tmp_path: Path) -> None:
    truth = as_truth(write_result(tmp_path / "true", division_movie()), tmp_path / "gt")
    none = write_result(tmp_path / "res", division_movie(), TrackOptions(division="none"))
    scores = evaluate_tracking(none, truth)
    assert (scores["det"], scores["division_f1"], scores["mbc"]) == (1.0, 0.0, 0.0)
    assert scores["division_fn"] == 1


def test_other_movies_are_refused(tmp_path: Path) -> None:
    result = write_result(tmp_path / "res", division_movie())
    truth = as_truth(result, tmp_path / "gt")
    (truth / "TRA" / "man_track009.tif").unlink()
    with pytest.raises(InputError, match="10 frames"):
        evaluate_tracking(result, truth)
    tifffile.imwrite(truth / "TRA" / "man_track009.tif", np.zeros((5, 5), np.uint16))
    with pytest.raises(InputError, match="5 x 5"):
        evaluate_tracking(result, truth)
    with pytest.raises(InputError, match="man_track"):
        evaluate_tracking(result, tmp_path / "nowhere")


def test_a_movie_in_memory_scores_as_on_disk(tmp_path: Path) -> None:
    frames = crowd(8, 0)
    true = track_labels(frames)
    truth = as_truth(write_result(tmp_path / "true", frames), tmp_path / "gt")
    seen = damaged(frames, 0)
    on_disk = evaluate_tracking(write_result(tmp_path / "res", seen), truth)
    in_memory = evaluate_tracking((seen, track_labels(seen)), (frames, true))
    assert in_memory == on_disk | {"seg": None}
    assert evaluate_tracking(track(seen), truth) == on_disk
    with pytest.raises(InputError, match="tracks without their label images"):
        evaluate_tracking(true, truth)


def test_tracks_of_labels_that_are_track_ids_are_a_table_or_an_array() -> None:
    movie = simulate_movie(
        seed=2, options=MovieOptions(frames=4, size_px=96, cells=5, diameter_px=24, cycle_frames=3)
    )
    assert (movie.tracks["parent_id"] > 0).any()
    as_table = movie.labels, movie.tracks
    as_array = movie.labels, movie.tracks.to_numpy()
    scores = evaluate_tracking(as_array, as_table)
    assert scores["tra"] == scores["division_f1"] == scores["complete_tracks"] == 1
    without = movie.tracks.assign(parent_id=0)
    assert evaluate_tracking((movie.labels, without), as_table)["division_f1"] == 0
    with pytest.raises(InputError, match="the result: found 3 frames from 0, expected 4 frames"):
        evaluate_tracking((movie.labels[:3], movie.tracks), as_table)


@pytest.mark.data
def test_challenge_software_example(shared_data: Path) -> None:
    """Figures that the challenge's own programs print for these artificial images."""
    folder = shared_data / "movies/ctc_evaluation_software_test"
    scores = evaluate_tracking(folder / "03_RES", folder / "03_GT")
    assert round(scores["det"], 6) == 0.688000
    assert round(scores["tra"], 6) == 0.622980
    operations = [scores[f"aogm_{name}"] for name in ("ns", "fn", "fp", "ed", "ea", "ec")]
    assert operations == [5, 5, 3, 1, 16, 2]
