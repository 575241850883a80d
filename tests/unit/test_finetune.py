from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.segmentation.tiny.model import CellSAM
from cellsam_core.segmentation.weights import info, load_network, load_trainable, resolve
from cellsam_core.training import finetune as module
from cellsam_core.training.augment import random_crop
from cellsam_core.training.crops import simulated_image
from cellsam_core.training.finetune import Score, cut, finetune, hold_out, tuning_plan
from cellsam_core.training.labelled import LabelledImage
from cellsam_core.training.options import FinetuneOptions
from cellsam_core.training.stage import read_images


def field(cells: int, shape: tuple[int, int] = (96, 160), name: str = "field") -> LabelledImage:
    """Bright squares of 20 px in a row, 8 px apart."""
    labels = np.zeros(shape, np.int32)
    for k in range(cells):
        labels[30:50, 5 + 28 * k : 25 + 28 * k] = k + 1
    pixels = np.where(labels > 0, 200, 40).astype(np.uint8)
    channels = np.stack((np.zeros_like(pixels), pixels))
    return LabelledImage(name, "mine", "own", channels, channels, labels, 22.6)


def put(folder: Path, name: str, pixels: np.ndarray, labels: np.ndarray | None) -> None:
    folder.mkdir(exist_ok=True)
    imsave(folder / f"{name}.png", pixels, check_contrast=False)
    if labels is not None:
        kept = labels if labels.dtype in (np.int16, np.float32) else labels.astype(np.uint16)
        imsave(folder / f"{name}_label.tif", kept, check_contrast=False)


def bump(model: CellSAM, *_: object) -> None:
    """Stand in for a step of training."""
    model.encoder.lateral4.weight.data += 1


@pytest.fixture(scope="module")
def one_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    image = simulated_image(np.random.default_rng(3))
    put(folder, "a", image.channels.max(0), image.labels)
    return folder


@pytest.fixture(scope="module")
def tuned(one_image: Path) -> Path:
    path = one_image.parent / "mine.safetensors"
    assert main(["finetune", str(one_image), "-o", str(path), "--steps", "2"]) == 0
    return path


def test_of_five_images_one_is_held_out_and_empty_ones_are_learnt_from() -> None:
    images = [field(3, name=str(k)) for k in range(5)]
    training, validation = hold_out([field(0, name="empty"), *images])
    assert [image.name for image in validation] == ["2"]
    assert [image.name for image in training] == ["empty", "0", "1", "3", "4"]


def test_of_fewer_images_a_third_of_the_cells_is_held_out() -> None:
    training, validation = hold_out([field(5), field(1), field(0)])
    assert [len(np.unique(i.labels)) - 1 for i in training] == [3, 1, 0]
    assert [len(np.unique(i.labels)) - 1 for i in validation] == [2]
    shapes = training[0].labels.shape, validation[0].labels.shape
    assert shapes[0][0] == shapes[1][0] == 96
    assert shapes[0][1] + shapes[1][1] == 160
    for part in (training[0], validation[0]):
        assert part.channels.shape == part.equalised.shape == (2, *part.labels.shape)


def test_an_image_is_cut_along_the_axis_its_cells_lie_on() -> None:
    tall = field(3)
    tall = replace(
        tall,
        labels=tall.labels.T,
        channels=tall.channels.swapaxes(1, 2),
        equalised=tall.equalised.swapaxes(1, 2),
    )
    first, second = cut(tall) or pytest.fail("not cut")
    assert first.labels.shape[1] == second.labels.shape[1] == 96
    assert set(np.unique(first.labels)) == {0, 1, 2}
    assert set(np.unique(second.labels)) == {0, 3}
    assert cut(field(1)) is None


@pytest.mark.parametrize(
    ("scores", "step"),
    [
        ([(0.5, 0.4), (0.4, 0.9), (0.5, 0.4), (0.3, 0.3)], 0),
        ([(0.5, 0.4), (0.6, 0.1), (0.7, 0.2), (0.7, 0.1)], 2),
        ([(0.5, 0.4), (0.5, 0.5), (0.4, 0.9), (0.5, 0.5)], 1),
    ],
)
def test_the_best_on_the_held_out_cells_is_kept(monkeypatch, scores, step) -> None:
    seen, rest = [], [Score(*s) for s in scores]

    def fake_score(state, images, device):
        seen.append(state["encoder.lateral4.weight"].clone())
        return rest[len(seen) - 1]

    monkeypatch.setattr(module, "score", fake_score)
    monkeypatch.setattr(module, "descend", bump)
    images, plan = [field(4)], replace(tuning_plan(3, 0), batch_size=1)
    start = load_trainable("tiny")
    tuned = finetune(start, images, images, plan, device="cpu", check_every=1)
    assert tuned.step == step
    assert (tuned.before, tuned.after) == (rest[0], rest[step])
    assert len(seen) == 4
    assert torch.equal(tuned.state["encoder.lateral4.weight"], seen[step])
    assert not torch.equal(seen[0], seen[3])


