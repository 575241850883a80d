from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from refusals import follow

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import missing_frame, natural_key
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.samples import movie_grey
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.movies import inspect_movie

SHAPE = (30, 40)


def image(value: int = 0, dtype: str = "uint16", shape: tuple[int, ...] = SHAPE):
    return np.full(shape, value, dtype)


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"photometric": "minisblack"} | options
    tifffile.imwrite(path, array, **options)


def inspect(path, **options):
    return inspect_movie(path, sample="s", assay="movie", **options)


def values(manifest):
    """First pixel of each plane, ``[frame][channel]``: which plane was found where."""
    return [read_frame(manifest, t)[:, 0, 0].tolist() for t in range(manifest.n_frames)]


def test_series_is_in_natural_order(tmp_path):
    for i in range(1, 13):
        write(tmp_path / f"frame{i}.tif", image(i))
    manifest = inspect(tmp_path)
    assert manifest.format == "tiff_series"
    assert values(manifest) == [[i] for i in range(1, 13)]
    assert manifest.shape_yx == SHAPE
    assert manifest.dtype == "uint16"
    assert manifest.pixel_size_um is None


def test_a_series_of_several_channels_is_refused_with_two_that_differ(tmp_path):
    for t, channel in product(range(2), ("BF", "GFP")):
        write(tmp_path / f"im{t}_{channel}.tif", image(t))
    for name in ("im2_BF.tif", "z3_BF.tif"):
        write(tmp_path / name, image(2))
    pattern = "im{time}_{channel}"
    with pytest.raises(InputError, match=r"in channels \(im0_BF.tif, im0_GFP.tif\)"):
        inspect(tmp_path, format="tiff_series", pattern=pattern)
    found = inspect(tmp_path, format="tiff_series", pattern="im{time}_BF")
    assert values(found) == [[0], [1], [2]]
    for path in tmp_path.glob("*_GFP.tif"):
        path.unlink()
    found = inspect(tmp_path, format="tiff_series", pattern=pattern)
    assert (found.channels, values(found)) == (["BF"], [[0], [1], [2]])


