"""Colours and positions of fields of raw rounds: measured, put right, told."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from refusals import follow
from scipy.spatial import cKDTree

import cellsam_core as cc
from cellsam_core.cli import main, make_parser
from cellsam_core.decoding.align import read_colours, spread, write_colours
from cellsam_core.decoding.colours import (
    Colour,
    Spots,
    first_colour,
    measure_colours,
    undo_shifts,
)
from cellsam_core.decoding.field_files import fields_of
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.decoding.positions import Link, Points, refine_positions, solve
from cellsam_core.decoding.stage import decode_batch
from cellsam_core.decoding.stage_axes import check_positions
from cellsam_core.mosaic import Layout, Mosaic
from cellsam_core.simulation.options import RawRoundsOptions
from cellsam_core.simulation.rounds import mhd4_codebook, render

GENES = tuple(f"gene{i}" for i in range(110))
BLANKS = tuple(f"Blank-{i}" for i in range(30))
SIDE, PITCH = 200, 170


def slide(n_edge, error_px, density=0.006, seed=0):
    """Points that the fields of a square slide see, their layout and the errors of it."""
    rng = np.random.default_rng(seed)
    nominal = PITCH * np.stack(np.divmod(np.arange(n_edge**2), n_edge), axis=1)
    error = rng.uniform(-error_px, error_px, size=nominal.shape)
    extent = PITCH * n_edge + SIDE
    molecules = rng.uniform(-50, extent, size=(int(density * extent**2), 2))
    kind = rng.integers(len(GENES), size=len(molecules))
    points = []
    for corner in nominal + error:
        here = molecules - corner
        seen = ((here >= 0) & (here < SIDE)).all(axis=1) & (rng.random(len(here)) < 0.85)
        noise = rng.normal(0, 0.2, size=(seen.sum(), 2))
        points.append(Points(here[seen] + noise, kind[seen]))
    return points, Layout(nominal, (SIDE, SIDE)), error


def test_positions_are_refined_in_overlaps():
    points, layout, error = slide(4, 10.0)
    found = refine_positions(layout, points.__getitem__, 10.0)
    off = found.shift_yx - error
    assert np.abs(off - off.mean(axis=0)).max() < 0.3
    assert len(found.links) >= 24
    assert max(link.residual_px for link in found.links) < 0.6
    # The slide as a whole stays where the stage says.
    assert np.abs(found.shift_yx.mean(axis=0)).max() < 0.01
    unrefined = refine_positions(layout, points.__getitem__, 0.0)
    assert not unrefined.links
    assert not unrefined.shift_yx.any()


def test_a_field_that_shares_nothing_keeps_its_position():
    points, layout, error = slide(3, 5.0)
    points[4] = Points(points[4].yx, points[4].kind + 1)  # other molecules than its neighbours
    found = refine_positions(layout, points.__getitem__, 5.0)
    assert not any(4 in link[:2] for link in found.links)
    assert not found.shift_yx[4].any()
    rest = np.delete(found.shift_yx - error, 4, axis=0)
    assert np.abs(rest - rest.mean(axis=0)).max() < 0.4
    empty = [Points(np.zeros((0, 2)), np.zeros(0, np.int64))] * 9
    assert not refine_positions(layout, empty.__getitem__, 5.0).links


def test_chance_makes_no_link():
    rng = np.random.default_rng(3)
    layout = Layout(np.array([[0, 0], [0, PITCH]]), (SIDE, SIDE))
    for n_kinds in (1, 5, 100):
        points = [
            Points(rng.uniform(0, SIDE, size=(600, 2)), rng.integers(n_kinds, size=600))
            for _ in (0, 1)
        ]
        assert not refine_positions(layout, points.__getitem__, 10.0).links


def test_a_wrong_link_does_not_bend_the_rest():
    n = 16
    true = np.random.default_rng(1).uniform(-5, 5, size=(n, 2))
    pairs = [(i, j) for i in range(n) for j in (i + 1, i + 4) if j < n]
    links = [Link(i, j, true[j] - true[i], 20, 0.2) for i, j in pairs]
    links[5] = links[5]._replace(error_yx=links[5].error_yx + np.array([9.0, -7.0]), n_shared=50)
    shift, agrees = solve(n, links)
    off = shift - true
    assert np.abs(off - off.mean(axis=0)).max() < 0.1
    assert np.flatnonzero(~agrees).tolist() == [5]


def spots_of(book, colours, transform, n_molecules, seed, n_fields=1):
    """Spots of molecules whose second colour is transformed, and of noise."""
    rng = np.random.default_rng(seed)
    fields = []
    for _ in range(n_fields):
        yx = rng.uniform(-128, 128, size=(n_molecules, 2))
        gene = rng.integers(len(GENES), size=n_molecules)
        bits = []
        for bit, colour in enumerate(colours):
            lit = yx[book.bits[gene, bit] & (rng.random(n_molecules) < 0.9)]
            lit = transform(lit) if colour == "650" else lit
            noise = rng.uniform(-128, 128, size=(15, 2))
            bits.append(np.concatenate([lit + rng.normal(0, 0.2, size=lit.shape), noise]))
        fields.append(Spots(bits))
    return fields


CORNERS = np.array([(-128, -128), (-128, 128), (128, -128), (128, 128)])


@pytest.mark.parametrize("seed", range(3))
def test_a_colour_is_found_to_a_tenth_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    book = mhd4_codebook(GENES, BLANKS, rng)
    matrix, shift = np.eye(2) + rng.normal(0, 0.004, size=(2, 2)), rng.uniform(-1.3, 1.3, size=2)
    colours = ["750", "650"] * 8
    fields = spots_of(book, colours, lambda yx: yx @ matrix.T + shift, 450, seed, n_fields=2)
    found = measure_colours(fields, book, colours)
    assert list(found) == ["750", "650"]
    assert found["750"].is_identity()
    other = found["650"]
    assert other.is_aligned
    moved = CORNERS @ matrix.T + shift
    assert np.abs(CORNERS @ np.array(other.matrix).T + other.shift_yx - moved).max() < 0.1
    largest = np.hypot(*(moved - CORNERS).T).max()
    assert other.largest_shift_px((257, 257)) == pytest.approx(largest, abs=0.15)
    assert 0.2 < other.residual_px < 0.5


def test_too_few_molecules_leave_a_colour_where_it_is(caplog):
    book = mhd4_codebook(GENES, BLANKS, np.random.default_rng(0))
    colours = ["750", "650"] * 8
    for n_molecules in (0, 5):
        fields = spots_of(book, colours, lambda yx: yx + 1.5, n_molecules, 0)
        other = measure_colours(fields, book, colours)["650"]
        assert other.is_identity()
        assert not other.is_aligned
    assert "colour 650 is not aligned" in caplog.text
    assert first_colour(["b", "a", "a"]) == "a"
    assert first_colour(["b", "a"]) == "b"


def test_an_image_of_another_colour_is_brought_into_place():
    matrix, shift = np.array([[1.01, 0.002], [-0.003, 0.992]]), np.array([1.2, -0.7])
    drift = np.array([3.4, -2.2])
    yx = np.random.default_rng(2).uniform(15, 85, size=(30, 2))
    seen = (yx - 49.5) @ matrix.T + 49.5 + shift + drift
    height = np.full(len(yx), 100.0)
    image = render((100, 100), *seen.T, height, 2.5)
    colour = Colour("650", tuple(map(tuple, matrix.tolist())), tuple(shift.tolist()))
    error = undo_shifts(image, drift, colour) - render((100, 100), *yx.T, height, 2.5)
    assert np.abs(error).max() < 0.05 * image.max()  # by interpolation


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Four fields whose second colour and whose positions are off."""
    folder = tmp_path_factory.mktemp("raw") / "merfish"
    options = cc.TissueOptions(size_px=220, cells=10, transcripts=700)
    rounds = RawRoundsOptions(overlap_px=40, colour_shift_px=2.0, position_error_px=10.0)
    cc.simulate_tissue(folder, seed=5, options=options, raw_rounds=rounds)
    return folder