def test_one_image_gives_weights_that_load_and_say_where_they_come_from(tuned: Path) -> None:
    found = info(str(tuned))
    said = found.metadata
    assert said["start_sha256"] == info("tiny").sha256
    assert (said["start"], said["n_images"], said["steps"], said["seed"]) == ("tiny", 1, 2, 0)
    assert list(said["validation_after"].values()) >= list(said["validation_before"].values())
    low, high = found.diameter_limits_px
    assert low < said["cell_diameter_px"] < high
    assert high / low == pytest.approx(4)
    assert next(load_network(str(tuned), "cpu").parameters()).isfinite().all()
    assert info("tiny").diameter_limits_px == (0, float("inf"))


def test_the_same_seed_gives_the_same_bytes(one_image: Path, tuned: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    assert main(["finetune", str(one_image), "-o", str(again), "--steps", "2"]) == 0
    assert again.read_bytes() == tuned.read_bytes()


def test_the_start_is_kept_in_plain_words_when_nothing_beats_it(
    one_image, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(module, "score", lambda *_: Score(0.9, 0.8))
    monkeypatch.setattr(module, "descend", bump)
    path = tmp_path / "same.safetensors"
    with caplog.at_level(logging.INFO):
        assert main(["finetune", str(one_image), "-o", str(path), "--steps", "1"]) == 0
    assert "nothing beat tiny on the held-out cells (F1 0.900)" in caplog.text
    start, same = (load_trainable(name).state_dict() for name in ("tiny", str(path)))
    assert all(torch.equal(start[key], same[key]) for key in start)


def test_nuclear_images_are_put_in_the_nuclear_channel(one_image: Path) -> None:
    for stain, filled in (("cell", [0, 1]), ("nuclear", [1, 0])):
        (image,) = read_images(one_image, FinetuneOptions(stain=stain))
        for planes in (image.channels, image.equalised):
            assert [int(plane.max() > 0) for plane in planes] == filled
        crop, _ = random_crop(image, np.random.default_rng(0))
        assert [int(plane.max() > 0) for plane in crop] == [0, *filled]


EMPTY = np.zeros((40, 50), np.uint8)
MANY = np.kron((np.indices((8, 6)) % 2 == 0).all(0), np.ones((9, 9))).astype(np.uint8)
CELLS = field(2, (96, 160)).labels


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no image"),
        ({"a": (EMPTY, None)}, "a without its labels"),
        ({"a": (EMPTY, np.zeros((40, 51)))}, r"a_label\.tif: found shape"),
        ({"a": (EMPTY, EMPTY), "b": (EMPTY, EMPTY)}, "2 label images without a cell"),
        ({"a": (CELLS.astype(np.uint8), CELLS > 0)}, "a number of its own for each cell"),
        ({"a": (MANY, 255 * MANY)}, "one number, 255, in 12 places"),
        ({"a": (CELLS.astype(np.uint8), CELLS.astype(np.int16) - 1)}, "negative labels"),
        ({"a": (CELLS.astype(np.uint8), CELLS.astype(np.float32) / 9)}, "not whole"),
    ],
)
def test_bad_folders_are_named_and_nothing_is_written(tmp_path, capsys, files, message) -> None:
    (tmp_path / "in").mkdir()
    for name, (pixels, labels) in files.items():
        put(tmp_path / "in", name, pixels, labels)
    out = tmp_path / "out.safetensors"
    assert main(["finetune", str(tmp_path / "in"), "-o", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "mine.pt"], "a .safetensors file"),
        (["-o", "m.safetensors", "--steps", "0"], "at least 1"),
        (["-o", "m.safetensors", "--weights", "huge"], "no such file"),
        (["-o", "m.safetensors", "--validation", "none"], "none: found no folder"),
    ],
)
def test_bad_options_are_named(one_image, tmp_path, monkeypatch, capsys, options, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", str(one_image), *options]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_weights_info_shows_the_metadata(tuned: Path, capsys) -> None:
    assert main(["weights", "info", str(tuned)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["metadata"] == info(str(tuned)).metadata
    assert shown["path"] == str(resolve(str(tuned)))


def test_a_changed_bit_of_the_weights_is_found(tuned: Path, tmp_path: Path) -> None:
    content = bytearray(tuned.read_bytes())
    content[-100] ^= 4
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content)
    load_trainable(str(tuned))
    with pytest.raises(InputError, match="changed since they were written"):
        load_trainable(str(damaged))


def test_images_that_are_learnt_from_can_t_judge(one_image: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out.safetensors"
    arguments = ["finetune", str(one_image), "--validation", str(one_image), "-o", str(out)]
    assert main(arguments) == 1
    assert "expected images that are not learnt from" in capsys.readouterr().err


def test_files_that_are_no_one_image_are_refused(one_image: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "in"
    shutil.copytree(one_image, folder)
    command = ["finetune", str(folder), "-o", str(tmp_path / "out.safetensors")]
    imsave(folder / "a.tif", np.stack([EMPTY] * 3), check_contrast=False)
    assert main(command) == 1
    assert "in: found a.png and a.tif" in capsys.readouterr().err
    (folder / "a.png").unlink()
    assert main(command) == 1
    assert "a.tif: found 3 frames" in capsys.readouterr().err
