"""Models of other packages as weights: stand-ins that are called as the packages are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.labels.source import open_labels
from cellsam_core.models import backend_of, clahe_clip_limit_of, is_published
from cellsam_core.reporting.sections.methods import licence_words
from cellsam_core.segmentation.backends import contract
from cellsam_core.segmentation.backends import models as backends
from cellsam_core.segmentation.batches import segment_batch, stitch
from cellsam_core.segmentation.image import open_frames
from cellsam_core.training.options import FinetuneOptions
from cellsam_core.training.stage import finetune

DIAMETER_PX = 16.0
OPTIONS = cc.SegmentOptions(cell_diameter_px=DIAMETER_PX, tile_px=256, min_area_px=5)


def bright_pieces(plane: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.label(plane > 0.5)[0], np.int32)


def install(monkeypatch: pytest.MonkeyPatch, version: str, **modules: object) -> None:
    """Put stand-in modules in the place of a package; double underscores stand for dots."""
    for name, content in modules.items():
        module = ModuleType(name.replace("__", "."))
        module.__dict__.update(vars(content))
        module.__spec__ = importlib.util.spec_from_loader(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(contract, "version", lambda name: version)


@pytest.fixture
def cellpose3(monkeypatch, tmp_path):
    """Cellpose 3: two channels, named ones; its default model must never be taken silently."""

    class CellposeModel:
        def __init__(
            self,
            gpu=False,
            pretrained_model=False,
            model_type=None,
            mkldnn=True,
            diam_mean=30.0,
            device=None,
            nchan=2,
            pretrained_model_ortho=None,
            backbone="default",
        ):
            assert Path(pretrained_model).read_bytes() == b"network"

        def eval(
            self,
            x,
            batch_size=8,
            resample=True,
            channels=None,
            channel_axis=None,
            z_axis=None,
            normalize=True,
            diameter=None,
            flow_threshold=0.4,
            cellprob_threshold=0.0,
            min_size=15,
        ):
            assert normalize is False
            assert x.shape[-1] == 2
            assert channel_axis == -1
            assert diameter == DIAMETER_PX
            seen.append(channels)
            labels = bright_pieces(x[..., 0])
            return labels, [None, None, np.where(labels > 0, 2.0, -2.0)], np.zeros(256)

    def model_path(model_type, model_index=0):
        if model_type == "livecell_cp3":
            raise OSError("no route to the host")
        path = tmp_path / "models" / f"{model_type}torch_{model_index}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"network")
        return str(path)

    seen: list[list[int]] = []
    models = SimpleNamespace(
        CellposeModel=CellposeModel,
        MODEL_NAMES=["cyto3", "nuclei", "livecell_cp3"],
        MODEL_DIR=tmp_path / "models",
        get_user_models=list,
        model_path=model_path,
    )
    install(monkeypatch, "3.1.1", cellpose=SimpleNamespace(), cellpose__models=models)
    return seen


def scene(seed: int = 0, shape: tuple[int, int] = (300, 340)) -> tuple[np.ndarray, np.ndarray]:
    """Image ``(2, y, x)`` of round cells with nuclei, and the labels of the cells."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    nuclei = np.zeros(shape, bool)
    for row in range(12, shape[0] - 8, 22):
        for column in range(12, shape[1] - 8, 22):
            cy, cx = row + rng.uniform(-2, 2), column + rng.uniform(-2, 2)
            labels[np.hypot(y - cy, x - cx) < DIAMETER_PX / 2] = labels.max() + 1
            nuclei |= np.hypot(y - cy, x - cx) < DIAMETER_PX / 4
    stains = np.stack([nuclei, labels > 0]) * 900 + rng.integers(90, 110, (2, *shape))
    return stains.astype(np.uint16), labels


def frames_of(stains: np.ndarray, path: Path | None = None):
    names = ["DAPI", "cell"][-len(stains) :] if len(stains) == 2 else ["cell"]
    return cc.preprocess(stains, path, channels=names, pixel_size_um=0.5)


def test_weights_name_a_package_and_its_model(tmp_path):
    assert backend_of("cellpose:cyto3") == ("cellpose", "cyto3")
    assert backend_of("instanseg:/x/y.pt") == ("instanseg", "/x/y.pt")
    assert backend_of("tiny") is None
    assert backend_of(r"C:\weights.pt") is None
    # The published CellSAM is a .pt file, too, and needs another contrast.
    assert not is_published("instanseg:/x/y.pt")
    assert clahe_clip_limit_of("instanseg:/x/y.pt", "official") == 0


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("cellsam_core.models.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no package stardist .*cellsam-core\[stardist\]"):
        cc.load_model("stardist:2D_versatile_fluo", device="cpu")