def test_folder_with_blanks_and_unicode(tmp_path):
    folder = tmp_path / "Zellen µm 2024, Küvette"
    for i in range(3):
        write(folder / f"Exp 1 t{i:03d}.TIF", image(i))
    assert values(inspect(folder)) == [[0], [1], [2]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_pixel_types(tmp_path, dtype, byteorder):
    write(tmp_path / "t0.tif", image(7, dtype), byteorder=byteorder)
    manifest = inspect(tmp_path)
    assert manifest.dtype == dtype
    assert values(manifest) == [[7]]


def test_ctc_takes_images_only(tmp_path):
    for i in range(3):
        write(tmp_path / "01" / f"t{i:03d}.tif", image(i))
        write(tmp_path / "01" / f"man_track{i:03d}.tif", image(99))
        write(tmp_path / "01" / "SEG_pred" / f"mask{i:03d}.tif", image(99))
    for path in (tmp_path / "01", tmp_path):
        manifest = inspect(path)
        assert manifest.format == "ctc"
        assert values(manifest) == [[0], [1], [2]]
    assert inspect(tmp_path / "01").warnings == ["Images in sub-folders are not read: SEG_pred."]


def test_ctc_with_truth_in_a_sibling_folder(tmp_path):
    for i in range(3):
        write(tmp_path / "02" / f"t{i:03d}.tif", image(i))
        write(tmp_path / "02_GT" / "TRA" / f"man_track{i:03d}.tif", image(99))
    assert inspect(tmp_path / "02").format == "ctc"


def test_ctc_label_without_image(tmp_path):
    for i in range(3):
        write(tmp_path / f"man_track{i:03d}.tif", image(9))
    for i in range(2):
        write(tmp_path / f"t{i:03d}.tif", image(i))
    with pytest.raises(InputError, match=r"no image t002\.tif"):
        inspect(tmp_path)


def test_two_ctc_sequences_are_positions(tmp_path):
    for sequence in ("01", "02"):
        write(tmp_path / sequence / "t000.tif", image())
    with pytest.raises(InputError, match=r"several positions \(01, 02\)"):
        inspect(tmp_path)
    assert inspect(tmp_path, position="02").planes[0][0].path.endswith("02/t000.tif")


def test_channel_folders(tmp_path):
    for c, name in enumerate(["DAPI", "TRITC", "YFP"]):
        for t in range(2):
            write(tmp_path / name / f"t{t:03d}.tif", image(10 * t + c))
    manifest = inspect(tmp_path)
    assert manifest.format == "channel_folders"
    assert manifest.channels == ["DAPI", "TRITC", "YFP"]
    assert values(manifest) == [[0, 1, 2], [10, 11, 12]]
    chosen = inspect(tmp_path, channels=["YFP", "DAPI"])
    assert chosen.channels == ["YFP", "DAPI"]
    assert values(chosen) == [[2, 0], [12, 10]]
    with pytest.raises(InputError, match=r"DAPI, TRITC, YFP.*YPF"):
        inspect(tmp_path, channels=["DAPI", "TRITC", "YPF"])


@pytest.mark.parametrize(
    "names", [("den", "num"), ("my dye 1", "other"), ("a_405", "b_488"), ("1", "2")]
)
def test_channel_folders_of_any_name(tmp_path, names):
    for c, t in np.ndindex(2, 3):
        write(tmp_path / names[c] / f"t{t:03d}.tif", image(10 * t + c))
    with pytest.raises(InputError, match="pattern"):
        inspect(tmp_path)
    manifest = inspect(tmp_path, format="channel_folders")
    assert manifest.channels == list(names)
    assert values(manifest) == [[0, 1], [10, 11], [20, 21]]


@pytest.mark.parametrize(
    "truth", ["truth", "ground_truth", "masks", "labels", "SEG", "annotations", "my masks"]
)
@pytest.mark.parametrize("images", ["images/", ""])
def test_label_folders_beside_the_images_are_no_channels(tmp_path, truth, images):
    for i in range(3):
        for c, name in enumerate(("H2B", "AMPKAR")):
            write(tmp_path / f"{images}{name}" / f"t{i:03d}.tif", image(10 * c + i))
        write(tmp_path / truth / f"t{i:03d}.tif", image(99))
    for format in ("auto", "channel_folders")[: 1 if images else 2]:
        manifest = inspect(tmp_path, format=format)
        assert manifest.channels == ["AMPKAR", "H2B"]
        assert values(manifest) == [[10, 0], [11, 1], [12, 2]]
        sentence = f"Folders of label images are not read as channels: {truth}."
        assert manifest.warnings == [sentence]


def test_thumbnails_beside_the_images_are_not_read(tmp_path):
    guid = "9F2A0E6F-1234-4444-8888-{:012d}"
    for t, w in np.ndindex(3, 2):
        folder = tmp_path / f"TimePoint_{t + 1}"
        write(folder / f"p_B02_s1_w{w + 1}{guid.format(2 * t + w)}.tif", image(10 * t + w))
        name = f"p_B02_s1_w{w + 1}_thumb{guid.format(50 + 2 * t + w)}.tif"
        write(folder / name, image(99, shape=(8, 8)))
    assert values(inspect(tmp_path)) == [[0, 1], [10, 11], [20, 21]]


@pytest.mark.parametrize("tail", ["_{}", "-file{:03d}", " ({})"])
def test_a_movie_that_was_split_is_joined_if_its_first_part_has_no_number(tmp_path, tail):
    names = ["exp_MMStack_Pos0", *(f"exp_MMStack_Pos0{tail.format(i)}" for i in (1, 2))]
    for i, name in enumerate(names):
        pixels = np.arange(3, dtype=np.uint16)[:, None, None] + 10 * i + np.zeros(SHAPE, np.uint16)
        write(tmp_path / f"{name}.tif", pixels, metadata=None)
    manifest = inspect(tmp_path)
    assert values(manifest) == [[10 * i + t] for i in range(3) for t in range(3)]
    assert "3 stacks are joined in time: exp_MMStack_Pos0.tif" in manifest.warnings[0]
    for name in names:  # single images could be copies
        write(tmp_path / f"{name}.tif", image(1))
    with pytest.raises(InputError, match="more than one kind"):
        inspect(tmp_path)


@pytest.mark.parametrize(
    ("odd", "names", "pattern"),
    [
        ("background", ["img_{t:03d}"], "img_{time}"),
        ("AVG_t000-002", ["t{t:03d}"], "t{time}"),
        ("snapshot", ["BF_{t:03d}", "GFP_{t:03d}"], "{channel}_{time}"),
    ],
)
def test_an_odd_image_is_left_out_by_the_pattern_of_the_refusal(tmp_path, odd, names, pattern):
    """A snapshot beside two channels became seven channels of one frame."""
    write(tmp_path / f"{odd}.tif", image(99))
    for t, (c, name) in product(range(3), enumerate(names)):
        write(tmp_path / f"{name.format(t=t)}.tif", image(10 * t + c))
    manifest = follow(
        lambda: inspect(tmp_path),
        f"for example with {re.escape(pattern)}; what does not fit is left out",
        then=lambda: inspect(tmp_path, pattern=pattern),
    )
    assert values(manifest) == [[10 * t + c for c in range(len(names))] for t in range(3)]
    assert odd in manifest.warnings[0]


def test_channel_folders_with_other_frames(tmp_path):
    for name in ("DAPI", "YFP"):
        for t in range(3):
            write(tmp_path / name / f"t{t:03d}.tif", image())
    (tmp_path / "YFP" / "t002.tif").unlink()
    with pytest.raises(InputError, match=r"t002\.tif of channel DAPI without.*channel YFP"):
        inspect(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("img_t{t:03d}_c{c}.tif", "12", ["c1", "c2"]),
        ("img_{c}_t{t:03d}.tif", ["DAPI", "YFP"], ["DAPI", "YFP"]),
        ("exp1_w{c}_t{t}.tif", ["1DAPI", "2GFP"], ["DAPI", "GFP"]),
        ("img_t{t:03d}xy1c{c}.tif", "12", ["c1", "c2"]),
        ("img_channel00{c}_position000_time{t:09d}_z000.tif", "01", ["channel000", "channel001"]),
        ("A1_00d{t:02d}h30m_{c}.tif", ["green", "red"], ["green", "red"]),
    ],
)
def test_channel_files(tmp_path, pattern, names, expected):
    for c, name in enumerate(names):
        for t in range(1, 4):
            write(tmp_path / pattern.format(t=t, c=name), image(10 * t + c))
    manifest = inspect(tmp_path)
    assert manifest.format == "channel_files"
    assert manifest.channels == expected
    assert values(manifest) == [[10, 11], [20, 21], [30, 31]]


