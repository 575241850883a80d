"""Spots by spotiflow: with a stand-in of its interface, and with the package where it is there."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from cellsam_core.cli import main
from cellsam_core.decoding.field import prepare_bits
from cellsam_core.decoding.registration import Drift
from cellsam_core.decoding.spotiflow import TILE_PX, open_spotiflow
from cellsam_core.decoding.spots import band_pass, find_peaks, noise_level
from cellsam_core.errors import InputError
from cellsam_core.simulation.rounds import render

MISSING = "the optional package spotiflow is not installed"
OWN_LIMIT = 0.5
BRIGHT, FAINT = (20.0, 21.0), (50.0, 30.0)


class StandIn:
    """What is called of `spotiflow.model.Spotiflow`; it is sure of spots well above the noise."""

    def __init__(self, model: str) -> None:
        self.config = SimpleNamespace(is_3d=model.endswith("3d"))

    @classmethod
    def from_folder(cls, model: str, verbose: bool) -> StandIn:
        return cls(model)

    @classmethod
    def from_pretrained(cls, model: str, verbose: bool) -> StandIn:
        if model not in ("general", "smfish_3d"):
            raise Exception(f"URL fetch failure on {model}")
        return cls(model)

    def predict(self, image, prob_thresh, n_tiles, verbose):
        assert not verbose
        assert all(side <= TILE_PX * n for side, n in zip(image.shape, n_tiles, strict=True))
        filtered = band_pass(image.astype(np.float32), 1.3)
        level = noise_level(filtered)
        row, column = find_peaks(filtered, 5 * level)
        probability = 1 - 5 * level / filtered[row, column]
        is_kept = probability >= (OWN_LIMIT if prob_thresh is None else prob_thresh)
        return np.stack([row, column], axis=1)[is_kept], SimpleNamespace(prob=probability[is_kept])


@pytest.fixture
def stand_in(monkeypatch):
    package, module = ModuleType("spotiflow"), ModuleType("spotiflow.model")
    module.Spotiflow = StandIn
    monkeypatch.setitem(sys.modules, "spotiflow", package)
    monkeypatch.setitem(sys.modules, "spotiflow.model", module)


def two_spots(shape_yx: tuple[int, int] = (64, 64)) -> np.ndarray:
    """Camera image of a bright and a faint spot."""
    rng = np.random.default_rng(3)
    y, x = np.array([BRIGHT, FAINT]).T
    light = render(shape_yx, y, x, np.array([900.0, 200.0]), 1.3)
    return np.clip(rng.normal(300, 10, shape_yx) + light, 0, 65535).astype(np.uint16)


@pytest.mark.parametrize(
    ("limit", "expected"), [(0.9, [BRIGHT]), (0.2, [BRIGHT, FAINT]), (None, [BRIGHT, FAINT])]
)
def test_spots_below_the_limit_are_dropped(stand_in, limit, expected):
    found = open_spotiflow("general", limit)(two_spots())
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[found[:, 0].argsort()], expected, atol=0.6)


def test_an_image_is_seen_in_tiles(stand_in):
    assert len(open_spotiflow("general")(two_spots((TILE_PX + 1, 64)))) >= 1
    assert open_spotiflow("general")(np.zeros((9, 3), np.uint16)).shape == (0, 2)


def test_light_away_from_the_spots_is_none(stand_in):
    still = [Drift(np.zeros(2), 0.0, 3)]
    plain = prepare_bits([two_spots()], still, 1.3)[0]
    masked = prepare_bits([two_spots()], still, 1.3, open_spotiflow("general", 0.9))[0]
    y, x = np.ogrid[:64, :64]
    is_near = np.hypot(y - BRIGHT[0], x - BRIGHT[1]) <= 2 * 1.3
    np.testing.assert_array_equal(masked[is_near], plain[is_near])
    assert not masked[~is_near].any()
    assert plain[~is_near].any()
    none = prepare_bits([two_spots()], still, 1.3, lambda image: np.zeros((0, 2)))
    assert not none.any()


def decode(raw, out, *options: str) -> int:
    return main(["decode", str(raw), *options, "-o", str(out)])


def test_raw_rounds_are_decoded_from_its_spots(stand_in, tmp_path):
    raw = tmp_path / "raw"
    size = ["--size-px", "160", "--cells", "6", "--transcripts", "250", "--seed", "2"]
    assert main(["simulate", "merfish", "--raw-rounds", "-o", str(raw), *size]) == 0
    calls = {}
    for name, options in {
        "filter": (),
        "spots": ("--spotiflow", "general", "--spotiflow-probability", "0.1"),
        "none": ("--spotiflow", "general", "--spotiflow-probability", "1"),
    }.items():
        assert decode(raw, tmp_path / name, *options) == 0
        calls[name] = len(pq.read_table(tmp_path / name / "transcripts.parquet"))
        assert json.loads((tmp_path / name / "decode_qc.json").read_text())["n_genes"] > 0
    assert 0.8 * calls["filter"] < calls["spots"] < 1.2 * calls["filter"]
    assert calls["none"] < 0.3 * calls["filter"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds") / "raw"
    size = ["--size-px", "96", "--cells", "3", "--transcripts", "150"]
    assert main(["simulate", "merfish", "--raw-rounds", "-o", str(folder), *size]) == 0
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spotiflow-probability", "0.4"), "the option without `spotiflow`"),
        (("--spotiflow", "general", "--spotiflow-probability", "1.5"), "at most 1"),
        (("--spotiflow", "smfish_3d"), "three-dimensional"),
        (("--spotiflow", "no/such"), "no model that can be opened (URL fetch failure"),
    ],
)
def test_what_can_not_be_used_is_one_sentence(stand_in, raw, tmp_path, capsys, options, message):
    assert decode(raw, tmp_path / "out", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_one_sentence(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "spotiflow", None)
    monkeypatch.setitem(sys.modules, "spotiflow.model", None)
    assert decode(raw, tmp_path / "out", "--spotiflow", "general") == 1
    assert "pip install spotiflow" in capsys.readouterr().err


def test_the_package_itself(tmp_path):
    model = pytest.importorskip("spotiflow.model", reason=MISSING)
    import torch

    torch.manual_seed(0)
    network = model.Spotiflow(model.SpotiflowModelConfig(initial_fmaps=4, levels=2))
    network.save(str(tmp_path / "model"), update_thresholds=True)
    image = two_spots((TILE_PX + 20, 90))
    counts = []
    for limit in (0.01, None, 0.999):
        found = open_spotiflow(str(tmp_path / "model"), limit)(image)
        # The flow may carry a spot a little beyond the edge.
        assert ((found > -2) & (found < np.array(image.shape) + 2)).all()
        counts.append(len(found))
    assert counts[0] >= counts[1] >= counts[2] == 0
    assert counts[0] > 0
    (tmp_path / "model" / "best.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="no model that can be opened"):
        open_spotiflow(str(tmp_path / "model"))
