"""Decoding on arrays: each step against brute force or known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from cellsam_core.decoding import mixture
from cellsam_core.decoding.calibrate import misidentification_rate, threshold_for_rate
from cellsam_core.decoding.codebook import Codebook, from_pseudocolours
from cellsam_core.decoding.field import Calls, decode_plane, drop_duplicates, prepare_bits
from cellsam_core.decoding.pixels import find_candidates, nearest_codewords
from cellsam_core.decoding.registration import find_beads, measure_drift, undo_drift
from cellsam_core.decoding.spots import band_pass, find_peaks, refine
from cellsam_core.mosaic import Mosaic
from cellsam_core.simulation.rounds import (
    RoundsSpec,
    lit_bits,
    mhd4_codebook,
    render,
    seqfish_codebook,
    simulate_rounds,
)

GENES = tuple(f"gene{i}" for i in range(50))
BLANKS = tuple(f"Blank-{i}" for i in range(20))


def book_of(*words: str) -> Codebook:
    bits = np.array([[c == "1" for c in word] for word in words])
    return Codebook(tuple(f"g{i}" for i in range(len(words))), tuple("abcdefgh"), bits)


@pytest.mark.parametrize(("weight", "distance"), [(3, 0.606), (4, 0.5176), (5, 0.459), (6, 0.417)])
def test_the_distance_of_a_missing_bit_follows_from_the_weight(weight, distance):
    word = "1" * weight + "0" * (8 - weight)
    book = book_of(word)
    assert book.correctable_distance[0] == pytest.approx(distance, abs=1e-3)
    missing = book.bits[0].astype(np.float32)
    missing[0] = 0
    found = nearest_codewords(missing[:, None], book.unit_vectors)
    assert found.distance[0] == pytest.approx(book.correctable_distance[0], abs=1e-6)


def test_codebooks_that_can_not_correct_accept_less():
    correcting, detecting = book_of("11110000", "00001111"), book_of("11110000", "11101000")
    assert (correcting.min_hamming_distance, detecting.min_hamming_distance) == (8, 2)
    assert (detecting.distance_cut < detecting.correctable_distance).all()
    assert (correcting.distance_cut > correcting.correctable_distance).all()


def test_simulated_codebooks_have_the_distances_that_correction_needs():
    rng = np.random.default_rng(0)
    merfish = mhd4_codebook(GENES, BLANKS, rng)
    assert merfish.min_hamming_distance == 4
    assert set(merfish.bits.sum(axis=1)) == {4}
    seqfish, colours = seqfish_codebook(GENES, BLANKS, rng)
    assert seqfish.min_hamming_distance >= 4
    # Any three rounds tell the feature: one may drop out.
    for left_out in range(4):
        assert len(np.unique(np.delete(colours, left_out, axis=1), axis=0)) == len(colours)


def test_pseudocolours_become_bits():
    book = from_pseudocolours(["x", "y"], np.array([[1, 3], [2, 0]]), ["round_1", "round_2"])
    assert book.bit_names == ("round_1=1", "round_1=2", "round_2=3")
    np.testing.assert_array_equal(book.bits, [[1, 0, 1], [0, 1, 0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_nearest_codewords_equal_brute_force(seed, n):
    rng = np.random.default_rng(seed)
    vectors = rng.random((16, n), dtype=np.float32)
    book = mhd4_codebook(GENES, BLANKS, rng)
    found = nearest_codewords(vectors, book.unit_vectors)
    unit = vectors / np.linalg.norm(vectors, axis=0)
    distance = np.linalg.norm(unit.T[:, None] - book.unit_vectors[None], axis=2)
    np.testing.assert_allclose(found.distance, distance.min(axis=1), atol=1e-3)
    chosen = distance[np.arange(n), found.codeword]
    np.testing.assert_allclose(chosen, distance.min(axis=1), atol=1e-5)


def test_dark_pixels_have_no_direction():
    book = book_of("1100")
    found = nearest_codewords(np.zeros((4, 3), np.float32), book.unit_vectors)
    np.testing.assert_allclose(found.distance, np.sqrt(2))
    empty = nearest_codewords(np.zeros((4, 0), np.float32), book.unit_vectors)
    assert len(empty.codeword) == 0


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.3, -5.7), (-7.25, 2.5)])
def test_drift_is_found_to_a_tenth_of_a_pixel_on_a_fixed_pattern(shift):
    rng = np.random.default_rng(1)
    beads = rng.uniform(-10, 202, size=(40, 2))
    height = np.full(len(beads), 3000.0)
    fixed = rng.normal(500, 30, size=(192, 192))  # a camera's pattern, which does not drift
    first = fixed + render((192, 192), *beads.T, height, 1.4)
    second = fixed + render((192, 192), *(beads + shift).T, height, 1.4)
    drift = measure_drift(find_beads(first), find_beads(second))
    np.testing.assert_allclose(drift.shift_yx, shift, atol=0.1)
    assert drift.residual_px < 0.15
    assert drift.n_beads >= 20
    back = undo_drift(band_pass(second.astype(np.float32), 1.4), drift.shift_yx)
    inner = np.s_[12:-12, 12:-12]
    error = back[inner] - band_pass(first.astype(np.float32), 1.4)[inner]
    assert np.abs(error).std() < 0.1 * back[inner].max()


def test_images_without_beads_in_common_have_no_residual():
    rng = np.random.default_rng(2)
    dark = rng.normal(100, 5, size=(64, 64))
    drift = measure_drift(find_beads(dark), find_beads(dark))
    assert np.isnan(drift.residual_px)
    assert drift.n_beads == 0
    for flat in (np.zeros((8, 8)), np.full((64, 64), 200)):
        assert measure_drift(find_beads(flat), find_beads(flat)).n_beads == 0


def test_spots_are_found_to_a_fraction_of_a_pixel():
    true = np.array([[10.3, 20.6], [31.0, 8.8], [40.45, 40.1]])
    image = 50 + render((50, 50), *true.T, np.full(3, 1000.0), 1.3)
    filtered = band_pass(image, 1.3)
    y, x = refine(filtered, *find_peaks(filtered, 100.0))
    found = np.stack([y, x], axis=1)
    distance, _ = cKDTree(found).query(true)
    assert len(found) == 3
    assert distance.max() < 0.1


def test_neighbours_with_different_codewords_are_both_found():
    book = book_of("11110000", "00001111")
    stack = np.zeros((8, 20, 20), dtype=np.float32)
    stack[:4, 9:12, 8:10] = 5.0
    stack[:4, 10, 8] = 6.0
    stack[4:, 9:12, 10:12] = 5.0
    stack[4:, 10, 11] = 6.0
    found = find_candidates(stack, np.full(8, 5.0, np.float32), book)
    calls = sorted(zip(found.row, found.column, found.codeword, strict=True))
    assert calls == [(10, 8, 0), (10, 11, 1)]


def test_one_wrong_bit_is_corrected_by_the_model():
    book = mhd4_codebook(GENES, BLANKS, np.random.default_rng(3))
    lit = book.bits.copy()
    for word in lit[::3]:
        word[np.flatnonzero(word)[0]] = False
    for word in lit[1::3]:
        word[np.flatnonzero(~word)[2]] = True
    values = mixture.compress(np.where(lit, 20.0, 0.3).astype(np.float32))
    scale = np.full(16, 20.0, np.float32)
    model = mixture.fit(values, book, scale)
    scores = mixture.score(values, book, model)
    np.testing.assert_array_equal(scores.codeword, np.arange(len(book.names)))
    exact = scores.log_odds[2::3]
    assert exact.min() > max(scores.log_odds[::3].max(), scores.log_odds[1::3].max())


def test_background_and_spots_of_no_codeword_have_low_odds():
    rng = np.random.default_rng(4)
    book = mhd4_codebook(GENES, BLANKS, rng)
    real = book.bits[rng.integers(len(book.names), size=300)]
    # Five lit bits of sixteen, none of which is a codeword and one more.
    strange = rng.random((200, 16)).argsort(axis=1) < 7
    lit = np.concatenate([real, np.zeros((200, 16), bool), strange])
    noise = rng.normal(0, 1, size=lit.shape)
    values = mixture.compress((lit * 15.0 * rng.lognormal(0, 0.2, lit.shape) + noise).astype("f4"))
    scale = np.full(16, 15.0, np.float32)
    scores = mixture.score(values, book, mixture.fit(values, book, scale))
    assert (scores.log_odds[:300] > 0).mean() > 0.95
    assert (scores.log_odds[300:500] < 0).all()
    assert (scores.log_odds[500:] < 0).mean() > 0.95
    assert len(mixture.score(values[:0], book, mixture.fit(values[:0], book, scale)).codeword) == 0


def test_the_threshold_is_the_loosest_that_keeps_the_rate():
    is_blank = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1], dtype=bool)
    odds = -np.arange(12.0)
    rate = misidentification_rate(is_blank, n_blanks=10, n_genes=20)
    assert rate[4] == pytest.approx((1 / 10) / (4 / 20))
    threshold = threshold_for_rate(odds, is_blank, 10, 20, 0.25)
    assert threshold == -9.0
    # The strictest rate: not one blank.
    assert threshold_for_rate(odds, is_blank, 10, 20, 1e-9) == -3.0
    # Equal odds can't be told apart: all or none.
    assert threshold_for_rate(np.zeros(12), is_blank, 10, 20, 0.25) == np.inf
    assert threshold_for_rate(odds[:0], is_blank[:0], 10, 20, 0.05) == np.inf
    without = threshold_for_rate(odds, is_blank & False, 0, 20, 0.1)
    assert 1 / (1 + np.exp(-without)) == pytest.approx(0.95)


def test_a_molecule_in_two_planes_is_one_call():
    calls = Calls(
        np.array([5.0, 5.4, 5.2, 5.0, 20.0]),
        np.array([5.0, 5.0, 6.0, 5.0, 20.0]),
        np.array([0, 1, 2, 0, 0]),
        np.array([7, 7, 7, 8, 7], dtype=np.int32),
        np.array([1.0, 3.0, 2.0, 0.5, 9.0], dtype=np.float32),
        np.zeros(5, np.float32),
    )
    kept = drop_duplicates(calls)
    # Plane 0 and 2 go for the surest in plane 1; another codeword and another place stay.
    np.testing.assert_array_equal(kept.log_odds, [3.0, 0.5, 9.0])
    assert len(drop_duplicates(calls.take(np.zeros(0, dtype=int))).codeword) == 0


@pytest.mark.parametrize(
    ("log_odds", "kept"),
    [
        ([9, 7, 5, 3], [0]),  # light that reaches four planes
        ([3, 5, 9, 7], [2]),
        ([9, 4, 3, 8], [0, 3]),  # two molecules above each other
        ([9, 1, 8, 2], [0, 2]),
    ],
)
def test_light_through_many_planes_is_one_molecule(log_odds, kept):
    n = len(log_odds)
    at = np.full(n, 5.0)
    odds = np.array(log_odds, np.float32)
    calls = Calls(at, at, np.arange(n), np.full(n, 7, np.int32), odds, np.zeros(n, np.float32))
    np.testing.assert_array_equal(drop_duplicates(calls).z, kept)


@pytest.mark.parametrize(
    ("corners_xy", "field_shape_yx"),
    [
        ([(0.0, 0.0), (7.0, 0.3), (0.2, 6.0)], (10, 10)),
        # Points of the first field that are nearer to the centre of the second, out of its sight.
        ([(0.0, 0.0), (5.0, 1.0), (30.0, 30.0)], (10, 10)),
        ([(0.0, 0.0), (8.0, 6.0)], (8, 12)),
        ([(6.0, 0.0), (0.0, 0.0)], (8, 11)),  # a column as far from one centre as from the other
        ([(0.0, 0.0)], (8, 12)),
    ],
)
def test_every_point_of_overlapping_fields_has_one_owner(corners_xy, field_shape_yx):
    mosaic = Mosaic.from_positions(corners_xy, field_shape_yx, 1.0)
    height, width = field_shape_yx
    count = np.zeros(mosaic.shape_yx, dtype=int)
    covered = np.zeros(mosaic.shape_yx, dtype=bool)
    owner = np.full(mosaic.shape_yx, -1)
    for field, (y, x) in enumerate(mosaic.offset_yx):
        owned = mosaic.owned_pixels(field)
        count[y : y + height, x : x + width] += owned
        covered[y : y + height, x : x + width] = True
        owner[y : y + height, x : x + width][owned] = field
    np.testing.assert_array_equal(count, covered.astype(int))
    assert sum(mosaic.area_um2(field) for field in range(len(corners_xy))) == covered.sum()
    y, x = np.indices(mosaic.shape_yx).reshape(2, -1).astype(float)
    field, is_inside = mosaic.locate(y, x)
    np.testing.assert_array_equal(is_inside, covered.ravel())
    np.testing.assert_array_equal(field[is_inside], owner.ravel()[is_inside])
    px = mosaic.um_to_px @ [7.0, 0.0, 1.0]
    np.testing.assert_allclose(px, [7, 0, 1])


@pytest.mark.parametrize("kind", ["merfish", "seqfish"])
def test_a_simulated_field_is_decoded_to_its_molecules(kind):
    rng = np.random.default_rng(5)
    if kind == "merfish":
        book, bits_per_round = mhd4_codebook(GENES, BLANKS, rng), 2
    else:
        (book, _), bits_per_round = seqfish_codebook(GENES, BLANKS, rng), 8
    round_of_bit = np.arange(len(book.bit_names)) // bits_per_round
    y, x = rng.uniform(10, 182, size=(2, 250))
    gene = rng.integers(len(GENES), size=250)
    spec = RoundsSpec()
    peaks = lit_bits(rng, book.bits[gene], spec)
    rounds = simulate_rounds(rng, (192, 192), (y, x, peaks), round_of_bit, spec)
    beads = [find_beads(image) for image in rounds.fiducials]
    drifts = [measure_drift(beads[0], one) for one in beads]
    stack = prepare_bits(rounds.bits, [drifts[r] for r in round_of_bit], spec.sigma_px)
    calls, model = decode_plane(stack, book)
    threshold = threshold_for_rate(
        calls.log_odds, book.is_blank[calls.codeword], len(BLANKS), len(GENES), 0.05
    )
    kept = calls.take(calls.log_odds >= threshold)
    distance, nearest = cKDTree(np.stack([kept.y_px, kept.x_px], axis=1)).query(
        np.stack([y, x], axis=1)
    )
    found = (distance < 1.5) & (kept.codeword[nearest] == gene)
    assert found.mean() > 0.85
    assert len(kept.codeword) < 1.1 * 250
    assert 0.02 < model.dropout < 0.15
    again, _ = decode_plane(stack, book)
    assert all(np.array_equal(a, b) for a, b in zip(calls, again, strict=True))


def test_an_empty_field_gives_no_confident_call():
    rng = np.random.default_rng(6)
    book = mhd4_codebook(GENES, BLANKS, rng)
    stack = rng.normal(0, 1, size=(16, 64, 64)).astype(np.float32)
    calls, _ = decode_plane(stack, book)
    threshold = threshold_for_rate(
        calls.log_odds, book.is_blank[calls.codeword], len(BLANKS), len(GENES), 0.05
    )
    assert (calls.log_odds >= threshold).sum() <= 20
    calls, _ = decode_plane(np.zeros((16, 8, 8), np.float32), book)
    assert len(calls.codeword) == 0