def recall_of(decoded, raw):
    """Share of the true molecules that are called within 2 px, wherever the slide begins."""
    table = pq.read_table(decoded / "transcripts.parquet").to_pandas()
    truth = pd.read_csv(raw / "truth" / "transcripts.csv")
    size = open_raw(raw).pixel_size_um
    called = table[["y_um", "x_um"]].to_numpy() / size
    true = truth[["y_px", "x_px"]].to_numpy()
    gene, right = table["gene"].astype(str).to_numpy(), truth["gene"].to_numpy()
    best = 0.0
    # The stage's own error shifts the slide as a whole.
    for shift in [np.median(called, axis=0) - np.median(true, axis=0), *offsets(called, true)]:
        near = cKDTree(called - shift).query_ball_point(true, 2.0)
        hit = [any(gene[i] == name for i in at) for at, name in zip(near, right, strict=True)]
        best = max(best, float(np.mean(hit)))
    return best, len(table)


def offsets(called, true):
    """Candidates for the shift between two sets of points."""
    near = cKDTree(true).query_ball_point(called - called.min(axis=0), 12.0)
    off = np.concatenate([called[i] - true[at] for i, at in enumerate(near) if at])
    counts = cKDTree(off).query_ball_point(off[::7], 0.5, return_length=True)
    return off[::7][np.argsort(-counts)[:3]]


