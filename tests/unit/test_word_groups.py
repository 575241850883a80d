"""Words of another number of bits are decoded apart, and vouched for by blanks of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from cellsam_core.assignment.anndata import cell_anndata
from cellsam_core.assignment.assigned import assign_transcripts
from cellsam_core.assignment.label_cells import LabelCells
from cellsam_core.decoding.codebook import Codebook
from cellsam_core.decoding.decoded import DecodedWriter
from cellsam_core.decoding.field import Calls, decode_plane, prepare_bits
from cellsam_core.decoding.registration import find_beads, measure_drift
from cellsam_core.decoding.singles import find_singles
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.mosaic import Mosaic
from cellsam_core.reporting.sections.decoding import _by_bits, _not_measured
from cellsam_core.samples.placement import place_in_um
from cellsam_core.simulation.rounds import RoundsSpec, lit_bits, mhd4_codebook, simulate_rounds

GENES = tuple(f"gene{i}" for i in range(40))
BLANKS = tuple(f"Blank-{i}" for i in range(20))
SIZE_PX = 192


def widened(book: Codebook, **words: tuple[int, ...]) -> Codebook:
    """Add genes whose words are the bits of these numbers, from 0."""
    n_bits = max([len(book.bit_names) - 1, *(bit for word in words.values() for bit in word)]) + 1
    bits = np.zeros((len(book.names) + len(words), n_bits), bool)
    bits[: len(book.names), : len(book.bit_names)] = book.bits
    for row, word in enumerate(words.values(), start=len(book.names)):
        bits[row, list(word)] = True
    return Codebook((*book.names, *words), tuple(f"bit{i + 1}" for i in range(n_bits)), bits)


class Field(NamedTuple):
    """A simulated field: the true places and words, and its images."""

    y: np.ndarray
    x: np.ndarray
    word: np.ndarray
    stack: np.ndarray


def simulate(book: Codebook, counts: dict[str, int], seed: int = 5) -> Field:
    """Draw so many molecules of each kind of gene: by its whole name, or by its beginning."""
    rng = np.random.default_rng(seed)
    words = []
    for name, n in counts.items():
        of_kind = [i for i, other in enumerate(book.names) if other.rstrip("0123456789") == name]
        words.append(rng.choice(of_kind or [book.names.index(name)], n))
    word = np.concatenate(words)
    y, x = rng.uniform(10, SIZE_PX - 10, size=(2, len(word)))
    spec = RoundsSpec()
    round_of_bit = np.arange(len(book.bit_names)) // 2
    peaks = lit_bits(rng, book.bits[word], spec)
    rounds = simulate_rounds(rng, (SIZE_PX, SIZE_PX), (y, x, peaks), round_of_bit, spec)
    beads = [find_beads(image) for image in rounds.fiducials]
    drifts = [measure_drift(beads[0], one) for one in beads]
    return Field(
        y, x, word, prepare_bits(rounds.bits, [drifts[r] for r in round_of_bit], spec.sigma_px)
    )


def recall_and_precision(
    field: Field, calls: Calls, word: int, least: float
) -> tuple[float, float]:
    kept = calls.take((calls.codeword == word) & (calls.log_odds >= least))
    of_word = field.word == word
    true = np.stack([field.y[of_word], field.x[of_word]], axis=1)
    found = np.stack([kept.y_px, kept.x_px], axis=1)
    recall = (cKDTree(found).query(true)[0] < 1.5).mean()
    return float(recall), float((cKDTree(true).query(found)[0] < 1.5).mean())


SURE = float(np.log(0.95 / 0.05))


@pytest.fixture(scope="module")
def merfish() -> Codebook:
    return mhd4_codebook(GENES, BLANKS, np.random.default_rng(0))


@pytest.fixture(scope="module")
def mixed(merfish) -> tuple[Codebook, Field]:
    book = widened(merfish, SM1=(16,), SM2=(17,), pair=(18, 19))
    return book, simulate(book, {"gene": 300, "SM1": 60, "SM2": 60, "pair": 60})


def test_groups_look_at_the_bits_that_their_words_use(merfish):
    book = widened(merfish, SM1=(16,), SM2=(17,), pair=(18, 19))
    groups = book.by_weight()
    assert [group.weight for group in groups] == [4, 2, 1]
    assert [group.bits.tolist() for group in groups] == [[*range(16)], [*range(20)], [16, 17]]
    assert [len(group.words) for group in groups] == [60, 1, 2]
    assert groups[2].codebook.names == ("SM1", "SM2")
    (whole,) = merfish.by_weight()
    assert whole.codebook.names == merfish.names
    np.testing.assert_array_equal(whole.codebook.bits, merfish.bits)


def test_other_words_change_nothing_of_merfish(merfish, mixed):
    book, field = mixed
    calls, model = decode_plane(field.stack, book)
    alone, model_alone = decode_plane(field.stack[:16], merfish)
    four = calls.take(book.weight[calls.codeword] == 4)
    for column, other in zip(four, alone, strict=True):
        np.testing.assert_array_equal(column, other)
    assert model.dropout == model_alone.dropout


def test_genes_of_one_and_two_bits_are_found(mixed):
    book, field = mixed
    calls, _ = decode_plane(field.stack, book)
    for name, least in (("SM1", 0.8), ("SM2", 0.8), ("pair", 0.6)):
        recall, precision = recall_and_precision(field, calls, book.names.index(name), SURE)
        assert recall > least, name
        assert precision > 0.8, name  # other molecules light a bit too many now and then


def test_single_bits_alone_decode_as_smfish():
    book = Codebook(("SM1", "SM2"), ("bit1", "bit2"), np.eye(2, dtype=bool))
    field = simulate(book, {"SM1": 80, "SM2": 80}, seed=7)
    calls, model = decode_plane(field.stack, book)
    for word in (0, 1):
        recall, precision = recall_and_precision(field, calls, word, SURE)
        assert min(recall, precision) > 0.8
    assert np.isnan(model.dropout)


def test_bits_of_a_molecule_are_no_molecules_of_their_own(merfish):
    # SM shares its bit with a quarter of the words of four bits.
    book = widened(merfish, SM=(0,), pair=(0, 1))
    field = simulate(book, {"gene": 300})
    calls, _ = decode_plane(field.stack, book)
    n_lit = int(book.bits[field.word, 0].sum())
    assert n_lit > 50
    sure = calls.codeword[calls.log_odds >= SURE]
    assert (sure == book.names.index("SM")).sum() < 0.35 * n_lit
    assert (sure == book.names.index("pair")).sum() < 0.1 * n_lit


def test_noise_has_no_spots():
    rng = np.random.default_rng(0)
    found = find_singles(rng.normal(0, 1, (200, 200)).astype(np.float32))
    assert (found.log_odds >= SURE).sum() == 0
    assert len(find_singles(np.zeros((20, 20), np.float32)).y_px) == 0
    # Where a detector has left only spots there is no noise to compare with.
    image = np.zeros((50, 50), np.float32)
    image[10::15, 10::15] = 20
    found = find_singles(image)
    assert len(found.y_px) == 9
    assert (found.log_odds >= SURE).all()


def decoded(folder: Path, book: Codebook, field: Field) -> dict[str, Any]:
    mosaic = Mosaic.from_positions([(0.0, 0.0)], (SIZE_PX, SIZE_PX), 0.1)
    root = folder / "decoded"
    root.mkdir(parents=True)
    with DecodedWriter(root, book, mosaic) as writer:
        calls, _ = decode_plane(field.stack, book)
        n = writer.add_calls(0, "0", calls)
        seen_px = [0.0, SIZE_PX - 1.0, 0.0, SIZE_PX - 1.0]
        writer.fields.append({"field": "0", "n_candidates": n, "rounds": [], "seen_px": seen_px})
        writer.finish(0.05, {"colours": [], "stage": {}})
    return json.loads((folder / "decoded/decode_qc.json").read_text())


def test_each_group_has_a_rate_of_its_own_or_none(merfish, mixed, tmp_path, caplog):
    book, field = mixed
    quality = decoded(tmp_path, book, field)
    four, two, one = quality["words"]
    assert [group["n_bits"] for group in (four, two, one)] == [4, 2, 1]
    assert four["misidentification_rate"] <= 0.05
    assert (two["misidentification_rate"], one["misidentification_rate"]) == (None, None)
    assert quality["misidentification_rate"] == four["misidentification_rate"]
    assert (quality["n_genes"], quality["n_measured_genes"]) == (43, 40)
    assert quality["n_gene_calls"] == sum(group["n_gene_calls"] for group in quality["words"])
    assert one["log_odds_threshold"] == pytest.approx(SURE)
    assert "the error rate of 2 words with 1 lit bit is not measured" in caplog.text
    table = pd.read_parquet(tmp_path / "decoded/transcripts.parquet")
    assert len(table) == quality["n_gene_calls"] + quality["n_blank_calls"]
    assert quality["fields"][0]["n_gene_calls"] == quality["n_gene_calls"]
    alone = decoded(tmp_path / "alone", merfish, field._replace(stack=field.stack[:16]))
    assert alone["n_gene_calls"] == four["n_gene_calls"]
    assert alone["log_odds_threshold"] == four["log_odds_threshold"]
    # What the report says of it.
    assert len(_not_measured(quality["words"])) == 2
    assert [row[-1] for row in _by_bits(quality["words"]).rows][1:] == ["not measured"] * 2
    assert _not_measured(alone["words"]) == []


def test_the_codebook_goes_with_the_transcripts(mixed, tmp_path):
    book, field = mixed
    decoded(tmp_path, book, field)
    codebook = tmp_path / "decoded/codebook.csv"
    table = pd.read_csv(codebook).set_index("name")
    assert table["feature_type"].value_counts().to_dict() == {"gene": 43, "blank": 20}
    assert table["blanks_measure"][["gene1", "Blank-1", "SM1", "pair"]].tolist() == [1, 1, 0, 0]
    source = place_in_um(tmp_path / "decoded/transcripts.parquet")
    labels = LabelArray(np.ones((SIZE_PX, SIZE_PX), np.uint8))
    cells = LabelCells(labels, measure_cells(labels), np.diag([10.0, 10.0, 1.0]))
    done = assign_transcripts(source, cells, tmp_path / "out.parquet", panel=[codebook])
    found = cell_anndata("s", done)
    assert found.n_vars == 43
    assert found.obsm["controls"].shape == (1, 20)
    share = found.var["expected_false_share"]
    assert share[["SM1", "SM2", "pair"]].isna().all()
    assert share.drop(["SM1", "SM2", "pair"]).notna().all()
    counts = done.features.set_index("name")["n_transcripts"]
    blanks, genes = counts[list(BLANKS)].mean(), counts[list(GENES)].mean()
    assert done.quality["misidentification_rate"] == pytest.approx(blanks / genes)
