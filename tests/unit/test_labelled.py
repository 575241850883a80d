"""Labelled images: channels and their roles, partial truths, truths of several experts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from skimage.io import imsave

from cellsam_core.benchmark.images import manifest_entries
from cellsam_core.benchmark.score import score_image
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.segmentation.tiny.cellfinder import Boxes
from cellsam_core.training.augment import UNKNOWN, random_crop
from cellsam_core.training.crops import to_target
from cellsam_core.training.finetune import cut
from cellsam_core.training.labelled import load_folder, load_manifest
from cellsam_core.training.losses import detection_loss
from cellsam_core.training.options import FinetuneOptions
from cellsam_core.training.stage import read_images

SHAPE = 48, 64
HEADER = "set\timage\tlabel\tmodality\tsplit\tnuclear\tcell\tpartial\n"
NAMES = {"axes": "CYX", "Channel": {"Name": ["DAPI", "other", "membrane"]}}


def planes(n: int = 3) -> np.ndarray:
    """Noise, darker in the first channel than in the next."""
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, 80 * (c + 1), SHAPE) for c in range(n)]).astype(np.uint16)


def squares(*corners: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    for value, (y, x) in enumerate(corners, start=1):
        labels[y : y + 10, x : x + 10] = value
    return labels


def write_zarr(path: Path, pixels: np.ndarray, axes: str, channels: tuple[str, ...] = ()) -> None:
    made = omezarr.create(
        path, shape=pixels.shape, axes=axes, dtype=str(pixels.dtype), channels=channels
    )
    made.array[:] = pixels


def assert_shows(image: np.ndarray, plane: np.ndarray) -> None:
    assert np.corrcoef(image.ravel(), plane.ravel())[0, 1] > 0.99


def test_names_tell_the_roles_of_an_ome_tiff_and_an_ome_zarr(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", planes(), metadata=NAMES)
    imsave(tmp_path / "a_label.png", squares((5, 5)), check_contrast=False)
    write_zarr(tmp_path / "b.zarr", planes(2), "cyx", ("Hoechst", "WGA"))
    write_zarr(tmp_path / "b_label.zarr", squares((5, 5), (20, 20)), "yx")
    first, second = load_folder(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    assert_shows(first.channels[0], planes()[0])
    assert_shows(first.channels[1], planes()[2])
    assert_shows(second.channels[1], planes()[1])
    assert second.labels.max() == 2


def test_numbers_tell_the_roles_where_no_name_does(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", planes(2), imagej=True, metadata={"axes": "CYX"})
    imsave(tmp_path / "a_label.png", squares((5, 5)), check_contrast=False)
    with pytest.raises(InputError, match="found 2 channels, without names, expected one grey"):
        load_folder(tmp_path)
    (image,) = read_images(tmp_path, FinetuneOptions(nuclear_channel="2", cell_channel="1"))
    assert_shows(image.channels[0], planes()[1])
    assert_shows(image.channels[1], planes()[0])
    for wrong in ("3", "0", "dapi"):
        with pytest.raises(InputError, match=f"found no channel {wrong}, expected a number from 1"):
            load_folder(tmp_path, {"cell": wrong})


def manifest_of(folder: Path, *rows: str) -> Path:
    path = folder / "m.tsv"
    path.write_text(HEADER + "".join(f"own\t{row}\n" for row in rows))
    return path


def test_a_manifest_names_channels_and_joins_them(tmp_path: Path) -> None:
    pages = {"photometric": "minisblack", "metadata": {"axes": "QYX"}}
    tifffile.imwrite(tmp_path / "a.tif", planes(), **pages)  # pages without a name of their axis
    imsave(tmp_path / "l.png", squares((5, 5)), check_contrast=False)
    row = "a.tif\tl.png\ttissue\ttrain"
    (image,) = load_manifest(manifest_of(tmp_path, f"{row}\t1\t2+3\t"), tmp_path, "train")
    assert_shows(image.channels[0], planes()[0])
    joined = planes()[1] / planes()[1].max() + planes()[2] / planes()[2].max()
    assert_shows(image.channels[1], joined)
    with pytest.raises(InputError, match="found 3 frames"):
        load_manifest(manifest_of(tmp_path, f"{row}\t\t\t"), tmp_path, "train")
    with pytest.raises(InputError, match="found partial some, expected yes where"):
        load_manifest(manifest_of(tmp_path, f"{row}\t1\t\tsome"), tmp_path, "train")


def test_outside_a_labelled_patch_nothing_is_known(tmp_path: Path) -> None:
    imsave(tmp_path / "a.png", planes()[0].astype(np.uint8), check_contrast=False)
    # Two cells with a gap between them are the patch; a third cell touches it without a label.
    imsave(tmp_path / "l.png", squares((5, 5), (5, 17)), check_contrast=False)
    manifest = manifest_of(tmp_path, "a.png\tl.png\ttissue\ttest\t\t\tpatch")
    (entry,) = manifest_entries(manifest, tmp_path, ["test"])
    truth = entry.read()
    assert truth.unknown is not None
    assert not truth.unknown[8, 5:27].any()
    assert truth.unknown[8, 28:].all()
    found = squares((5, 5), (5, 17), (5, 29))
    assert score_image(found, truth).counts[0].tolist() == [2, 0, 0]


def test_far_from_labels_a_partial_truth_is_unknown(tmp_path: Path) -> None:
    imsave(tmp_path / "a.png", planes()[0].astype(np.uint8), check_contrast=False)
    imsave(tmp_path / "l.png", squares((5, 5)), check_contrast=False)
    manifest = manifest_of(tmp_path, "a.png\tl.png\ttissue\ttrain\t\t\tyes")
    (image,) = load_manifest(manifest, tmp_path, "train")
    assert image.unknown is not None
    assert not image.unknown[image.labels > 0].any()
    assert not image.unknown[16, 10]  # beside the cell
    assert image.unknown[40, 50]
    _, labels = random_crop(image, np.random.default_rng(1))
    assert (labels == UNKNOWN).any()
    assert len(to_target(labels).ids) == len(np.unique(labels[labels > 0]))
    # A cell that is found where the truth knows nothing is no mistake; beside the truth it is.
    (entry,) = manifest_entries(manifest, tmp_path, ["train"])
    truth = entry.read()
    far, near = squares((5, 5), (30, 45)), squares((5, 5), (5, 15))
    assert score_image(far, truth).counts[0].tolist() == [1, 0, 0]
    assert score_image(near, truth).counts[0].tolist() == [1, 1, 0]
    wide = np.tile(image.labels, 2)
    wide[20:30, 70:80] = 2
    parts = cut(
        type(image)(
            *("a", "own", "own"),
            *(np.tile(image.channels, 2), np.tile(image.equalised, 2)),
            *(wide, 10.0, 1.0, np.tile(image.unknown, 2)),
        )
    )
    assert parts is not None
    assert all(p.unknown is not None and p.unknown.shape == p.labels.shape for p in parts)


def test_where_only_another_expert_has_a_cell_there_may_be_one(tmp_path: Path) -> None:
    imsave(tmp_path / "a.png", planes()[0].astype(np.uint8), check_contrast=False)
    imsave(tmp_path / "one.png", squares((5, 5)), check_contrast=False)
    imsave(tmp_path / "two.png", squares((5, 5), (30, 30)), check_contrast=False)
    rows = [f"a.png\t{who}.png\ttissue\ttrain\t\t\t" for who in ("one", "two")]
    one, two = load_manifest(manifest_of(tmp_path, *rows), tmp_path, "train")
    assert one.unknown is not None
    assert two.unknown is not None
    np.testing.assert_array_equal(one.unknown, squares((30, 30)) > 0)
    assert not two.unknown.any()


def test_a_box_where_the_truth_is_unknown_costs_nothing() -> None:
    boxes = torch.tensor([[[10.0, 10, 30, 30], [40, 40, 60, 60]]])
    found = Boxes(boxes, torch.tensor([[4.0, 4.0]]))
    dense = Boxes(boxes.new_zeros((1, 64, 4)) + boxes[0, 0], torch.full((1, 64), -9.0))
    losses = []
    for value in (0, UNKNOWN):
        labels = np.zeros((64, 64), np.int32)
        labels[10:30, 10:30] = 1
        labels[35:64, 35:64] = value
        losses.append(detection_loss(dense, [found], [to_target(labels)], 1))
    assert float(losses[0]["query0_class"]) > float(losses[1]["query0_class"]) + 1
    assert float(losses[0]["query0_box"]) == float(losses[1]["query0_box"])


@pytest.mark.parametrize("name", ["a_cp_masks.png", "a_masks.tif", "a_seg.npy"])
def test_labels_that_cellpose_names_belong_to_their_images(tmp_path: Path, name: str) -> None:
    labels = np.zeros((40, 50), np.uint16)
    labels[5:15, 5:15], labels[20:35, 20:40] = 1, 2
    image = (labels * 100 + np.arange(50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image)
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, {"masks": labels, "filename": "a.tif"}, allow_pickle=True)
    elif path.suffix == ".png":
        imsave(path, labels, check_contrast=False)
    else:
        tifffile.imwrite(path, labels)
    (found,) = load_folder(tmp_path)
    assert found.name == "a"
    np.testing.assert_array_equal(found.labels, labels)
    # Where one label image has our name, the others are images.
    tifffile.imwrite(tmp_path / "b.tif", image)
    tifffile.imwrite(tmp_path / "b_label.tif", labels)
    with pytest.raises(InputError, match="without its labels"):
        load_folder(tmp_path)