def test_unnamed_channels_are_called_as_asked(tmp_path):
    for c in (1, 2):
        write(tmp_path / f"t1_c{c}.tif", image(c))
    manifest = inspect(tmp_path, channels=["H2B", "ERK"])
    assert manifest.channels == ["H2B", "ERK"]
    assert values(manifest) == [[1, 2]]
    assert manifest.warnings == ["Channels c1, c2 are called H2B, ERK."]


def test_stack_pages_are_frames_by_channels(tmp_path):
    stack = np.arange(6, dtype=np.uint16)[:, None, None] + image()
    write(tmp_path / "a.tif", stack, metadata=None)
    assert values(inspect(tmp_path / "a.tif")) == [[i] for i in range(6)]
    named = inspect(tmp_path / "a.tif", channels=["x", "y"])
    assert named.channels == ["x", "y"]
    assert values(named) == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InputError, match=r"6 pages.*multiple of the 4 channels"):
        inspect(tmp_path / "a.tif", channels=list("abcd"))


def test_stack_of_three_frames_is_not_taken_for_rgb(tmp_path):
    stack = np.arange(3, dtype=np.uint8)[:, None, None] + image(dtype="uint8")
    with pytest.warns(DeprecationWarning, match="photometric"):
        tifffile.imwrite(tmp_path / "a.tif", stack)
    assert values(inspect(tmp_path / "a.tif")) == [[0], [1], [2]]


