"""Order of the bits: exchanged bits, rounds and images are refused with what is exchanged."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from refusals import follow

import cellsam_core as cc
from cellsam_core.decoding.bit_order import check_order, count_words, list_orders, word_spots
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.quality import words_of_chance
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.decoding.experiment import RawExperiment

ONE_FIELD = cc.RawRoundsOptions(fields_per_edge=1)
SMALL = cc.TissueOptions(size_px=256, cells=6, transcripts=600)


@pytest.fixture(scope="module")
def merfish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bits") / "raw"
    cc.simulate_tissue(folder, seed=3, options=SMALL, raw_rounds=ONE_FIELD)
    return folder


def spots(raw: RawExperiment, shown: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw a stack with 400 spots apart from each other; image i shows bit ``shown[i]``."""
    rng = np.random.default_rng(seed)
    genes = raw.codebook.bits[~raw.codebook.is_blank][:, shown]
    stack = rng.normal(size=(genes.shape[1], 120, 120)).astype(np.float32)
    y, x = (each.ravel() for each in np.mgrid[3:120:6, 3:120:6])
    words = genes[rng.integers(len(genes), size=len(y))]
    stack[:, y, x] += 20 * words.T
    return stack


def test_the_order_as_it_is_is_not_doubted(merfish: Path) -> None:
    raw = open_raw(merfish)
    orders = list_orders(raw)
    counts = count_words(spots(raw, np.arange(16)), raw.codebook, orders)
    n_spots, n_words, _ = counts[0]
    assert n_spots >= 380
    assert n_words >= 0.99 * n_spots
    gained, _, lost = counts[1:].T
    assert (gained < lost).all()
    check_order(merfish, orders, counts)
    told = word_spots(raw.codebook, counts)
    assert told["n_bits"] == 4
    assert told["share_by_chance"] == pytest.approx(40 / 1820)
    assert words_of_chance(told) == ""


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (lambda n: [*n[:2], n[6], *n[3:6], n[2], *n[7:]], "bit3 and bit7 exchanged"),
        (
            lambda n: [*n[:2], *n[8:10], *n[4:8], *n[2:4], *n[10:]],
            "imaging rounds 1 and 4 exchanged",
        ),
        (lambda n: [n[i ^ 1] for i in range(16)], "colours 650 and 750 exchanged"),
        (lambda n: sorted(n, key=lambda i: str(i + 1)), "sorted as numbers (1, 2, 10)"),
    ],
)
def test_what_is_exchanged_is_named(merfish: Path, shown: object, said: str) -> None:
    raw = open_raw(merfish)
    orders = list_orders(raw)
    stack = spots(raw, np.array(shown(list(range(16)))))  # type: ignore[operator]
    with pytest.raises(InputError, match="whose bits are those of a gene") as caught:
        check_order(merfish, orders, count_words(stack, raw.codebook, orders))
    assert said in str(caught.value)


def test_a_frequent_gene_with_a_wrong_bit_is_no_exchange(merfish: Path) -> None:
    raw = open_raw(merfish)
    orders = list_orders(raw)
    stack = spots(raw, np.arange(16))
    frequent = np.flatnonzero(raw.codebook.bits[~raw.codebook.is_blank][0])
    dark = next(bit for bit in range(16) if bit not in frequent)
    rng = np.random.default_rng(2)
    for y, x in rng.permutation(np.mgrid[3:120:6, 3:120:6].reshape(2, -1).T)[:250]:
        stack[:, y, x] = 0
        stack[[*frequent[:3], dark], y, x] = 20
    counts = count_words(stack, raw.codebook, orders)
    gained, of_one_gene, lost = counts[1:].T
    best = (gained - lost).argmax()
    assert gained[best] - lost[best] > 6 * np.sqrt(gained[best] + lost[best])
    assert of_one_gene[best] > 0.9 * gained[best]
    check_order(merfish, orders, counts)


