from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from skimage.io import imsave

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.segmentation.weights import FOLDER
from cellsam_core.training.rows import read_manifest
from cellsam_core.training.split import choose_split, fill_sources, group_by_source


def field(seed: int, shape_yx: tuple[int, int] = (120, 160)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape_yx)
    return 100 + 400 * ndimage.gaussian_filter(noise, 3)


def test_duplicates_and_tiles_of_one_field_share_a_source() -> None:
    whole, other = field(0), field(1)
    tiles = [whole[:60, :80], whole[:60, 80:], whole[60:, :80], whole[60:, 80:]]
    noisy = np.rot90(other) * 1.1 + np.random.default_rng(2).normal(0, 3, (160, 120))
    groups = group_by_source([*tiles, other, noisy, field(3), field(4)[:60, :80]])
    assert len(set(groups[:4])) == 1
    assert groups[4] == groups[5]
    assert len(set(groups)) == 4


def test_flat_borders_join_nothing() -> None:
    images = [np.zeros((60, 60)), np.full((60, 60), 7.0)]
    for k, image in enumerate(images):
        image[20:40, 15 + 20 * k : 30 + 20 * k] = 50
    assert len(set(group_by_source(images))) == 2


def test_whole_sources_are_chosen_and_given_splits_stay() -> None:
    rows = pd.DataFrame(
        {
            "modality": ["a"] * 20 + ["b"] * 4,
            "source": [f"s{k // 4}" for k in range(20)] + ["m0", "m0", "m1", "m1"],
            "split": [None] * 20 + ["train", None, "test", None],
        }
    )
    split = choose_split(rows, validation_share=0.2, seed=0)
    assert (split[:20] == "validation").sum() == 4
    assert split[20:].tolist() == ["train", "train", "test", "test"]
    assert split.groupby(rows["source"]).agg(set).map(len).max() == 1
    assert choose_split(rows, validation_share=0.2, seed=1)[:20].tolist() != split[:20].tolist()


def test_a_source_in_two_splits_is_refused() -> None:
    rows = pd.DataFrame({"modality": ["a"] * 2, "source": ["s"] * 2, "split": ["train", "test"]})
    with pytest.raises(InputError, match="source s: found images in test and train"):
        choose_split(rows, validation_share=0.2, seed=0)


def test_new_copies_join_the_source_that_is_there_in_any_set() -> None:
    images = [field(0), field(1), np.rot90(field(0)), field(1).T, field(2), field(3), field(3)]
    rows = pd.DataFrame(
        {
            "set": ["A", "A", "A", "B", "A", "B", "B"],
            "image": [f"{k}.tif" for k in range(7)],
            "source": ["A:001", "mine", None, None, None, None, None],
        }
    )
    filled = fill_sources(rows, images)
    assert filled.tolist() == ["A:001", "mine", "A:001", "mine", "A:000", "B:000", "B:000"]
    with pytest.raises(
        InputError, match=r"image 2\.tif: found that it is like images of the sources"
    ):
        fill_sources(rows, [images[0], images[0], *images[2:]])


def test_the_command_fills_what_is_empty(tmp_path) -> None:
    whole = np.clip(field(5), 0, 255).astype(np.uint8)
    for name, pixels in (("l", whole[:, :80]), ("r", whole[:, 80:]), ("x", whole.T[:, :120])):
        imsave(tmp_path / f"{name}.png", pixels, check_contrast=False)
    listing = tmp_path / "listing.tsv"
    rows = "".join(f"own\t{k}.png\t{k}_label.png\tphase\t\t\n" for k in "lrx")
    listing.write_text("set\timage\tlabel\tmodality\tsource\tsplit\n" + rows)
    out = tmp_path / "out.tsv"
    assert main(["split", str(listing), "--data", str(tmp_path), "-o", str(out)]) == 0
    filled = pd.read_csv(out, sep="\t")
    assert filled["source"].tolist()[:2] == ["own:000"] * 2
    assert set(filled["split"]) <= {"train", "validation"}


def test_no_source_of_the_shipped_manifest_is_on_two_sides() -> None:
    rows = read_manifest(FOLDER / "tiny_data.tsv")
    assert rows.groupby("source")["split"].agg(set).map(len).max() == 1
    assert not rows["source"].isna().any()
    assert set(rows["split"]) == {"train", "validation", "test"}


@pytest.mark.data
def test_the_shipped_manifest_keeps_look_alikes_together(shared_data) -> None:
    from cellsam_core.training.image_files import read_grey

    rows = read_manifest(FOLDER / "tiny_data.tsv")
    rows = rows[rows["modality"] == "histology"]
    folder = shared_data / "segmentation"
    groups = group_by_source([read_grey(folder / image) for image in rows["image"]])
    assert len(set(groups[rows["set"] == "dsb2018"])) < (rows["set"] == "dsb2018").sum() / 3
    assert rows["split"].groupby(groups).agg(set).map(len).max() == 1
