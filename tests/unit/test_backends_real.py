"""Models of other packages with the packages themselves, where they are installed.

The models are small and made here: random, or trained on discs for a few seconds.
"""

from __future__ import annotations

import numpy as np
import pytest

import cellsam_core as cc

DIAMETER_PX = 16.0


def discs(seed: int = 0, side: int = 160, n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Image of bright discs that don't touch, float32 in [0, 1], and its labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for row, column in rng.uniform(9, side - 9, (4 * n, 2)):
        disc = np.hypot(y - row, x - column) < DIAMETER_PX / 2
        wide = np.hypot(y - row, x - column) < DIAMETER_PX / 2 + 2
        if labels.max() < n and not labels[wide].any():
            labels[disc] = labels.max() + 1
    image = 0.1 + 0.8 * (labels > 0) + rng.normal(0, 0.03, labels.shape)
    return np.clip(image, 0, 1).astype(np.float32), labels


def segment_twice(weights: str) -> tuple[float, np.ndarray, cc.Model]:
    """Segment new discs by small tiles, two times; return F1, labels and the model."""
    image, truth = discs(7, side=180, n=30)
    model = cc.load_model(weights, device="cpu")
    options = cc.SegmentOptions(cell_diameter_px=DIAMETER_PX, tile_px=256)
    grey = (image * 60000).astype(np.uint16)
    labels, cells = cc.segment(grey, model, options)
    again, _ = cc.segment(grey, cc.load_model(weights, device="cpu"), options)
    np.testing.assert_array_equal(labels, again)
    assert len(cells) == labels.max()
    return cc.evaluate_segmentation(labels, truth)["f1_50"], labels, model


def test_cellpose(tmp_path):
    models = pytest.importorskip("cellpose.models", reason="cellpose is not installed")
    if not hasattr(models, "model_path"):
        pytest.skip("the smallest model of Cellpose 4 has more than 1 GB")
    import torch

    torch.manual_seed(0)
    network = models.CellposeModel(gpu=False, pretrained_model=False, diam_mean=DIAMETER_PX)
    network.net.save_model(str(tmp_path / "random"))
    _, labels, model = segment_twice(f"cellpose:{tmp_path / 'random'}")
    assert labels.shape == (180, 180)
    assert model.settings(cc.SegmentOptions())["package"].startswith("cellpose 3")
    assert model.weights.licence == "unknown (user's file)"


def test_stardist(tmp_path):
    stardist = pytest.importorskip("stardist.models", reason="stardist is not installed")
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    config = stardist.Config2D(
        n_rays=16,
        unet_n_depth=2,
        unet_n_filter_base=16,
        net_conv_after_unet=32,
        train_patch_size=(96, 96),
        train_batch_size=4,
        train_learning_rate=1e-3,
        train_tensorboard=False,
    )
    model = stardist.StarDist2D(config, name="discs", basedir=str(tmp_path))
    images, labels = zip(*(discs(k, side=240, n=50) for k in range(6)), strict=True)
    # The adapter shows cells of 24 px.
    images = [np.kron(i, np.ones((3, 3), np.float32))[::2, ::2] for i in images]
    labels = [np.kron(m, np.ones((3, 3), np.int32))[::2, ::2] for m in labels]
    model.train(
        images[:5],
        labels[:5],
        validation_data=(images[5:], labels[5:]),
        epochs=6,
        steps_per_epoch=20,
        seed=0,
    )
    f1, _, loaded = segment_twice(f"stardist:{tmp_path / 'discs'}")
    assert f1 > 0.9
    assert loaded.settings(cc.SegmentOptions())["package"].startswith("stardist ")


def test_instanseg(tmp_path):
    pytest.importorskip("instanseg", reason="instanseg is not installed")
    torch = pytest.importorskip("torch")
    from instanseg.utils.loss.instanseg_loss import InstanSeg_Torchscript, ProbabilityNet
    from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet

    torch.manual_seed(0)
    network = InstanSeg_UNet(
        in_channels=1, layers=np.array([8, 16]), out_channels=[[2], [2], [1]], norm="BATCH"
    )
    network.pixel_classifier = ProbabilityNet(4)
    script = InstanSeg_Torchscript(network.eval(), pixel_size=0.5, backbone_dim_in=1)
    torch.jit.script(script).save(str(tmp_path / "instanseg.pt"))
    _, labels, loaded = segment_twice(f"instanseg:{tmp_path / 'instanseg.pt'}")
    assert labels.shape == (180, 180)
    assert loaded.settings(cc.SegmentOptions())["package"].startswith("instanseg-torch ")
