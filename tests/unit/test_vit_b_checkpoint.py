"""The authors' checkpoint loads in each of its forms; any other file gives one clear error."""

from __future__ import annotations

import hashlib
import os
import pickle

import pytest
import torch

from cellsam_core.errors import InputError
from cellsam_core.segmentation import weights
from cellsam_core.segmentation.options import SegmentOptions
from cellsam_core.segmentation.stage import load_model
from cellsam_core.segmentation.vit_b.checkpoint import expected_shapes, load
from cellsam_core.segmentation.vit_b.predict import VitBSegmenter


def zeros(prefix_to_skip: str = "none") -> dict[str, torch.Tensor]:
    zero = torch.zeros(1)
    return {
        key: zero.expand(shape)
        for key, shape in expected_shapes().items()
        if not key.startswith(prefix_to_skip)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


def test_a_checkpoint_has_1041_keys():
    assert len(expected_shapes()) == 1041


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("tuned", [False, True])
def test_forms(folder, wrapped, tuned):
    state = zeros("none" if tuned else "model_cp.")
    name = "encoder.neck.1.bias" if tuned else "model.image_encoder.neck.1.bias"
    key = "model_cp.image_encoder.neck.1.bias" if tuned else name
    state[key] = torch.arange(256.0)
    path = folder / f"{wrapped}{tuned}.pt"
    torch.save({"state_dict": state} if wrapped else state, path)
    model = load(path, device="cpu")
    assert model.stretched is tuned
    for _ in range(2):
        with model.in_memory(model.encoder) as encoder:
            assert encoder.neck[1].bias[255] == 255
            used = *model.detector.transformer.parameters(), *encoder.parameters()
            assert not any(p.is_meta or p.requires_grad for p in used)
        assert encoder.neck[1].bias.is_meta
    assert not any(p.is_meta or p.requires_grad for p in model.decoder.parameters())


def test_bfloat16_leaves_what_decides_in_float32(folder):
    path = folder / "low.pt"
    torch.save(zeros(), path)
    model = load(path, device="cpu", bfloat16=True)
    detector = model.detector.transformer
    assert model.encoder.blocks[0].attn.qkv.weight.dtype == torch.bfloat16
    assert detector.decoder_layers[0].ffn.linear1.weight.dtype == torch.bfloat16
    assert detector.encoder_layers[0].self_attn.in_proj_weight.dtype == torch.bfloat16
    for decisive in (
        detector.decoder_layers[0].ffn.norm2.weight,
        detector.adapt_pos1d[0].weight,
        detector.class_embed.weight,
        detector.bbox_embed.layers[0].weight,
        model.encoder.blocks[0].norm1.weight,
        model.decoder.mask_decoder.iou_prediction_head.layers[0].weight,
        model.decoder.mask_decoder.transformer.layers[0].mlp.lin1.weight,
    ):
        assert decisive.dtype == torch.float32


def test_weights_that_change_under_a_running_job_are_refused(folder):
    path = folder / "changing.pt"
    torch.save(zeros(), path)
    model = load(path, device="cpu")
    os.utime(path, (0, 0))
    with (
        pytest.raises(InputError, match="another file than at the start"),
        model.in_memory(model.encoder),
    ):
        pass


def spoiled(**changes: object) -> dict[str, object]:
    return zeros() | changes


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({k: v for k, v in zeros().items() if "neck" not in k}, "missing keys such as"),
        (spoiled(optimizer=torch.zeros(1)), "1 unknown keys such as 'optimizer'"),
        (spoiled(**{"model_cp.image_encoder.pos_embed": torch.zeros(1, 32, 32, 768)}), "shape"),
        (spoiled(**{"model_cp.image_encoder.pos_embed": 3}), "no floating-point tensor"),
        ([1, 2], "a list"),
        ({}, "missing keys"),
        ({"state_dict": Evil()}, "Weights only load failed"),
    ],
)
def test_anything_else_is_refused(folder, content, complaint):
    path = folder / "bad.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=complaint) as error:
        load(path, device="cpu")
    assert "bad.pt" in str(error.value)


@pytest.mark.parametrize("data", [b"", b"no checkpoint", pickle.dumps({"a": 1}), b"PK\x03\x04cut"])
def test_other_files_are_refused(folder, data):
    path = folder / "bad.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.bin"):
        load(path, device="cpu")


def test_it_is_loaded_with_the_thresholds_of_a_preset(folder):
    path = folder / "cellsam_general.pt"
    torch.save(zeros(), path)
    model = load_model(path, preset="paper", device="cpu")
    assert isinstance(model.segmenter(SegmentOptions()), VitBSegmenter)
    settings = model.settings(SegmentOptions(score_threshold=0.9, tile_px=256))
    assert (settings["score_threshold"], settings["tile_px"]) == (0.4, 256)
    assert settings["preset"] == "paper"
    assert settings["precision"] == "float32"
    assert (settings["iou_threshold"], settings["mask_threshold"]) == (0.4, 0.5)
    assert settings["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_name_without_the_file_says_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "VIT_B", tmp_path / "absent.pt")
    with pytest.raises(InputError, match="run `cellsam-core weights fetch`"):
        weights.info("vit_b")
