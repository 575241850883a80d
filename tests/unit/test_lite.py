"""The pretrained encoder: shapes, folding, weights files that name their encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cellsam_core.errors import InputError
from cellsam_core.segmentation.tiny.model import CellSAM, encoder_of, fold_batch_norm
from cellsam_core.segmentation.weights import info, load_network, load_trainable, save


def test_features_have_the_strides_and_widths_of_the_other_encoder() -> None:
    image = torch.rand(1, 3, 96, 64)
    shapes = [
        [f.shape for f in CellSAM(encoder=name).eval().encoder(image)]
        for name in ("hybrid", "lite0")
    ]
    assert shapes[0] == shapes[1]


def test_a_weights_file_names_its_encoder(tmp_path: Path) -> None:
    model = CellSAM(encoder="lite0").eval()
    path = tmp_path / "w.safetensors"
    save(model.state_dict(), path)
    assert info(str(path)).metadata["encoder"] == "lite0"
    again = load_trainable(str(path))
    assert encoder_of(again.state_dict()) == "lite0"
    image = torch.rand(1, 3, 64, 64)
    fold_batch_norm(model)
    with torch.inference_mode():
        for mine, loaded in zip(
            model.encoder(image), load_network(str(path), "cpu").encoder(image), strict=True
        ):
            torch.testing.assert_close(mine, loaded, rtol=2e-2, atol=2e-2)


def test_an_encoder_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save(CellSAM().state_dict(), path, {"encoder": "huge"})
    with pytest.raises(InputError, match="weights of an encoder huge"):
        load_trainable(str(path))


def test_the_shipped_weights_have_the_encoder_of_old() -> None:
    assert encoder_of(load_trainable("tiny").state_dict()) == "hybrid"