def test_shifted_colours_and_positions_are_put_right(raw, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        cc.decode(raw, tmp_path / "right")
    assert "position of the stage" not in caplog.text
    quality = json.loads((tmp_path / "right" / "decode_qc.json").read_text())
    first, other = quality["colours"]
    assert (first["name"], other["name"]) == ("750", "650")
    assert other["is_aligned"]
    assert other["largest_shift_px"] == pytest.approx(2.0, abs=0.2)
    assert quality["stage"]["n_linked_fields"] == 4
    assert quality["stage"]["residual_px"] < 0.5
    said = np.array([field.origin_um for field in open_raw(raw).fields]) / 0.108
    true = pd.read_csv(raw / "truth" / "fields.csv")[["x_px", "y_px"]].to_numpy()
    shift = [[f["stage_shift_x_px"], f["stage_shift_y_px"]] for f in quality["fields"]]
    off = said + shift - true
    assert np.abs(off - off.mean(axis=0)).max() < 1.0  # positions are whole pixels before
    coverage = quality["coverage"]
    assert coverage["seen_um2"] < coverage["fields_um2"] <= coverage["mosaic_um2"]
    recall, n_called = recall_of(tmp_path / "right", raw)
    n_true = len(pd.read_csv(raw / "truth" / "transcripts.csv"))
    assert recall > 0.8
    assert n_called < 1.15 * n_true
    # Without the colours hardly a molecule has all its bits in one place.
    text = (raw / "dataorganization.csv").read_text()
    (raw / "dataorganization.csv").write_text(text.replace(",color", ",shade"))
    cc.decode(raw, tmp_path / "wrong", DecodeOptions(stage_error_px=0))
    (raw / "dataorganization.csv").write_text(text)
    wrong, _ = recall_of(tmp_path / "wrong", raw)
    assert wrong < recall - 0.1
    quality = json.loads((tmp_path / "wrong" / "decode_qc.json").read_text())
    assert quality["colours"] == []
    assert quality["stage"]["n_linked_fields"] == 0


def test_colours_travel_in_a_file(raw, tmp_path):
    path = tmp_path / "colours.json"
    assert main(["align-colours", str(raw), "-o", str(path)]) == 0
    colours = read_colours(path)
    write_colours(tmp_path / "again.json", colours)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    unknown = {"x": Colour("x")}
    write_colours(tmp_path / "unknown.json", unknown)
    assert np.isnan(read_colours(tmp_path / "unknown.json")["x"].residual_px)
    bad = tmp_path / "bad.json"
    bad.write_text('{"colours": [{}]}')
    follow(lambda: read_colours(bad), "make the file again", then=lambda: read_colours(path))
    opened = open_raw(raw)
    for name, options in (("1-of-2", DecodeOptions()), ("2-of-2", DecodeOptions(spot_sigma_px=1))):
        batch = int(name[0]), 2
        decode_batch(opened, tmp_path / name, options, batch, colours)
    folders = [tmp_path / "1-of-2", tmp_path / "2-of-2"]

    def anew():
        decode_batch(opened, folders[1], DecodeOptions(), (2, 2), colours)
        fields_of(folders, 4)

    follow(lambda: fields_of(folders, 4), "with the same options for all batches", then=anew)


def test_the_first_fields_of_a_slide_are_spread_over_it():
    order = spread(100)
    assert sorted(order) == list(range(100))
    assert np.diff(np.sort([*order[:10], 0, 99])).max() < 20
    assert spread(1) == [0]


def test_options_of_rounds_need_rounds(tmp_path):
    small = ["--size-px", "96", "--cells", "3", "--transcripts", "150", "--overlap-px", "16"]
    words = ["simulate", "merfish", "-o", str(tmp_path / "x"), *small]

    def run(*more: str) -> None:
        args = make_parser(["simulate"]).parse_args([*words, *more])
        args.run(args)

    follow(run, "add --raw-rounds", then=lambda: run("--raw-rounds"))
    assert any((tmp_path / "x").iterdir())


WAYS = {
    "x, -y": lambda xy: xy * [1, -1],
    "-x, y": lambda xy: xy * [-1, 1],
    "-x, -y": lambda xy: -xy,
    "y, x": lambda xy: xy[:, ::-1],
    "-y, x": lambda xy: xy[:, ::-1] * [1, -1],
}
"""What puts positions right, and how they were made wrong."""


@pytest.mark.parametrize("right", list(WAYS))
def test_the_axes_of_the_stage_are_tested_by_overlaps(raw, tmp_path, right):
    folder = tmp_path / "raw"
    shutil.copytree(raw, folder)
    positions = np.loadtxt(folder / "positions.csv", delimiter=",")

    def write(xy):
        np.savetxt(folder / "positions.csv", xy, delimiter=",")

    write(WAYS[right](positions))
    follow(
        lambda: cc.decode(folder, tmp_path / "out"),
        f"write {right} in the place of x, y",
        lambda: write(positions),
    )


def test_fields_upon_one_another_are_refused(raw, tmp_path):
    folder = tmp_path / "raw"
    shutil.copytree(raw, folder)
    positions = np.loadtxt(folder / "positions.csv", delimiter=",")
    np.savetxt(folder / "positions.csv", positions / 1000, delimiter=",")
    follow(
        lambda: cc.decode(folder, tmp_path / "out"),
        "multiply positions in mm by 1000",
        lambda: np.savetxt(folder / "positions.csv", positions, delimiter=","),
    )
    assert not list(tmp_path.glob("out.*"))


def test_a_large_slide_of_few_molecules_is_not_doubted():
    for density in (0.001, 0.003, 0.02):
        points, layout, _ = slide(5, 10.0, density=density)
        stage = Mosaic(layout.offset_yx, layout.field_shape_yx, (0.0, 0.0), 1.0)
        found = refine_positions(stage, points.__getitem__, 10.0)
        check_positions("raw", stage, points.__getitem__, 10.0, found)