def test_imagej_hyperstack(tmp_path):
    stack = np.arange(6, dtype=np.uint16).reshape(3, 2, 1, 1) + image()
    metadata = {"axes": "TCYX", "unit": "micron", "finterval": 30}
    path = tmp_path / "a.tif"
    write(path, stack, imagej=True, resolution=(2, 2), metadata=metadata)
    manifest = inspect(path)
    assert manifest.format == "tiff_stack"
    assert values(manifest) == [[0, 1], [2, 3], [4, 5]]
    assert manifest.pixel_size_um == 0.5
    assert manifest.frame_interval_s == 30
    given = inspect(path, pixel_size_um=0.7, frame_interval_s=60)
    assert (given.pixel_size_um, given.frame_interval_s) == (0.7, 60)


def test_imagej_pixel_size_needs_micrometres(tmp_path):
    metadata = {"axes": "TYX", "unit": "inch"}
    write(
        tmp_path / "a.tif",
        image(shape=(3, *SHAPE)),
        imagej=True,
        resolution=(72, 72),
        metadata=metadata,
    )
    assert inspect(tmp_path / "a.tif").pixel_size_um is None


def test_imagej_stack_with_one_page(tmp_path):
    stack = np.arange(5, dtype=np.uint16)[:, None, None] + image()
    path = tmp_path / "a.tif"
    write(path, stack, imagej=True, truncate=True, metadata={"axes": "TYX"})
    assert values(inspect(path)) == [[i] for i in range(5)]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a\.tif.*truncated"):
        inspect(path)


def test_z_stack_is_refused_unless_it_is_called_a_movie(tmp_path):
    path = tmp_path / "a.tif"
    write(path, image(shape=(5, *SHAPE)), imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(InputError, match=r"z axis of 5 planes.*tiff_stack"):
        inspect(path)
    assert inspect(path, format="tiff_stack").n_frames == 5


def test_ome_tiff(tmp_path):
    stack = np.arange(6, dtype=np.uint16).reshape(2, 3, 1, 1) + image()
    metadata = {
        "axes": "CTYX",
        "Channel": {"Name": ["mCherry", "YFP"]},
        "PhysicalSizeX": 650,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 650,
        "PhysicalSizeYUnit": "nm",
        "TimeIncrement": 5,
        "TimeIncrementUnit": "min",
    }
    write(tmp_path / "a.ome.tif", stack, metadata=metadata)
    manifest = inspect(tmp_path)
    assert manifest.format == "ome_tiff"
    assert manifest.channels == ["mCherry", "YFP"]
    assert values(manifest) == [[0, 3], [1, 4], [2, 5]]
    assert manifest.pixel_size_um == pytest.approx(0.65)
    assert manifest.frame_interval_s == 300
    with pytest.raises(InputError, match="format 'nikon'"):
        inspect(tmp_path, format="nikon")


def test_ome_pixels_that_are_not_square(tmp_path):
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 1.0}
    write(tmp_path / "a.ome.tif", image(shape=(2, *SHAPE)), metadata=metadata)
    with pytest.raises(InputError, match="square pixels"):
        inspect(tmp_path)


