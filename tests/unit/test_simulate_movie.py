"""Simulated movies: truth agrees with itself and with the images."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.measure import label as components

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.simulation.movie import CHANNELS
from cellsam_core.simulation.options import MovieOptions
from cellsam_core.simulation.population import Population
from cellsam_core.simulation.stage import simulate_movie

OPTIONS = ["--frames", "8", "--size-px", "160", "--cells", "8", "--cycle-frames", "8"]
DRUG_FRAME = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("movie") / "m"
    command = ["simulate", "movie", "-o", str(out), "--seed", "3", *OPTIONS]
    assert main([*command, "--drug-frame", str(DRUG_FRAME)]) == 0
    return out


def labels_of(folder):
    return np.stack([tifffile.imread(p) for p in sorted((folder / "truth").glob("man_*.tif"))])


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["movie", "merfish", "seqfish"])
def test_same_seed_same_bytes(tmp_path, kind):
    size = ["--size-px", "96", "--cells", "4"]
    size += ["--frames", "2"] if kind == "movie" else ["--transcripts", "200", "--z-planes", "1"]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["simulate", kind, "-o", str(tmp_path / name), "--seed", seed, *size]) == 0
    a, b, c = (contents(tmp_path / n) for n in "abc")
    assert a == b
    assert a != c


def test_images_are_16_bit_with_scale_and_interval(folder):
    for channel in CHANNELS:
        files = sorted((folder / "images" / channel).glob("*.tif"))
        assert [f.name for f in files] == [f"t{i:03d}.tif" for i in range(8)]
        with tifffile.TiffFile(files[0]) as tiff:
            image = tiff.asarray()
            assert image.shape == (160, 160)
            assert image.dtype == np.uint16
            assert 100 < np.median(image) < image.max() < 60000
            assert tiff.imagej_metadata["finterval"] == 300
            assert tiff.imagej_metadata["unit"] == "um"
            x_resolution = tiff.pages[0].tags["XResolution"].value
            assert x_resolution[1] / x_resolution[0] == pytest.approx(0.65, rel=1e-4)
            assert "DateTime" not in tiff.pages[0].tags


def test_reader_accepts_the_folder(folder):
    manifest = inspect_movie(folder / "images", sample="s", assay="movie")
    assert sorted(manifest.channels) == sorted(CHANNELS)
    assert manifest.n_frames == 8
    assert manifest.shape_yx == (160, 160)
    assert manifest.pixel_size_um == pytest.approx(0.65, rel=1e-4)
    assert manifest.frame_interval_s == 300


def test_man_track_agrees_with_label_images(folder):
    labels = labels_of(folder)
    tracks = np.loadtxt(folder / "truth" / "man_track.txt", dtype=int, ndmin=2)
    present = {t: set(np.unique(frame)) - {0} for t, frame in enumerate(labels)}
    assert set(tracks[:, 0]) == set().union(*present.values())
    begin, end = {}, {}
    for track, first, last, _ in tracks:
        frames = [t for t, ids in present.items() if track in ids]
        assert frames == list(range(first, last + 1))  # no gaps
        begin[track], end[track] = first, last
    for track, first, _, parent in tracks:
        assert parent == 0 or (end[parent] == first - 1 and begin[track] == first)
    for frame in labels:
        assert components(frame, connectivity=1).max() == len(np.unique(frame)) - 1


def test_mitosis_conserves_area_and_place(folder):
    labels = labels_of(folder)
    divisions = pd.read_csv(folder / "truth" / "divisions.csv")
    assert len(divisions) >= 3
    tracks = np.loadtxt(folder / "truth" / "man_track.txt", dtype=int, ndmin=2)
    parent_of = dict(tracks[:, [0, 3]].tolist())
    for event in divisions.itertuples():
        daughters = [int(d) for d in event.daughter_ids.split(";")]
        assert [parent_of[d] for d in daughters] == [event.parent_id] * 2
        before, after = labels[event.frame - 1], labels[event.frame]
        areas = [(after == d).sum() for d in daughters]
        assert sum(areas) == pytest.approx((before == event.parent_id).sum(), rel=0.25)
        assert min(areas) > 0.6 * max(areas)
        mother, first, second = (
            np.argwhere(image == i).mean(axis=0)
            for image, i in ((before, event.parent_id), *((after, d) for d in daughters))
        )
        # On opposite sides of where the mother was.
        assert (first - mother) @ (second - mother) < 0


def test_ratio_measured_with_true_labels_follows_the_truth(folder):
    labels = labels_of(folder)
    truth = pd.read_csv(folder / "truth" / "traces_truth.csv")
    assert len(truth) == sum(len(np.unique(f)) - 1 for f in labels)
    images = {
        c: [tifffile.imread(p) for p in sorted((folder / "images" / c).glob("*"))]
        for c in ("AMPKAR_480", "AMPKAR_405")
    }
    error = []
    for row in truth.itertuples():
        inside = labels[row.frame] == row.track_id
        assert inside.sum() == row.area_px
        signal = {
            c: stack[row.frame][inside].mean() - np.median(stack[row.frame][labels[row.frame] == 0])
            for c, stack in images.items()
        }
        error.append(signal["AMPKAR_480"] / signal["AMPKAR_405"] / row.ratio - 1)
    assert abs(np.median(error)) < 0.05
    assert np.quantile(np.abs(error), 0.9) < 0.15
    mean = truth.groupby("frame").ratio.mean()
    assert mean[: DRUG_FRAME - 1].std() < 0.05
    assert mean.iloc[-1] > 1.3 * mean[:DRUG_FRAME].mean()


def test_buds_grow_from_mothers_that_keep_their_id():
    options = MovieOptions(frames=14, size_px=200, cells=6, division="budding", cycle_frames=8)
    frames = list(simulate_movie(options=options).frames())
    births = [d for f in frames for d in f.divisions]
    assert births
    for birth in births:
        assert birth.kind == "bud"
        (bud,) = birth.daughter_ids
        before, after = frames[birth.frame - 1].labels, frames[birth.frame].labels
        assert not (before == bud).any()
        bud_area, mother_area = ((after == i).sum() for i in (bud, birth.parent_id))
        assert 0 < bud_area < 0.5 * mother_area
        apart = np.argwhere(after == bud).mean(axis=0)
        apart -= np.argwhere(after == birth.parent_id).mean(axis=0)
        # Touching: centres as far apart as the two radii.
        radii = (np.sqrt(bud_area) + np.sqrt(mother_area)) / np.sqrt(np.pi)
        assert np.hypot(*apart) < 1.25 * radii
        areas = [(f.labels == bud).sum() for f in frames[birth.frame :] if (f.labels == bud).any()]
        assert all(b > 0.85 * a for a, b in pairwise(areas))


def test_cli_writes_no_parent_for_a_bud(tmp_path):
    out = tmp_path / "yeast"
    options = ["--division", "budding", "--cycle-frames", "5", "--frames", "8", "--cells", "5"]
    assert main(["simulate", "movie", "-o", str(out), "--size-px", "160", *options]) == 0
    divisions = pd.read_csv(out / "truth" / "divisions.csv")
    assert len(divisions) > 0
    assert set(divisions.kind) == {"bud"}
    tracks = np.loadtxt(out / "truth" / "man_track.txt", dtype=int, ndmin=2)
    assert not tracks[:, 3].any()
    assert set(divisions.daughter_ids) <= set(tracks[:, 0])


def test_no_division_keeps_the_cells():
    options = MovieOptions(frames=5, size_px=160, cells=5, division="none", cycle_frames=3)
    frames = list(simulate_movie(options=options).frames())
    assert not any(f.divisions for f in frames)
    assert {c.track_id for c in frames[-1].cells} <= {c.track_id for c in frames[0].cells}


def test_several_generations():
    rng = np.random.default_rng(1)
    population = Population(
        rng, (400, 400), n_cells=3, diameter_px=30, cycle_frames=5, division="mitosis"
    )
    generation = {c.track_id: 0 for c in population.cells}
    for _ in range(20):
        population.advance()
    for birth in population.divisions:
        generation |= dict.fromkeys(birth.daughter_ids, generation[birth.parent_id] + 1)
    assert max(generation.values()) >= 3


def test_movie_without_cells_is_valid(tmp_path):
    out = tmp_path / "empty"
    options = ["--cells", "0", "--frames", "1", "--size-px", "64"]
    assert main(["simulate", "movie", "-o", str(out), *options]) == 0
    assert not labels_of(out).any()
    assert (out / "truth" / "man_track.txt").read_text() == ""
    assert len(pd.read_csv(out / "truth" / "traces_truth.csv")) == 0


@pytest.mark.parametrize("option", ["--frames", "--cycle-frames", "--size-px", "--diameter-px"])
def test_impossible_numbers_are_refused(tmp_path, capsys, option):
    assert main(["simulate", "movie", "-o", str(tmp_path / "x"), option, "0"]) == 1
    name = option.removeprefix("--").replace("-", "_")
    assert f"option `{name}`: found 0" in capsys.readouterr().err.replace("found 0.0", "found 0")
    assert not list(tmp_path.iterdir())


def test_other_peoples_folders_are_not_replaced(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t000.tif").write_bytes(b"precious")
    assert main(["simulate", "movie", "-o", str(tmp_path / "data")]) == 1
    assert "choose another output" in capsys.readouterr().err
    assert (tmp_path / "data" / "t000.tif").read_bytes() == b"precious"


SMALL = MovieOptions(frames=3, size_px=96, cells=4, diameter_px=24, cycle_frames=3)


def test_arrays_in_memory_are_what_the_folder_holds(tmp_path):
    movie = simulate_movie(tmp_path / "m", seed=5, options=SMALL)
    assert movie.images.shape == (3, 3, 96, 96)
    assert movie.images.dtype == np.uint16
    for index, channel in enumerate(movie.channels):
        files = sorted((tmp_path / "m" / "images" / channel).glob("*.tif"))
        np.testing.assert_array_equal(movie.images[:, index], [tifffile.imread(f) for f in files])
    np.testing.assert_array_equal(movie.labels, labels_of(tmp_path / "m"))
    assert movie.nucleus_labels.max() <= movie.labels.max()
    truth = tmp_path / "m" / "truth"
    assert movie.tracks.to_numpy().tolist() == np.loadtxt(truth / "man_track.txt", int).tolist()
    pd.testing.assert_frame_equal(movie.divisions, pd.read_csv(truth / "divisions.csv"))
    traces = movie.traces.reset_index(drop=True)
    pd.testing.assert_frame_equal(traces, pd.read_csv(truth / "traces_truth.csv"), atol=1e-6)


def test_a_movie_that_is_only_written_is_not_held_in_memory(tmp_path):
    movie = simulate_movie(tmp_path / "m", seed=5, options=SMALL)
    assert "_stacks" not in vars(movie)
    before = contents(tmp_path / "m")
    movie.write(tmp_path / "m")
    assert contents(tmp_path / "m") == before


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="option `seed`: found -1"):
        simulate_movie(seed=-1)
