"""``cellsam_core.decode``: its result and its refusals."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from declared_outputs import faults_of
from scipy.spatial import cKDTree

import cellsam_core as cc
from cellsam_core.errors import InputError


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "seqfish"
    options = cc.TissueOptions(size_px=160, cells=6, transcripts=250)
    cc.simulate_tissue(folder, kind="seqfish", seed=2, options=options, raw_rounds=True)
    return folder


def test_the_summary_is_that_of_the_folder(raw, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="cellsam_core"):
        decoded = cc.decode(str(raw), str(tmp_path / "0_decoded"))
    assert decoded.folder == tmp_path / "0_decoded"
    quality = json.loads((decoded.folder / "decode_qc.json").read_text())
    assert decoded.summary.items() <= quality.items()
    n_calls = decoded.summary["n_gene_calls"] + decoded.summary["n_blank_calls"]
    assert pq.read_table(decoded.folder / "transcripts.parquet").num_rows == n_calls > 0
    assert faults_of(tmp_path) == []
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"field {i} of 4: {field['n_candidates']} candidates"
        for i, field in enumerate(quality["fields"], start=1)
    ]


def test_planes_are_decoded_each_and_a_molecule_is_counted_once(tmp_path):
    tissue = cc.TissueOptions(size_px=128, cells=5, transcripts=200)
    rounds = cc.RawRoundsOptions(fields_per_edge=1, resolve_z=True)
    cc.simulate_tissue(tmp_path / "raw", seed=4, options=tissue, raw_rounds=rounds)
    # The blanks of so few molecules would allow next to none at 5 %.
    options = cc.DecodeOptions(misidentification_rate=0.2)
    cc.decode(tmp_path / "raw", tmp_path / "out", options)
    called = pq.read_table(tmp_path / "out" / "transcripts.parquet").to_pandas()
    truth = pd.read_csv(tmp_path / "raw" / "truth" / "transcripts.csv")
    assert set(called["z"]) == {0, 1, 2}
    assert len(called) < 1.15 * len(truth)
    at = (called[["x_um", "y_um"]].to_numpy() - [120.0, -45.0]) / 0.108
    near = cKDTree(at).query_ball_point(truth[["x_px", "y_px"]].to_numpy(), 1.5)
    gene, z = called["gene"].astype(str).to_numpy(), called["z"].to_numpy()
    rows = zip(near, truth["gene"], truth["z"], strict=True)
    planes = [[z[i] == plane for i in at if gene[i] == name] for at, name, plane in rows]
    found = [any(right) for right in planes if right]
    assert len(found) > 0.75 * len(truth)
    assert np.mean(found) > 0.85
    assert sum(len(right) > 1 for right in planes) < 0.02 * len(truth)


def test_a_higher_rate_keeps_more_calls(raw, tmp_path):
    counts = [
        cc.decode(raw, tmp_path / str(rate), cc.DecodeOptions(misidentification_rate=rate)).summary
        for rate in (0.01, 1.0)
    ]
    assert counts[0]["n_gene_calls"] < counts[1]["n_gene_calls"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pixel_size_um": -1.0}, "option `pixel_size_um`: found -1.0, expected a number above 0"),
        ({"format": "merlin"}, "found 0 files for the data organization"),
    ],
)
def test_what_does_not_fit_leaves_nothing(raw, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        cc.decode(raw, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