@pytest.mark.parametrize("alpha", [False, True])
def test_pages_of_colours_are_frames(tmp_path, alpha):
    """Videos are saved as pages of colours whose axis nothing names."""
    frames = np.stack([image(40 * t, "uint8") for t in range(3)])
    colours = np.stack([frames + c for c in range(4 if alpha else 3)], axis=-1)
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    write(tmp_path / "video.tif", colours, photometric="rgb", **extra)
    found = inspect(tmp_path / "video.tif")
    assert (found.channels, found.n_frames) == (["R", "G", "B"], 3)
    assert read_frame(found, 2)[:, 0, 0].tolist() == [80, 81, 82]


@pytest.mark.parametrize("alpha", [False, True])
def test_rgb_image(tmp_path, alpha):
    rgb = np.stack([image(c, "uint8") for c in range(4 if alpha else 3)], axis=-1)
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    write(tmp_path / "he.tif", rgb, photometric="rgb", **extra)
    manifest = inspect(tmp_path / "he.tif")
    assert manifest.format == "image"
    assert manifest.channels == ["R", "G", "B"]
    assert values(manifest) == [[0, 1, 2]]


@pytest.mark.parametrize(("names", "missing"), [((0, 1, 3), 2), ((0, 2, 6), 4)])
def test_missing_frame(tmp_path, names, missing):
    for i in names:
        write(tmp_path / f"t{i:03d}.tif", image(i))
    with pytest.raises(InputError, match=rf"no frame {missing} after t00{names[1]}\.tif"):
        inspect(tmp_path)


def test_frame_numbers_with_a_step_have_no_gap():
    assert missing_frame([0, 30, 60]) is None
    assert missing_frame([5]) is None
    assert missing_frame([]) is None
    assert sorted(["t10", "t2", "t1"], key=natural_key) == ["t1", "t2", "t10"]


def test_gaps_of_a_long_movie_are_found_at_once():
    start = time.process_time()
    assert missing_frame(range(0, 90_000, 3)) is None
    assert missing_frame([*range(0, 90_000, 3), 90_006]) == (90_000, 89_997)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (image(shape=(31, 40)), r"t001\.tif: found 31 x 40 px, expected 30 x 40 px"),
        (image(dtype="uint8"), r"t001\.tif: found uint8 pixels, expected uint16"),
        (image(shape=(2, *SHAPE)), r"t001\.tif: found 2 frames in one of 2 files"),
    ],
)
def test_mixed_files(tmp_path, other, message):
    write(tmp_path / "t000.tif", image())
    write(tmp_path / "t001.tif", other)
    with pytest.raises(InputError, match=message):
        inspect(tmp_path)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}], ids=str)
@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_truncated_file(tmp_path, options, keep):
    noise = np.random.default_rng(0).integers(0, 60000, SHAPE, dtype=np.uint16)
    for i in range(3):
        write(tmp_path / f"t{i:03d}.tif", noise, **options)
    path = tmp_path / "t001.tif"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=r"t001\.tif"):
        inspect(tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.98])
def test_truncated_stack(tmp_path, keep):
    noise = np.random.default_rng(0).integers(0, 60000, (9, *SHAPE), dtype=np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for page in noise:  # page, its data, next page ...
            tif.write(page, photometric="minisblack", metadata=None, contiguous=False)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=r"a\.tif"):
        inspect(tmp_path / "a.tif")


def test_unreadable_file(tmp_path):
    write(tmp_path / "t000.tif", image())
    (tmp_path / "t001.tif").write_bytes(b"II*\0 and nothing else")
    with pytest.raises(InputError, match=r"t001\.tif"):
        inspect(tmp_path)