def test_bits_that_many_genes_light_by_mistake_are_not_exchanged(merfish: Path) -> None:
    raw = open_raw(merfish)
    orders = list_orders(raw)
    counts = np.zeros((1 + len(orders), 3), dtype=np.int64)
    counts[0, :2] = 14256, 8698  # as 30 genes of 3 of 10 bits gave, a third of whose light was lost
    counts[1] = 1976, 341, 970
    check_order(merfish, orders, counts)
    counts[1] = 1976, 341, 97
    with pytest.raises(InputError, match="10577 with"):
        check_order(merfish, orders, counts)


def test_images_of_another_codebook_are_told(merfish: Path) -> None:
    raw = open_raw(merfish)
    orders = list_orders(raw)
    rng = np.random.default_rng(1)
    stack = np.zeros((16, 120, 120), dtype=np.float32)
    for y, x in np.mgrid[3:120:6, 3:120:6].reshape(2, -1).T:
        stack[rng.permutation(16)[:4], y, x] = 20
    counts = count_words(stack, raw.codebook, orders)
    check_order(merfish, orders, counts)  # no order is better than by chance
    assert "is not that of these images" in words_of_chance(word_spots(raw.codebook, counts))


def test_decoding_refuses_exchanged_bits_and_takes_the_corrected_table(
    merfish: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(merfish, tmp_path / "raw")
    table = folder / "dataorganization.csv"
    right = pd.read_csv(table, dtype=str)
    where = ["imagingRound", "frame", "color", "fiducialImagingRound", "fiducialFrame"]
    wrong = right.copy()
    wrong.loc[[2, 6], where] = right.loc[[6, 2], where].to_numpy()
    wrong.to_csv(table, index=False)
    with pytest.raises(InputError, match="bit3 and bit7 exchanged"):
        cc.decode(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    def corrected() -> object:
        right.to_csv(table, index=False)
        return cc.decode(folder, tmp_path / "out")

    follow(
        lambda: cc.decode(folder, tmp_path / "out"),
        "correct the table of the rounds",
        then=corrected,
    )
    told = json.loads((tmp_path / "out/decode_qc.json").read_text())["word_spots"]
    assert told["n_words"] > 0.8 * told["n_spots"] > 100


def test_two_bits_with_one_image_are_refused(merfish: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(merfish, tmp_path / "raw")
    table = folder / "dataorganization.csv"
    right = pd.read_csv(table, dtype=str)
    wrong = right.copy()
    where = ["imagingRound", "frame", "fiducialImagingRound"]
    wrong.loc[6, where] = right.loc[4, where]
    wrong.to_csv(table, index=False)
    with pytest.raises(InputError, match="the same image for bit7, in page 0, as for bit5"):
        cc.decode(folder, tmp_path / "out")
    right.to_csv(table, index=False)
    # A round that was copied from another one.
    whole = shutil.copy(folder / "merfish_0_3.tif", tmp_path / "whole.tif")
    shutil.copy(folder / "merfish_0_2.tif", folder / "merfish_0_3.tif")

    def exported_again() -> object:
        shutil.copy(whole, folder / "merfish_0_3.tif")
        return cc.decode(folder, tmp_path / "out")

    follow(
        lambda: cc.decode(folder, tmp_path / "out"),
        "export the images of the round again",
        then=exported_again,
    )


def test_exchanged_imaging_rounds_of_pseudocolours_are_named(tmp_path: Path) -> None:
    cc.simulate_tissue(
        tmp_path / "raw", kind="seqfish", seed=3, options=SMALL, raw_rounds=ONE_FIELD
    )
    raw = open_raw(tmp_path / "raw")
    orders = list_orders(raw)
    shown = np.arange(len(raw.round_of_bit))
    one, two = ([i for i in shown if raw.round_of_bit[i] == n] for n in (2, 7))
    shown[[*one, *two]] = [*two, *one]
    counts = count_words(spots(raw, shown), raw.codebook, orders)
    with pytest.raises(InputError, match="the imaging rounds 2 and 7 exchanged"):
        check_order(tmp_path, orders, counts)