def test_a_model_that_is_not_there_is_fetched_by_one_command(cellpose3, capsys):
    with pytest.raises(InputError, match="weights fetch cellpose:cyto3"):
        cc.load_model("cellpose:cyto3", device="cpu")
    with pytest.raises(InputError, match=r"no model of this name in Cellpose.*cyto3, nuclei"):
        cc.load_model("cellpose:cyto33", device="cpu")
    with pytest.raises(InputError, match="name the model"):
        cc.load_model("cellpose:", device="cpu")
    assert main(["weights", "fetch", "cellpose:livecell_cp3"]) == 1
    assert "no route to the host" in capsys.readouterr().err
    assert main(["weights", "fetch", "cellpose:cyto33"]) == 1
    capsys.readouterr()
    assert main(["weights", "fetch", "cellpose:cyto3"]) == 0
    assert '"licence": "of the authors of Cellpose' in capsys.readouterr().out
    assert cc.load_model("cellpose:cyto3", device="cpu").weights.name == "cellpose:cyto3"


def test_cellpose_sees_the_cell_and_then_the_nucleus(cellpose3):
    backends.fetch("cellpose:cyto3")
    model = cc.load_model("cellpose:cyto3", device="cpu")
    stains, truth = scene()
    labels, cells = cc.segment(stains, model, OPTIONS, channels=["DAPI", "cell"])
    assert cc.evaluate_segmentation(labels, truth)["f1_50"] > 0.99
    np.testing.assert_allclose(cells["score"], 1 / (1 + np.exp(-2)), rtol=1e-6)
    assert cells["predicted_iou"].isna().all()
    cc.segment(stains[1], model, OPTIONS)
    assert set(map(tuple, cellpose3)) == {(1, 2), (1, 0)}