def test_no_images(tmp_path):
    with pytest.raises(InputError, match="found no images"):
        inspect(tmp_path)
    with pytest.raises(InputError, match="found nothing"):
        inspect(tmp_path / "missing")
    write(tmp_path / "mask000.tif", image())
    with pytest.raises(InputError, match="only label images"):
        inspect(tmp_path)
    (tmp_path / "exp" / "pos1" / "notes").mkdir(parents=True)
    with pytest.raises(InputError, match="no images but sub-folders pos1"):
        inspect(tmp_path / "exp")
    write(tmp_path / "exp" / "pos1" / "DAPI" / "t0.tif", image())
    assert inspect(tmp_path / "exp").n_frames == 1


def test_a_position_is_chosen_of_several(tmp_path):
    for i in (1, 2):
        write(tmp_path / "folders" / f"pos{i}" / "t0.tif", image())
        write(tmp_path / "files" / f"pos{i}_t0.tif", image())
    for folder in ("folders", "files"):
        with pytest.raises(InputError, match=r"several positions \(pos1, pos2\).*--position"):
            inspect(tmp_path / folder)
        assert "pos2" in inspect(tmp_path / folder, position="pos2").planes[0][0].path
        with pytest.raises(InputError, match="expected position pos3"):
            inspect(tmp_path / folder, position="pos3")


def test_names_of_more_than_one_kind(tmp_path):
    write(tmp_path / "t000.tif", image())
    write(tmp_path / "overview_10x.tif", image())
    with pytest.raises(InputError, match="names of more than one kind"):
        inspect(tmp_path)


def test_two_files_for_one_frame(tmp_path):
    write(tmp_path / "t1.tif", image())
    write(tmp_path / "t01.tif", image())
    with pytest.raises(InputError, match=r"t1\.tif.*t01\.tif|t01\.tif.*t1\.tif"):
        inspect(tmp_path)


@pytest.mark.parametrize(("size_um", "is_told"), [(160, True), (0.00016, True), (0.16, False)])
def test_a_pixel_size_in_another_unit_is_told(tmp_path, size_um, is_told):
    for t in range(3):
        write(tmp_path / f"t{t}.tif", image())
    warnings = inspect_movie(tmp_path, sample="m", assay="movie", pixel_size_um=size_um).warnings
    assert any(f"pixel size is {size_um:g} um" in sentence for sentence in warnings) == is_told


def test_palette_and_narrow_pages_are_refused(tmp_path):
    colormap = np.zeros((3, 256), np.uint16)
    write(tmp_path / "p.tif", image(dtype="uint8"), photometric="palette", colormap=colormap)
    with pytest.raises(InputError, match="palette"):
        inspect(tmp_path / "p.tif")
    write(tmp_path / "n.tif", np.zeros((5, 6, 30, 5), np.float32))
    with pytest.raises(InputError, match="30 x 5 px"):
        inspect(tmp_path / "n.tif")


@pytest.mark.parametrize("hues", [(1, 1, 1), (0, 1, 0), (1, 0.5, 0)])
def test_a_palette_that_brightens_with_the_value_is_for_display(tmp_path, hues):
    """CellProfiler's example images and those of ImageJ with a lookup table were refused."""
    colormap = (np.outer(hues, np.arange(256)) * 255).astype(np.uint16)
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    tifffile.imwrite(tmp_path / "p.tif", pixels, photometric="palette", colormap=colormap)
    manifest = inspect(tmp_path / "p.tif")
    assert len(manifest.channels) == 1
    np.testing.assert_array_equal(images_of_manifest(manifest).read(0), pixels[None])


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "format", "n_frames", "channels"),
    [
        ("movies/PhC-C2DH-U373_02", "ctc", 115, 1),
        ("movies/Fluo-N2DL-HeLa_02_first20", "ctc", 20, 1),
        ("movies/yeastvision_sample/01", "ctc", 10, 1),
        ("reporters/celltk_il1b_ktr/pos1", "channel_folders", 4, 3),
    ],
)
def test_real_movies(shared_data, path, format, n_frames, channels):
    manifest = inspect(shared_data / path)
    assert (manifest.format, manifest.n_frames) == (format, n_frames)
    assert len(manifest.channels) == channels
    assert read_frame(manifest, n_frames - 1).shape == (channels, *manifest.shape_yx)


