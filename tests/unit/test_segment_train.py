from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.io import imread, imsave

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.segmentation.tiny.model import CellSAM
from cellsam_core.training.augment import CROP_PX, split_reflections
from cellsam_core.training.crops import Crops, simulated_image, to_target
from cellsam_core.training.labelled import load_manifest, median_diameter_px
from cellsam_core.training.loop import train
from cellsam_core.training.plan import TrainingPlan

PLAN = TrainingPlan(
    n_steps=4, stage2_share=0.25, batch_size=1, n_queries=20, n_mask_boxes=4, simulated_share=1.0
)


@pytest.fixture(scope="module")
def images():
    return [simulated_image(np.random.default_rng(0))]


def test_crops_depend_on_seed_and_index_alone(images) -> None:
    crops = [Crops(images, simulated_share=0.5, n=10, seed=s) for s in (1, 1, 2)]
    for index in (7, 0):
        torch.testing.assert_close(crops[0][index][0], crops[1][index][0])
    assert not torch.equal(crops[0][0][0], crops[2][0][0])
    pixels, target = crops[0][3]
    assert pixels.shape == (3, CROP_PX, CROP_PX)
    assert pixels[0].max() == 0
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert len(target.boxes) == len(target.ids)


def test_targets_are_the_boxes_of_the_labels() -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[10:20, 30:50] = 3
    labels[0, 0] = 1
    target = to_target(labels)
    assert target.boxes.tolist() == [[30, 10, 50, 20]]
    assert target.ids.tolist() == [3]
    assert median_diameter_px(labels[5:]) == pytest.approx(np.sqrt(800 / np.pi))


def test_mirrored_cells_become_cells_of_their_own() -> None:
    labels = np.zeros((10, 30), np.int32)
    labels[2:5, 2:5] = labels[2:5, 20:23] = 4
    assert sorted(np.unique(split_reflections(labels))) == [0, 1, 2]


def test_a_killed_training_resumes_to_the_same_weights(images, tmp_path) -> None:
    whole = train(images, PLAN, tmp_path / "whole", checkpoint_every=2)

    class Killed(Exception):
        pass

    def stop(*args, **kwargs):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        steps = []
        real = torch.optim.AdamW.step

        def step(self, *args, **kwargs):
            if len(steps) == 3:
                raise Killed
            steps.append(0)
            return real(self, *args, **kwargs)

        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(Killed):
            train(images, PLAN, tmp_path / "killed", checkpoint_every=2)
    resumed = train(images, PLAN, tmp_path / "killed", checkpoint_every=2)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-4, atol=1e-5)
    curves = [(tmp_path / k / "loss.csv").read_text().splitlines() for k in ("whole", "killed")]
    assert len(curves[0]) == len(curves[1]) == 3
    assert imread(tmp_path / "killed" / "loss.png").std() > 0
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    for others, plan, start, found in (
        (images, replace(PLAN, n_steps=9), None, f"a run with n_steps {PLAN.n_steps}, expected"),
        (images, PLAN, CellSAM(), "a run with another start"),
        ([simulated_image(np.random.default_rng(1))], PLAN, None, "a run with other images"),
    ):
        with pytest.raises(InputError, match=f"checkpoint.pt: found {found}"):
            train(others, plan, tmp_path / "killed", start=start)
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(InputError, match="no checkpoint that can be read"):
        train(images, PLAN, tmp_path / "killed")


def test_a_manifest_reads_its_split_and_names_what_is_wrong(tmp_path) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 50), np.uint16)
    labels[5:15, 5:15] = 1
    for name, pixels in (("a", rng.integers(90, 255, (40, 50, 3))), ("b", labels)):
        imsave(tmp_path / f"{name}.png", pixels.astype(np.uint8), check_contrast=False)
    imsave(tmp_path / "l.tif", labels, check_contrast=False)
    manifest = tmp_path / "m.tsv"
    header = "set\timage\tlabel\tmodality\tsplit\tlicence\tweight\n"
    manifest.write_text(header + "own\ta.png\tl.tif\thistology\ttrain\tCC0-1.0\t\n")
    (image,) = load_manifest(manifest, tmp_path, "train")
    assert image.channels.shape == (2, 40, 50)
    red, grey = image.channels
    assert red.any()
    assert (red != grey).any()
    imsave(
        tmp_path / "a.png", np.stack([labels.astype(np.uint8) * 9] * 3, -1), check_contrast=False
    )
    # Numbers of cells may be of any size; what is no number of a cell is refused.
    imsave(tmp_path / "l.tif", labels * np.uint32(3_000_000_000), check_contrast=False)
    (colourless,) = load_manifest(manifest, tmp_path, "train")
    assert not colourless.channels[0].any()
    np.testing.assert_array_equal(colourless.labels, labels)
    with pytest.raises(InputError, match="no row with split validation"):
        load_manifest(manifest, tmp_path, "validation")
    row = "own\ta.png\tl.tif\thistology\ttrain\tCC0-1.0\t"
    for text, found in (
        (row.replace("own", ""), "no set in row 2"),
        (row.replace("l.tif", ""), "no label in row 2"),
        (row.replace("a.png", "c.png"), "c.png: found no file"),
        (row + "many", "weight many"),
        (row + "-1", "weight -1"),
    ):
        manifest.write_text(f"{header}{row}0\n{text}\n")
        with pytest.raises(InputError, match=found):
            load_manifest(manifest, tmp_path, "train")
    manifest.write_text(f"{header}{row}0\n")
    with pytest.raises(InputError, match="no weight above 0"):
        load_manifest(manifest, tmp_path, "train")
    manifest.write_text("image\tlabel\n")
    with pytest.raises(InputError, match="modality, split;"):
        load_manifest(manifest, tmp_path, "train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "option `steps`: found 0, expected a whole number of at least 1"),
        (["--stage2-share", "2"], "option `stage2_share`: found 2.0, expected a number from 0 to"),
        (["--simulated-share", "nan"], "option `simulated_share`: found nan"),
        (["--candidates", "0"], "option `candidates`: found 0"),
        (["--seed", "-1"], "option `seed`: found -1"),
        (["--weights", "vit_b"], "option `weights`: found vit_b"),
    ],
)
def test_options_out_of_range_are_named(tmp_path, capsys, options, message) -> None:
    out = tmp_path / "out"
    assert main(["train", "none.tsv", "--data", ".", "-o", str(out), *options]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_field_without_cells_teaches_nothing(tmp_path, capsys) -> None:
    blank = np.zeros((40, 50), np.uint8)
    imsave(tmp_path / "a.png", blank + np.arange(50, dtype=np.uint8), check_contrast=False)
    imsave(tmp_path / "a_label.png", blank, check_contrast=False)
    manifest = tmp_path / "m.tsv"
    manifest.write_text(
        "set\timage\tlabel\tmodality\tsplit\nown\ta.png\ta_label.png\tphase\ttrain\n"
    )
    arguments = ["train", str(manifest), "--data", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "m.tsv: found 1 label images without a cell" in capsys.readouterr().err