def test_masks_do_not_depend_on_batches_or_on_a_kill(cellpose3, tmp_path, monkeypatch):
    backends.fetch("cellpose:cyto3")
    model = cc.load_model("cellpose:cyto3", device="cpu")
    stains, truth = scene(shape=(400, 700))
    frames = open_frames(frames_of(stains, tmp_path / "frames.zarr"))
    whole, _ = cc.segment_frames(frames, model, tmp_path / "whole", OPTIONS)
    parts = [tmp_path / f"{k}-of-3.parquet" for k in (1, 2, 3)]
    draw, count = type(model.segmenter(OPTIONS).network).draw, 0

    def killed(self, *arguments):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return draw(self, *arguments)

    monkeypatch.setattr("cellsam_core.segmentation.batch_parts.PART_TILES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.segmenter(OPTIONS).network), "draw", killed)
        with pytest.raises(KeyboardInterrupt):
            segment_batch(frames, parts[0], model, OPTIONS, (1, 3))
    for k, part in enumerate(parts, start=1):
        segment_batch(frames, part, model, OPTIONS, (k, 3))
    stitch(frames, parts, tmp_path / "masks.zarr", tmp_path / "cells.parquet", 5)
    labels = open_labels(tmp_path / "masks.zarr").frame(0)
    np.testing.assert_array_equal(labels, whole.frame(0))
    assert cc.evaluate_segmentation(labels, truth)["f1_50"] > 0.99


def test_provenance_and_report_name_package_and_licence(cellpose3):
    backends.fetch("cellpose:nuclei")
    model = cc.load_model("cellpose:nuclei", device="cpu")
    record = model.settings(OPTIONS)
    assert record["package"] == "cellpose 3.1.1"
    assert record["sha256"] == model.weights.sha256
    assert "BSD-3-Clause" in licence_words(record)
    assert "cellpose 3.1.1" in licence_words(record)


def test_what_another_package_does_not_do_is_refused(cellpose3, tmp_path):
    backends.fetch("cellpose:cyto3")
    model = cc.load_model("cellpose:cyto3", device="cpu")
    stains, _ = scene()
    with pytest.raises(InputError, match="option `score_threshold`"):
        cc.segment(stains[1], model, cc.SegmentOptions(score_threshold=0.6))
    with pytest.raises(InputError, match="can't draw the cell in a given box"):
        cc.segment(stains[1], model, OPTIONS, boxes=[[1, 1, 20, 20]])
    with pytest.raises(InputError, match="expected weights of the tiny model"):
        finetune(tmp_path, tmp_path / "w.safetensors", FinetuneOptions(weights="cellpose:x"))


def test_cellpose_4_takes_three_planes_and_no_channels(monkeypatch, tmp_path):
    class CellposeModel:
        def __init__(
            self,
            gpu=False,
            pretrained_model="cpsam_v2",
            model_type=None,
            diam_mean=None,
            device=None,
            nchan=None,
            use_bfloat16=True,
        ):
            assert not use_bfloat16
            assert Path(pretrained_model).is_file()

        def eval(
            self, x, channels=None, channel_axis=None, normalize=True, diameter=None, min_size=15
        ):
            assert channels is None
            assert x.shape[-1] == 3
            labels = bright_pieces(x[..., 0])
            return labels, [None, None, labels * 1.0], None

    models = SimpleNamespace(
        CellposeModel=CellposeModel,
        MODEL_NAMES=["cpsam_v2", "cpdino"],
        MODEL_DIR=tmp_path,
        get_user_models=list,
        cache_model_path=lambda name: (tmp_path / name).write_bytes(b"network"),
    )
    install(monkeypatch, "4.2.1", cellpose=SimpleNamespace(), cellpose__models=models)
    backends.fetch("cellpose:cpdino")
    model = cc.load_model("cellpose:cpdino", device="cpu")
    assert "DINOv3" in model.weights.licence
    stains, truth = scene()
    labels, _ = cc.segment(stains, model, OPTIONS, channels=["DAPI", "cell"])
    assert cc.evaluate_segmentation(labels, truth)["f1_50"] > 0.99


def make_stardist(monkeypatch, folder: Path, n_channels: int = 1) -> None:
    class StarDist2D:
        def __init__(self, config=None, name=None, basedir="."):
            assert config is None
            assert (Path(basedir) / name / "config.json").is_file()
            self.config = SimpleNamespace(n_channel_in=n_channels)

        def predict_instances(self, img, axes=None, scale=None, show_tile_progress=True):
            assert axes == "YX"
            assert scale == 24 / DIAMETER_PX
            labels = bright_pieces(img)
            return labels, {"prob": np.linspace(0.5, 0.9, labels.max())}

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights_best.h5").write_bytes(b"network")
    install(
        monkeypatch,
        "0.9.2",
        stardist=SimpleNamespace(),
        stardist__models=SimpleNamespace(StarDist2D=StarDist2D),
        csbdeep=SimpleNamespace(),
        csbdeep__models=SimpleNamespace(),
        csbdeep__models__pretrained=SimpleNamespace(
            get_registered_models=lambda cls, verbose: (("2D_versatile_fluo",), {})
        ),
        tensorflow=SimpleNamespace(
            config=SimpleNamespace(set_visible_devices=lambda devices, kind: None)
        ),
    )


def test_stardist_sees_the_nuclei(monkeypatch, tmp_path):
    make_stardist(monkeypatch, tmp_path / "mine")
    model = cc.load_model(f"stardist:{tmp_path / 'mine'}", device="cpu")
    assert model.weights.licence == "unknown (user's file)"
    stains, truth = scene()
    nuclei, cells = cc.segment(stains, model, OPTIONS, channels=["DAPI", "cell"])
    assert len(cells) == truth.max()
    assert (truth[nuclei > 0] > 0).all()
    assert cells["score"].between(0.5, 0.9).all()
    with pytest.raises(InputError, match="2D_versatile_fluo"):
        cc.load_model("stardist:2D_versatile_fluo", device="cpu")
    make_stardist(monkeypatch, tmp_path / "colour", n_channels=3)
    with pytest.raises(InputError, match="images with 3 channels"):
        cc.load_model(f"stardist:{tmp_path / 'colour'}", device="cpu")


class TwoOutputs(torch.nn.Module):
    """Module with the attributes of InstanSeg's own."""

    def __init__(self):
        super().__init__()
        self.cells_and_nuclei = True
        self.pixel_size = 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_instanseg_gives_its_cells_without_scores(monkeypatch, tmp_path):
    class InstanSeg:
        def __init__(
            self,
            model_type="brightfield_nuclei",
            device=None,
            image_reader="auto",
            verbosity=1,
            channels_last=True,
        ):
            self.instanseg = model_type

        def eval_small_image(
            self,
            image,
            pixel_size=None,
            normalise=True,
            return_image_tensor=True,
            target="all_outputs",
            rescale_output=True,
        ):
            assert not normalise
            assert not return_image_tensor
            assert target == "cells"
            assert pixel_size == 10 / DIAMETER_PX
            assert image.ndim == 3
            if image.shape[0] > 2:
                raise RuntimeError("expected 2 channels")
            return torch.from_numpy(bright_pieces(image[0].numpy())).float()[None, None]

    torch.jit.script(TwoOutputs()).save(str(tmp_path / "instanseg.pt"))
    package = SimpleNamespace(InstanSeg=InstanSeg, __file__=str(tmp_path / "__init__.py"))
    install(monkeypatch, "0.1.2", instanseg=package)
    index = b'[{"name": "fluorescence", "version": "0.1", "license": "Apache-2.0"}]'
    monkeypatch.setattr(
        "cellsam_core.segmentation.backends.instanseg.get_data", lambda package, name: index
    )
    model = cc.load_model(f"instanseg:{tmp_path}", device="cpu")
    stains, truth = scene()
    labels, cells = cc.segment(stains, model, OPTIONS, channels=["DAPI", "cell"])
    assert cc.evaluate_segmentation(labels, truth)["f1_50"] > 0.99
    assert cells["score"].isna().all()
    (tmp_path / "broken.pt").write_bytes(b"no network")
    with pytest.raises(InputError, match="no model that instanseg can open"):
        cc.load_model(f"instanseg:{tmp_path / 'broken.pt'}", device="cpu")
    with pytest.raises(InputError, match="weights fetch instanseg:fluorescence"):
        cc.load_model("instanseg:fluorescence", device="cpu")