def test_channels_within_a_sub_folder_are_no_frames(tmp_path):
    for t in range(2):
        for name in ("GFP", "H2B"):
            write(tmp_path / "exp1" / f"t{t:03d}_{name}.tif", image(t))
    for path in (tmp_path, tmp_path / "exp1"):
        assert inspect(path).channels == ["GFP", "H2B"]
        assert values(inspect(path)) == [[0, 0], [1, 1]]


@pytest.mark.parametrize("style", ["img_%Y%m%d_%H%M%S.tif", "VID12_A1_1_%Yy%mm%dd_%Hh%Mm.tif"])
def test_date_and_time_in_names_go_on_after_midnight(tmp_path, style):
    start = datetime(2026, 2, 28, 12)
    for hour in range(24):
        write(tmp_path / (start + timedelta(hours=hour)).strftime(style), image(hour))
    manifest = inspect(tmp_path)
    assert manifest.channels == ["channel_1"]
    assert values(manifest) == [[hour] for hour in range(24)]


def test_a_clock_that_is_late_is_used_as_it_is_and_a_lost_frame_is_told(tmp_path):
    start = datetime(2026, 2, 28, 23, 50)
    for frame, seconds in enumerate((0, 301, 599, 902, 1200)):
        moment = start + timedelta(seconds=seconds)
        write(tmp_path / moment.strftime("%Y%m%d-%H%M%S.tif"), image(frame))
    manifest = inspect(tmp_path)
    assert values(manifest) == [[frame] for frame in range(5)]
    assert manifest.frame_times_s == [0, 301, 599, 902, 1200]
    assert manifest.frame_interval_s == 300
    assert manifest.warnings == []
    (tmp_path / "20260228-235959.tif").unlink()
    manifest = inspect(tmp_path)
    assert manifest.frame_times_s == [0, 301, 902, 1200]
    assert manifest.frame_interval_s is None
    assert "601 s between 20260228-235501.tif and 20260301-000502.tif" in manifest.warnings[0]


def test_the_manifest_says_where_the_scales_come_from(tmp_path):
    options = {"imagej": True, "resolution": (2, 2), "metadata": {"axes": "TYX", "unit": "um"}}
    options["metadata"]["finterval"] = 30.0
    write(tmp_path / "movie.tif", np.stack([image(i) for i in range(3)]), **options)
    manifest = inspect(tmp_path)
    imagej = "metadata of ImageJ"
    assert manifest.sources == {"pixel_size_um": imagej, "frame_interval_s": imagej}
    assert manifest.warnings == []
    manifest = inspect(tmp_path, pixel_size_um=0.5, frame_interval_s=60)
    assert set(manifest.sources.values()) == {"sample sheet or option"}
    # The pixel size agrees with the file, the interval does not.
    (warning,) = manifest.warnings
    assert warning == (
        "The frame interval of 60 s is used as given. By the metadata of ImageJ, it is 30 s."
    )
    (tmp_path / "movie.tif").unlink()
    write(tmp_path / "t0.tif", image(0))
    assert inspect(tmp_path).sources == {}


