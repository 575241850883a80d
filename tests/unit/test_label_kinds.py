"""Label images as other programs leave them: read right, or refused alike by every command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from refusals import follow
from skimage.measure import label as number_cells
from test_formats import AXES, write_zarr

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.labels.image import as_label_image, open_label_image
from cellsam_core.labels.masks import refuse_mask
from cellsam_core.labels.source import open_labels

CENTRES = ((1, 30, 30), (2, 60, 80), (3, 95, 120))


def movie(n_frames=4, shape=(120, 160)):
    labels = np.zeros((n_frames, *shape), np.uint16)
    y, x = np.ogrid[: shape[0], : shape[1]]
    for t in range(n_frames):
        for number, cy, cx in CENTRES:
            labels[t][(y - cy) ** 2 + (x - cx - t) ** 2 < 100] = number
    return labels


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **{"photometric": "minisblack", "metadata": None} | options)
    return path


def check(source, labels):
    assert source.n_frames == len(labels)
    for t, expected in enumerate(labels):
        np.testing.assert_array_equal(source.frame(t), expected)


# Kinds that are read.


def test_whole_numbers_in_floating_point_are_labels(tmp_path):
    labels = movie()
    for dtype in (np.float32, np.float64):
        check(open_labels(write(tmp_path / "a.tif", labels.astype(dtype))), labels)
    for t, frame in enumerate(labels):
        write(tmp_path / "trackmate" / f"LblImg_{t:03d}.tif", frame.astype(np.float32), imagej=True)
    check(open_labels(tmp_path / "trackmate"), labels)
    assert main(["track", str(tmp_path / "trackmate"), "-o", str(tmp_path / "out")]) == 0
    assert len(pd.read_csv(tmp_path / "out/tracks.csv")) == 3


def test_cells_with_numbers_of_64_bits_have_the_shapes_of_others(tmp_path):
    ids = np.array([0, 2**40 + 7, 2**63, 2**64 - 1], np.uint64)
    tables = []
    for name, labels in (("small", movie()), ("large", ids[movie()])):
        path = write(tmp_path / f"{name}.tif", labels)
        assert main(["track", str(path), "-o", str(tmp_path / name)]) == 0
        table = pd.read_parquet(tmp_path / name / "objects.parquet")
        table = table.sort_values(["frame", "y"], ignore_index=True)
        assert (
            table["label"].astype(np.uint64) == np.unique(labels[labels > 0])[table.index % 3]
        ).all()
        tables.append(table.drop(columns=["label", "track_id"]))
    assert (tables[0]["perimeter_px"] > 0).all()
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels / 65535, "not whole between 0 and 1"),
        (lambda labels: labels + 0.25, "not whole in frame 0"),
        (lambda labels: np.where(labels > 1, np.nan, labels), "can't be labels"),
        (lambda labels: labels * 2.0**24, "can't be labels"),
    ],
)
def test_other_floating_point_is_refused(tmp_path, change, message):
    path = write(tmp_path / "a.tif", change(movie()).astype(np.float32))
    with pytest.raises(InputError, match=rf"{message}.*without scaling"):
        open_labels(path)


def test_arrays_of_numpy_and_cellpose(tmp_path):
    labels = movie()
    np.save(tmp_path / "all.npy", labels)
    check(open_labels(tmp_path / "all.npy"), labels)
    for t, frame in enumerate(labels):
        write(tmp_path / "cellpose" / f"t{t}.tif", frame + 100)
        content = {
            "masks": frame,
            "filename": "t.tif",
            "flows": [None, np.zeros(3)],
            "est_diam": 30.0,
        }
        np.save(tmp_path / "cellpose" / f"t{t}_seg.npy", content)
        (tmp_path / "plain").mkdir(exist_ok=True)
        np.save(tmp_path / "plain" / f"mask{t}.npy", frame)
    check(open_labels(tmp_path / "cellpose"), labels)
    check(open_labels(tmp_path / "plain"), labels)
    check(open_labels(tmp_path / "cellpose" / "t1_seg.npy"), labels[1:2])


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_file_of_cellpose_runs_no_code(tmp_path, capsys):
    np.save(tmp_path / "a_seg.npy", {"masks": movie()[0], "evil": Evil()})
    check(open_labels(tmp_path / "a_seg.npy"), movie()[:1])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"\x93NUMPY", b"no array", b""])
def test_a_broken_array_is_refused(tmp_path, content):
    (tmp_path / "a_seg.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"a_seg.npy: found no array that can be read"):
        open_labels(tmp_path / "a_seg.npy")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_with_five_axes(tmp_path, version):
    labels = movie()
    path = tmp_path / "labels.zarr"
    write_zarr(path, version, labels[:, None, None], AXES, [5, 1, 1, 650, 650])
    source = open_labels(path)
    check(source, labels)
    assert (source.pixel_size_um, source.frame_interval_s) == (pytest.approx(0.65), 300)
    one = tmp_path / "one.zarr"
    write_zarr(one, version, labels[:1, None, None], AXES, [5, 1, 1, 650, 650])
    image = open_label_image(one)
    assert image.pixel_size_um == pytest.approx(0.65)
    assert image.tiles.at(np.array([30]), np.array([30])) == 1


# Folders.


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("mask{t}.png", "mask{t}.tif"), "the same frame"),
        (("pos1_t{t}_mask.tif", "pos2_t{t}_mask.tif"), r"several positions \(pos1, pos2\)"),
        (("nuclei_t{t}.tif", "cells_t{t}.tif"), r"several kinds of labels \(cells, nuclei\)"),
        (("t{t}_z0.tif", "t{t}_z1.tif"), "several z planes"),
        (("a_t{t}.tif", "b_t{t}.tif"), "could be anything"),
    ],
)
def test_label_images_that_would_be_taken_for_frames_are_refused(tmp_path, names, message):
    imagecodecs = pytest.importorskip("imagecodecs")
    folder = tmp_path / "labels"
    for t, name in np.ndindex(3, len(names)):
        path = folder / names[name].format(t=t)
        frame = movie()[t]
        write(path, frame)
        if path.suffix == ".png":
            path.write_bytes(imagecodecs.png_encode(frame))
    with pytest.raises(InputError, match=rf"{message}.*put them into a folder of their own"):
        open_labels(folder)
    for path in sorted(folder.iterdir()):  # as the refusal says
        own = tmp_path / "own"
        if path.match(names[0].format(t="*")):
            own.mkdir(exist_ok=True)
            path.rename(own / path.name)
    check(open_labels(own), movie()[:3])


def test_any_names_that_sort_in_time_order(tmp_path):
    for frame, name in zip(movie(), ("alpha", "beta", "gamma 2", "zeta"), strict=True):
        write(tmp_path / f"{name}.tif", frame)
    check(open_labels(tmp_path), movie())


def test_clocks_order_label_images(tmp_path):
    for t, clock in enumerate(("00d09h00m", "00d10h00m", "01d00h30m", "01d01h30m")):
        write(tmp_path / f"VID1_A1_1_{clock}_mask.tif", movie()[t])
    check(open_labels(tmp_path), movie())


# Masks instead of labels: one sentence, from every command.

MASKS = {
    "binary": lambda labels: (labels > 0) * 255,
    "ones": lambda labels: (labels > 0) * 1,
    "ilastik": lambda labels: labels + 1,
}
SENTENCES = {
    "binary": "found one number, 255, in 3 places",
    "ones": "found one number, 1, in 3 places",
    "ilastik": "found no 0, but number 1 all around",
}


def cell_movie(folder):
    rng = np.random.default_rng(0)
    for t, labels in enumerate(movie()):
        image = rng.normal(200, 10, labels.shape) + 900 * (labels > 0)
        write(folder / f"t{t}.tif", image.astype(np.uint16))


def commands(folder):
    """Write what each command needs beside the labels; their command lines."""
    cell_movie(folder / "images")
    table = pd.DataFrame({"x_px": [30, 80], "y_px": [30, 60], "gene": ["A", "B"]})
    table.to_csv(folder / "t.csv", index=False)
    out = ["-o", folder / "out"]
    return {
        "track": ["track", folder / "labels", *out],
        "traces": ["track", folder / "labels", "--images", folder / "images", *out],
        "evaluate": ["evaluate", "segmentation", folder / "labels", folder / "labels"],
        "assign": [
            *("assign", "--labels", folder / "labels/t0.tif", "--transcripts", folder / "t.csv"),
            *("--pixel-size-um", "1", *out),
        ],
        "finetune": ["finetune", folder / "tune", "-o", folder / "w.safetensors"],
    }


def test_a_small_background_of_dense_tissue_is_refused(tmp_path):
    squares = np.arange(2, 38).reshape(6, 6).repeat(20, axis=0).repeat(20, axis=1)
    labels = np.where(np.indices(squares.shape).max(axis=0) % 20 < 2, 0, squares)
    labels[:, -2:] = labels[-2:] = 0
    path = tmp_path / "l.tif"

    def write_with(background):
        write(path, np.where(labels, labels, background).astype(np.uint16))

    write_with(1)
    remedy = "set the pixels of number 1 to 0"
    image = follow(lambda: open_label_image(path), remedy, lambda: write_with(0))
    assert image.tiles.shape_yx == labels.shape
    write(path, squares.astype(np.uint16))  # cells everywhere, and no background
    assert open_label_image(path).tiles.shape_yx == labels.shape


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("command", ["track", "traces", "evaluate", "assign", "finetune"])
def test_a_mask_is_refused_alike_by_every_command(tmp_path, capsys, kind, command):
    line = commands(tmp_path)[command]
    for t, labels in enumerate(movie()):
        mask = MASKS[kind](labels).astype(np.uint16)
        write(tmp_path / "labels" / f"t{t}.tif", mask)
        write(tmp_path / "tune" / f"t{t}_label.tif", mask)
        write(tmp_path / "tune" / f"t{t}.tif", labels + 100)
    assert main([str(word) for word in line]) == 1
    told = capsys.readouterr().err
    assert SENTENCES[kind] in told
    assert "number the cells" in told or "set the pixels of number 1 to 0" in told


def test_nuclei_may_be_a_mask(tmp_path):
    mask = MASKS["binary"](movie())[0].astype(np.uint8)
    path = write(tmp_path / "mask.tif", mask)
    for nuclei in (path, mask):
        tiles = as_label_image(nuclei, "nuclei", allow_mask=True).tiles
        assert tiles.shape_yx == mask.shape
        with pytest.raises(InputError, match="one number, 255, in 3 places"):
            as_label_image(nuclei, "labels")
    with pytest.raises(InputError, match="no 0"):
        as_label_image(MASKS["ilastik"](movie())[0], "nuclei", allow_mask=True)


def test_the_remedies_work(tmp_path):
    labels = movie()
    binary = write(tmp_path / "binary.tif", MASKS["binary"](labels).astype(np.uint8))
    with pytest.raises(InputError, match=r"skimage\.measure\.label"):
        open_labels(binary).frame(0)
    numbered = np.stack([number_cells(frame) for frame in tifffile.imread(binary)])
    check(open_labels(write(tmp_path / "n.tif", numbered.astype(np.uint16))), labels)
    ilastik = MASKS["ilastik"](labels)
    with pytest.raises(InputError, match="set the pixels of number 1 to 0"):
        refuse_mask(tmp_path, ilastik[0])
    refuse_mask(tmp_path, np.where(ilastik == 1, 0, ilastik)[0])
    bool_image = write(tmp_path / "bool.tif", labels > 0)
    with pytest.raises(InputError, match=r"pixels of one bit.*skimage.measure.label"):
        open_labels(bool_image)


def test_what_is_no_mask(tmp_path):
    one_cell = (movie()[0] == 1) * 255
    refuse_mask(tmp_path, one_cell)
    with_fragment = one_cell.copy()
    with_fragment[90:93, 90:93] = 255
    refuse_mask(tmp_path, with_fragment)
    refuse_mask(tmp_path, np.zeros((9, 9), int))
    tissue = np.arange(64).reshape(8, 8).repeat(9, 0).repeat(9, 1) + 1
    refuse_mask(tmp_path, tissue)


def with_two_alike(labels):
    """Return the labels with one number for the second and the third cell."""
    return np.where(labels == 3, 2, labels)


@pytest.mark.parametrize("command", ["track", "traces", "evaluate", "assign"])
def test_two_distant_cells_with_one_number_are_told_alike_by_every_command(
    tmp_path, caplog, command
):
    line = commands(tmp_path)[command]
    for t, labels in enumerate(movie()):
        write(tmp_path / "labels" / f"t{t}.tif", with_two_alike(labels))
    assert main([str(word) for word in line]) == 0
    told = caplog.text
    frames = " (frames 0 to 3)" if command.startswith("tra") else ""
    assert f"label 2{frames} is in two places that are far from each other" in told
    images = 4 if command == "evaluate" else 1
    assert images <= told.count("far from each other") <= 2 * images


def test_split_cells_are_told_once_with_their_frames(tmp_path, caplog):
    labels = movie(5)
    labels[[0, 1, 2, 4]] = with_two_alike(labels[[0, 1, 2, 4]])
    source = open_labels(write(tmp_path / "a.tif", labels))
    for t in (4, 0, 3, 1, 2, 2, 0):
        source.frame(t)
    (record,) = caplog.records
    assert "a.tif: label 2 (frames 0 to 2 and 4) is in two places" in record.message
    assert "give each a number of its own" in record.message
    caplog.clear()
    for t, frame in enumerate(labels):
        labels[t] = number_cells(frame)
    check(open_labels(write(tmp_path / "b.tif", labels)), labels)
    assert not caplog.records


def test_what_may_be_one_cell_in_two_places(tmp_path, caplog):
    torn = movie()[0]
    torn[30:32] = 0  # a tear through the first cell
    debris = movie()[0]
    debris[100:104, 5:9] = 1
    far = with_two_alike(movie()[0])
    classes = np.where(movie()[0] == 3, 1, movie()[0])
    classes[5:20, 140:155] = 2
    for labels in (torn, debris):
        assert not refuse_mask(tmp_path, labels)
        as_label_image(labels, "labels")
    assert not caplog.records
    (cell,) = refuse_mask(tmp_path, far)
    assert cell.label == 2
    with pytest.raises(InputError, match=r"2 numbers in 4 places.*number the cells"):
        refuse_mask(tmp_path, classes)
    assert not refuse_mask(tmp_path, number_cells(classes))


@pytest.mark.parametrize("at", [10, 19, 40])
def test_an_array_with_a_damaged_header_is_refused(tmp_path, at):
    """NumPy parses the header as Python, with errors of that."""
    path = tmp_path / "a.npy"
    np.save(path, movie()[0])
    content = bytearray(path.read_bytes())
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(InputError, match="found no array that can be read"):
        open_labels(path)


def test_labels_as_jpeg_are_refused(tmp_path):
    """JPEG makes numbers of its own around each cell; they were taken for more cells."""
    labels = movie(1)[0].astype(np.uint8) * 40
    as_image, as_tiff = tmp_path / "labels.jpg", tmp_path / "labels.tif"
    Image.fromarray(labels).save(as_image)
    write(as_tiff, labels, compression="jpeg")

    def as_png():
        Image.fromarray(labels).save(tmp_path / "labels.png")

    follow(
        lambda: open_labels(as_image), "PNG", as_png, lambda: open_labels(tmp_path / "labels.png")
    )
    follow(lambda: open_labels(as_tiff), "TIFF", lambda: write(as_tiff, labels))


def test_a_movie_of_one_bit_is_told_as_such(tmp_path):
    path = write(tmp_path / "masks.tif", movie() > 0)
    numbered = np.stack([number_cells(frame > 0) for frame in movie()]).astype(np.uint16)
    follow(lambda: open_labels(path), "skimage.measure.label", lambda: write(path, numbered))
