"""Fields decoded by several jobs and joined: the same slide, every molecule once."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from refusals import follow

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.decoding import stage
from cellsam_core.decoding.field import Calls
from cellsam_core.decoding.field_files import fields_of
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.decoding.seams import owned_calls
from cellsam_core.mosaic import Layout


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "merfish"
    options = cc.TissueOptions(size_px=128, cells=4, transcripts=150)
    cc.simulate_tissue(folder, seed=3, options=options, raw_rounds=True)
    return folder


@pytest.fixture(scope="module")
def batches(raw, tmp_path_factory):
    """Three batches of the four fields."""
    folders = [tmp_path_factory.mktemp("fields") / "x" / f"{k}-of-3" for k in (1, 2, 3)]
    folders = [folders[0].with_name(folder.name) for folder in folders]
    for folder in folders:
        words = ["decode-batch", str(raw), "--batch", folder.name, "-o", str(folder)]
        assert main(words) == 0
    return folders


def test_any_number_of_jobs_gives_the_same_bytes(raw, batches, tmp_path):
    cc.decode(raw, tmp_path / "one")
    words = ["join-fields", str(raw), *map(str, batches[::-1]), "-o", str(tmp_path / "joined")]
    assert main(words) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "transcripts.parquet" in names
    assert names == sorted(path.name for path in (tmp_path / "joined").iterdir())
    for name in names:
        one, joined = tmp_path / "one" / name, tmp_path / "joined" / name
        assert one.read_bytes() == joined.read_bytes(), name


def test_a_killed_job_keeps_its_finished_fields(raw, batches, tmp_path, monkeypatch):
    real, decoded = stage.decode_field, []

    def killed_at_third(raw, field, *rest):
        if len(decoded) == 2:
            raise KeyboardInterrupt
        decoded.append(field.name)
        return real(raw, field, *rest)

    monkeypatch.setattr(stage, "decode_field", killed_at_third)
    opened, output = open_raw(raw), tmp_path / "1-of-1"
    with pytest.raises(KeyboardInterrupt):
        stage.decode_batch(opened, output, DecodeOptions())
    assert not output.exists()
    decoded.clear()
    stage.decode_batch(opened, output, DecodeOptions())
    assert decoded == ["2", "3"]
    assert [path.name for path in tmp_path.iterdir()] == ["1-of-1"]
    # Fields of another option are decoded anew.
    decoded.clear()
    shutil.copytree(output, tmp_path / "1-of-1.parts")
    with pytest.raises(KeyboardInterrupt):
        stage.decode_batch(opened, output, DecodeOptions(spot_sigma_px=1.4))
    assert decoded == ["0", "1"]
    fields = fields_of(batches, 4)
    again = fields_of([output], 4)
    for one, other in zip(fields, again, strict=True):
        assert [path.read_bytes() for path in sorted(one.folder.iterdir())] == [
            path.read_bytes() for path in sorted(other.folder.iterdir())
        ]


def calls_at(yx, codeword, log_odds):
    n = len(codeword)
    return Calls(
        *np.array(yx, float).reshape(n, 2).T,
        np.zeros(n, np.int64),
        np.array(codeword, np.int32),
        np.array(log_odds, np.float32),
        np.zeros(n, np.float32),
    )


@pytest.mark.parametrize("jitter_px", [0.0, 0.3])
def test_each_molecule_of_an_overlap_is_counted_once(jitter_px):
    rng = np.random.default_rng(7)
    size, offsets = 60, np.array([[0, 0], [0, 40], [40, 0], [40, 40], [41, 79]])
    layout = Layout(offsets, (size, size))
    # 4 px apart, so that none is another's duplicate.
    grid = np.stack(np.meshgrid(np.arange(2, 98, 4), np.arange(2, 136, 4), indexing="ij"), -1)
    true = grid.reshape(-1, 2) + rng.uniform(-0.9, 0.9, size=(grid.size // 2, 2))
    word = np.arange(len(true)) % 7
    fields, members = [], []
    for offset in offsets:
        here = true - offset
        seen = np.flatnonzero(((here >= 1) & (here <= size - 2)).all(axis=1))
        at = here[seen] + rng.normal(0, jitter_px, size=(len(seen), 2))
        fields.append(calls_at(at, word[seen], rng.uniform(1, 9, size=len(seen))))
        members.append(seen)
    n_counted = np.zeros(len(true), int)
    naive = np.zeros(len(true), int)
    for number, calls in enumerate(fields):
        kept = owned_calls(layout, number, fields.__getitem__)
        odds = dict(zip(calls.log_odds.tolist(), members[number].tolist(), strict=True))
        n_counted[[odds[value] for value in kept.log_odds.tolist()]] += 1
        owned = layout.owns(number, calls.y_px, calls.x_px)
        naive[members[number][owned]] += 1
    seen = np.unique(np.concatenate(members))
    assert (n_counted[seen] == 1).all()
    assert (naive[seen] == 1).all() == (jitter_px == 0)


def test_neighbours_on_a_seam_that_differ_both_stay():
    layout = Layout(np.array([[0, 0], [0, 40]]), (60, 60))
    left = calls_at([[5, 49.2], [9, 49.3]], [1, 4], [2, 2])
    right = calls_at([[5, 9.8], [9, 13.6]], [2, 4], [3, 3])  # of another word; 4.3 px away
    fields = [left, right]
    assert [len(owned_calls(layout, i, fields.__getitem__).z) for i in (0, 1)] == [2, 2]


def test_what_can_not_be_joined_is_mended_as_told(raw, batches, tmp_path):
    def join(*folders):
        stage.join_fields(raw, open_raw(raw), folders, tmp_path / "out", DecodeOptions())

    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in batches]
    (field,) = copies[0].glob("*/field.json")
    field.write_text("{")

    def again():
        stage.decode_batch(open_raw(raw), copies[0], DecodeOptions(), (1, 3))
        join(*copies)

    follow(lambda: join(*copies), "run `decode-batch` again", then=again)
    assert not list(tmp_path.glob("*.parts"))
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(next(copies[2].glob("*/field.json")).parent)

    def anew():
        stage.decode_batch(open_raw(raw), copies[2], DecodeOptions(), (3, 3))
        join(*copies)

    follow(lambda: join(*copies), "run `decode-batch` for all batches again", then=anew)