def colours(folder, frames, suffix=".png"):
    """Write frames ``(y, x, 3)`` as images of colours."""
    folder.mkdir(exist_ok=True)
    for t, pixels in enumerate(frames):
        if suffix == ".png":
            Image.fromarray(pixels).save(folder / f"t{t:03d}.png")
        else:
            tifffile.imwrite(folder / f"t{t:03d}.tif", pixels, photometric="rgb")
    return folder


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_that_was_saved_as_colours_is_one_channel(tmp_path, suffix):
    grey = np.random.default_rng(0).integers(0, 255, (3, *SHAPE, 1), np.uint8).repeat(3, axis=3)
    manifest = inspect(colours(tmp_path / "grey", grey, suffix))
    assert manifest.channels == ["grey"]
    assert "t000" in (told := " ".join(manifest.warnings))
    assert "one channel, grey" in told
    assert np.array_equal(read_frame(manifest, 2), grey[2, :, :, 0][None])
    # Asked for by name, all three are there; and one may have a name of its own.
    named = inspect(tmp_path / "grey", channels=["R", "G", "B"])
    assert named.channels == ["R", "G", "B"]
    assert inspect(tmp_path / "grey", channels=["DIC"]).channels == ["DIC"]


def test_a_movie_with_one_coloured_pixel_in_its_last_frame_keeps_its_colours(tmp_path):
    frames = np.ones((3, *SHAPE, 3), np.uint8)
    frames[2, -1, -1, 2] = 2
    manifest = inspect(colours(tmp_path / "colours", frames))
    assert manifest.channels == ["R", "G", "B"]
    assert manifest.warnings == []


def test_not_all_frames_of_a_long_grey_movie_are_compared(tmp_path, monkeypatch):
    seen = []
    read = movie_grey.read_plane
    monkeypatch.setattr(movie_grey, "read_plane", lambda p, w: seen.append(p.path) or read(p, w))
    folder = colours(tmp_path / "long", np.full((60, *SHAPE, 3), 7, np.uint8))
    manifest = inspect(folder)
    assert (manifest.channels, manifest.n_frames) == (["grey"], 60)
    assert len(set(seen)) == movie_grey.N_FRAMES_SEEN
    assert {Path(path).stem for path in seen} >= {"t000", "t059"}
    assert "in 19 other frames that were compared" in (told := manifest.warnings[-1])
    assert "name the channels, such as R,G,B" in told
    assert inspect(folder, channels=["R", "G", "B"]).warnings == []


def test_channels_in_files_of_equal_colours_are_put_side_by_side(tmp_path):
    for name, value in (("DAPI", 3), ("GFP", 7)):
        for t in range(2):
            pixels = np.full((*SHAPE, 3), value, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{name}_t{t:02d}.png")
    manifest = inspect(tmp_path)
    assert manifest.channels == ["DAPI", "GFP"]
    assert values(manifest) == [[3, 7], [3, 7]]


@pytest.mark.parametrize(
    ("style", "name"),
    [
        ("img_{:09d}_DAPI_000.tif", "DAPI"),
        ("DAPI/img_{:03d}.tif", "DAPI"),
        ("Cy5/img_{:03d}_Cy5.tif", "Cy5"),
        ("exp_w1H2B-mCherry_t{}.tif", "H2B-mCherry"),
        ("HeLa-GFP_t{}.tif", "GFP"),
        # Of no stain, of two, and of what is more often a condition or a key.
        ("clone3_t{}.tif", "channel_1"),
        ("DAPI/GFP_t{}.tif", "channel_1"),
        ("p53-KO_t{}.tif", "channel_1"),
        ("cell01_t{}.tif", "channel_1"),
        ("ch1_t{}.tif", "channel_1"),
    ],
)
def test_the_one_stain_in_all_names_is_that_of_the_only_channel(tmp_path, style, name):
    for t in range(3):
        write(tmp_path / style.format(t), image(t))
    manifest = inspect(tmp_path)
    assert manifest.channels == [name]
    assert values(manifest) == [[0], [1], [2]]


def test_the_only_channel_is_chosen_by_its_name_and_by_the_name_of_before(tmp_path):
    write(tmp_path / "a_DAPI.tif", image())
    manifest = inspect(tmp_path)
    for name in ("DAPI", "channel_1"):
        assert choose_roles(images_of_manifest(manifest), name, None) == {"nuclear": ["DAPI"]}
    assert inspect(tmp_path, channels=["nuclei"]).channels == ["nuclei"]
