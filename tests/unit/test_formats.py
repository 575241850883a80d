"""Formats that movies come in: read right, or refused with the maker's name and a way to go on."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from refusals import follow

from cellsam_core.errors import InputError
from cellsam_core.files import foreign
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.positions import positions_of

SHAPE = (30, 40)
OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def image(value=0, dtype="uint16", shape=SHAPE):
    return np.full(shape, value, dtype)


def pages(*sizes, dtype="uint16"):
    n = int(np.prod(sizes))
    return np.arange(n, dtype=dtype).reshape(*sizes, 1, 1) + image(dtype=dtype)


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **{"photometric": "minisblack", "metadata": None} | options)


def inspect(path, **options):
    return inspect_movie(path, sample="s", assay="movie", **options)


def values(manifest):
    return [read_frame(manifest, t)[:, 0, 0].tolist() for t in range(manifest.n_frames)]


# Files of microscopes and other programs.


@pytest.mark.parametrize("suffix", sorted({**foreign.MICROSCOPES, **foreign.OTHERS}))
def test_foreign_files_are_named_with_a_way_to_go_on(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(foreign, "is_readable", lambda _: False)
    monkeypatch.setattr("cellsam_core.files.stack.is_readable", lambda _: False)
    path = tmp_path / f"movie{suffix}"
    path.write_bytes(b"\xda\xce\xbe\x0a" + bytes(300))
    maker = foreign.maker_of(path)
    for where in (path, tmp_path):
        with pytest.raises(InputError) as refused:
            inspect(where)
        assert maker.name in str(refused.value)
        assert f"movie{suffix}" in str(refused.value)
        assert "remove" not in str(refused.value)
        assert ("cellsam_core[bioio]" in str(refused.value)) == bool(maker.plugin)


def test_a_microscope_file_beside_an_image_is_told(tmp_path):
    (tmp_path / "movie.nd2").write_bytes(bytes(300))
    write(tmp_path / "snapshot.tif", image())
    with pytest.raises(InputError, match=r"movie.nd2 \(Nikon\) and snapshot.tif.*name one"):
        inspect(tmp_path)
    assert inspect(tmp_path / "snapshot.tif").n_frames == 1
    for t in range(3):
        write(tmp_path / "exported" / f"t{t}.tif", image(t))
    (tmp_path / "exported" / "movie.nd2").write_bytes(bytes(300))
    manifest = inspect(tmp_path / "exported")
    assert manifest.n_frames == 3
    assert manifest.warnings == ["movie.nd2 (Nikon) is not read."]


def test_links_into_a_store_keep_their_own_names(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    store = tmp_path / "store"
    store.mkdir()
    (store / "ab12").write_bytes(imagecodecs.png_encode(image(7, "uint8")))
    write(store / "cd34", pages(3))
    work = tmp_path / "work"
    work.mkdir()
    for link, target in (("image.png", "ab12"), ("movie.tif", "cd34")):
        (work / link).symlink_to(store / target)
    assert values(inspect(work / "image.png")) == [[7]]
    assert values(inspect(work / "movie.tif")) == [[0], [1], [2]]
    (tmp_path / "linked").symlink_to(work)
    (work / "movie.tif").unlink()
    assert inspect(tmp_path / "linked").planes[0][0].path == str(tmp_path / "linked/image.png")


# OME-TIFF in several files.


def companion(folder, n_frames=3, n_channels=2, n_z=1, lacks=()):
    uuid = "urn:uuid:0000000{}-0000-0000-0000-000000000000"
    places = ""
    folder.mkdir(parents=True)
    for t, c, z in np.ndindex(n_frames, n_channels, n_z):
        if (t, c) in lacks or (t, c, z) in lacks:
            continue
        name = f"mv_Ch{c + 1}_Z{z}_{t:06d}.ome.tif"
        places += (
            f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="{z}" IFD="0" PlaneCount="1">'
            f'<UUID FileName="{name}">{uuid.format(t)}</UUID></TiffData>'
        )
        pointer = (
            f'<?xml version="1.0"?><OME {OME} UUID="{uuid.format(t)}">'
            f'<BinaryOnly MetadataFile="mv.companion.ome" UUID="{uuid.format(9)}"/></OME>'
        )
        write(folder / name, image(100 * z + 10 * t + c), description=pointer)
    (folder / "mv.companion.ome").write_text(
        f'<?xml version="1.0"?><OME {OME}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYCZT" Type="uint16" SizeX="40" SizeY="30" SizeC="{n_channels}" '
        f'SizeZ="{n_z}" SizeT="{n_frames}" PhysicalSizeX="0.5" PhysicalSizeY="0.5" '
        'TimeIncrement="60"><Channel ID="Channel:0:0" Name="GFP"/>'
        f'<Channel ID="Channel:0:1" Name="H2B"/>{places}</Pixels></Image></OME>'
    )


def test_ome_tiff_with_a_companion(tmp_path):
    folder = tmp_path / "set"
    companion(folder)
    first = "mv_Ch1_Z0_000000.ome.tif"
    for path in (folder, folder / "mv.companion.ome", folder / first):
        manifest = inspect(path)
        assert values(manifest) == [[0, 1], [10, 11], [20, 21]]
        assert manifest.channels == ["GFP", "H2B"]
        assert (manifest.pixel_size_um, manifest.frame_interval_s) == (0.5, 60)
    as_files = inspect(folder, format="channel_files")
    assert values(as_files) == [[0, 1], [10, 11], [20, 21]]
    (folder / "mv.companion.ome").unlink()
    with pytest.raises(InputError, match=r"mv.companion.ome, which is not there.*channel_files"):
        inspect(folder / first)
    assert inspect(folder, format="channel_files").n_frames == 3


def test_a_file_of_the_set_is_lost(tmp_path):
    companion(tmp_path / "set")
    (tmp_path / "set" / "mv_Ch2_Z0_000001.ome.tif").unlink()
    with pytest.raises(InputError, match=r"no mv_Ch2_Z0_000001.ome.tif for frame 1, channel 1"):
        inspect(tmp_path / "set" / "mv.companion.ome")


def test_z_planes_of_a_companion_set_are_projected(tmp_path):
    companion(tmp_path / "set", n_z=2)
    with pytest.raises(InputError, match=r"z axis of 2 planes.*z_policy"):
        inspect(tmp_path / "set")
    found = inspect(tmp_path / "set", z_policy="max")
    assert values(found) == [[100, 101], [110, 111], [120, 121]]


def set_of_files(folder, key, *, n_frames=3, n_z=1, lacks=()):
    """Write an OME-TIFF in several files, `key` naming that of a plane, and an image beside it."""
    planes = {}
    for place in np.ndindex(n_frames, 2, n_z):
        if place[:2] in lacks or place in lacks:
            continue
        planes.setdefault(key(*place), []).append(place)
    places = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="{z}" IFD="{i}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for name, own in planes.items()
        for i, (t, c, z) in enumerate(own)
    )
    times = "".join(f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{7 * t}"/>' for t in range(3))
    for name, own in planes.items():
        xml = (
            f'<?xml version="1.0"?><OME {OME} UUID="urn:uuid:{name}"><Image ID="Image:0"><Pixels '
            f'ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="40" SizeY="30" SizeC="2" '
            f'SizeZ="{n_z}" SizeT="{n_frames}"><Channel Name="GFP"/><Channel Fluor="H2B"/>{places}'
            f"{times}</Pixels></Image></OME>"
        )
        folder.mkdir(exist_ok=True)
        with tifffile.TiffWriter(folder / name) as tif:
            for i, (t, c, z) in enumerate(own):
                options = {"description": xml.encode() if i == 0 else None, "metadata": None}
                tif.write(image(100 * z + 10 * t + c), photometric="minisblack", **options)
    write(folder / "overview.tif", image())


@pytest.mark.parametrize(
    ("key", "pattern", "channels"),
    [
        (lambda t, c, z: f"m_T{t}.ome.tif", "m_T{time}", ["GFP", "H2B"]),
        (lambda t, c, z: f"m_C{c}.ome.tif", "m_{channel}", ["C0", "C1"]),
        (lambda t, c, z: f"m_T{t}_C{c}.ome.tif", "m_T{time}_{channel}", ["C0", "C1"]),
    ],
    ids=["a file a frame", "a file a channel", "a file a plane"],
)
def test_files_of_a_set_that_are_read_by_their_names_are_read_once(
    tmp_path, key, pattern, channels
):
    """Each of them tells of the whole set: three files of three frames became nine frames."""
    set_of_files(tmp_path / "set", key)
    found = follow(
        lambda: inspect(tmp_path / "set"),
        "fill the column `pattern`",
        then=lambda: inspect(tmp_path / "set", pattern=pattern),
    )
    assert (found.channels, found.frame_times_s) == (channels, [0, 7, 14])
    assert values(found) == [[0, 1], [10, 11], [20, 21]]


def test_z_planes_of_a_set_across_files_are_read_as_told(tmp_path):
    folder = tmp_path / "set"
    set_of_files(folder, lambda t, c, z: f"m_T{t}_Z{z}.ome.tif", n_z=2)
    found = follow(
        lambda: inspect(folder, pattern="m_T{time}_Z{z}", z_policy="max"),
        "put the files of the set into a folder of their own",
        (folder / "overview.tif").unlink,
        lambda: inspect(folder, z_policy="max"),
    )
    assert values(found) == [[100, 101], [110, 111], [120, 121]]


def test_a_companion_of_plain_images_is_read(tmp_path):
    """Only the first image was read where the images themselves do not name the companion."""
    folder = tmp_path / "set"
    companion(folder)
    for file in folder.glob("*.tif"):
        write(file, tifffile.imread(file, is_ome=False))
    found = inspect(folder)
    assert (found.channels, found.pixel_size_um) == (["GFP", "H2B"], 0.5)
    assert values(found) == [[0, 1], [10, 11], [20, 21]]


@pytest.mark.parametrize("kind", ["one file", "files", "companion"])
def test_planes_that_were_not_acquired_are_no_lost_files(tmp_path, kind):
    """Micro-Manager lists what it has acquired; the advice was to copy the files again."""

    def make(folder, lacks):
        if kind == "companion":
            companion(folder, n_frames=6, lacks=lacks)
            return folder
        name = (lambda *_: "m.ome.tif") if kind == "one file" else lambda t, *_: f"m{t}.ome.tif"
        set_of_files(folder, name, n_frames=6, lacks=lacks)
        (folder / "overview.tif").unlink()
        return folder

    skipped = {(t, 1) for t in range(6) if t % 3}
    found = inspect(make(tmp_path / "skipped", skipped))
    assert [[plane is not None for plane in row] for row in found.planes] == [
        [True, t % 3 == 0] for t in range(6)
    ]
    assert "Channel H2B is there in 2 of 6 frames." in found.warnings
    stopped = inspect(make(tmp_path / "stopped", {(4, 1), (5, 0), (5, 1)}))
    assert values(stopped) == [[10 * t, 10 * t + 1] for t in range(4)]
    with pytest.raises(InputError, match="no pixels in frame 2 of channel H2B"):
        inspect(make(tmp_path / "lost", {(2, 1)}))


@pytest.mark.parametrize("kind", ["one file", "companion"])
def test_a_channel_may_have_one_plane_beside_stacks_of_others(tmp_path, kind):
    """Transmitted light is imaged in one plane, and fluorescence in a stack."""
    lacks = {(t, 0, z) for t in range(3) for z in (0, 2)} | {(2, 1, 2)}
    if kind == "companion":
        companion(tmp_path / "set", n_z=3, lacks=lacks)
    else:
        set_of_files(tmp_path / "set", lambda *_: "m.ome.tif", n_z=3, lacks=lacks)
        (tmp_path / "set/overview.tif").unlink()
    found = inspect(tmp_path / "set", z_policy="max")
    assert values(found) == [[100, 201], [110, 211]]
    assert "1 of 3 frames, at the end" in str(found.warnings)
    assert values(inspect(tmp_path / "set", z_policy="one", z_plane=0))[0] == [100, 1]


def test_an_acquisition_that_was_stopped_is_saved_anew_as_told(tmp_path):
    """Without a list of planes, a stopped acquisition and a truncated copy look alike."""
    path = tmp_path / "a.ome.tif"
    xml = (
        f'<?xml version="1.0"?><OME {OME}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint16" SizeX="40" SizeY="30" SizeC="1" SizeZ="1" SizeT="4">'
        "<Channel/><TiffData/></Pixels></Image></OME>"
    )
    with tifffile.TiffWriter(path) as tif:
        for t in range(3):
            options = {"description": xml.encode() if t == 0 else None, "metadata": None}
            tif.write(image(t), photometric="minisblack", **options)
    found = follow(
        lambda: inspect(path),
        "save the frames that are there anew",
        lambda: write(tmp_path / "new.tif", pages(3)),
        lambda: inspect(tmp_path / "new.tif"),
    )
    assert found.n_frames == 3


def test_a_lost_file_of_a_set_is_named(tmp_path):
    set_of_files(tmp_path / "set", lambda t, *_: f"m{t}.ome.tif")
    (tmp_path / "set/overview.tif").unlink()
    moved = (tmp_path / "set/m1.ome.tif").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"no m1\.ome\.tif of this OME-TIFF set"):
        inspect(tmp_path / "set")
    moved.rename(tmp_path / "set/m1.ome.tif")
    assert inspect(tmp_path / "set").n_frames == 3


def test_an_image_without_any_plane_is_exported_again_as_told(tmp_path):
    everything = set(np.ndindex(3, 2))
    folder = tmp_path / "set"
    companion(folder, lacks=everything)
    assert follow(
        lambda: inspect(folder / "mv.companion.ome"),
        "export the image again",
        lambda: companion(tmp_path / "again"),
        lambda: inspect(tmp_path / "again"),
    ).n_frames


def test_a_companion_may_name_whole_files(tmp_path):
    """OME-XML: without page and number of planes, it is all pages of the file."""
    folder = tmp_path / "set"
    folder.mkdir()
    places = "".join(
        f'<TiffData FirstT="{t}"><UUID FileName="m{t}.tif">urn:uuid:{t}</UUID></TiffData>'
        for t in range(3)
    )
    (folder / "a.companion.ome").write_text(
        f'<?xml version="1.0"?><OME {OME}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYCZT" Type="uint16" SizeX="40" SizeY="30" SizeC="2" SizeZ="1" SizeT="3">'
        f"{places}</Pixels></Image></OME>"
    )
    for t in range(3):
        write(folder / f"m{t}.tif", pages(2) + 10 * t)
    assert values(inspect(folder)) == [[0, 1], [10, 11], [20, 21]]


def test_two_positions_side_by_side_are_not_mixed_up(tmp_path):
    uuid = "urn:uuid:0000000{}-0000-0000-0000-000000000000"
    images = "".join(
        f'<Image ID="Image:{p}" Name="Pos{p}"><Pixels ID="Pixels:{p}" DimensionOrder="XYCZT" '
        f'Type="uint16" SizeX="40" SizeY="30" SizeC="1" SizeZ="1" SizeT="3" PhysicalSizeX="{p + 1}"'
        f' PhysicalSizeY="{p + 1}"><Channel ID="Channel:{p}:0" Name="GFP"/>'
        + "".join(
            f'<TiffData FirstT="{t}" IFD="{t}" PlaneCount="1"><UUID '
            f'FileName="exp_MMStack_Pos{p}.ome.tif">{uuid.format(p)}</UUID></TiffData>'
            for t in range(3)
        )
        + "</Pixels></Image>"
        for p in range(2)
    )
    for p in range(2):
        xml = f'<?xml version="1.0"?><OME {OME} UUID="{uuid.format(p)}">{images}</OME>'
        write(tmp_path / f"exp_MMStack_Pos{p}.ome.tif", pages(3) + 10 * p, description=xml)
    for p in range(2):
        for manifest in (
            inspect(tmp_path / f"exp_MMStack_Pos{p}.ome.tif"),
            inspect(tmp_path, position=f"Pos{p}"),
        ):
            assert values(manifest) == [[10 * p], [10 * p + 1], [10 * p + 2]]
            assert manifest.pixel_size_um == p + 1
    assert [p.key for p in positions_of(tmp_path)] == ["Pos0", "Pos1"]


def test_images_of_one_file_are_positions(tmp_path):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for p, name in enumerate(("left well", "right well")):
            metadata = {"axes": "TYX", "Name": name}
            tif.write(pages(3) + 10 * p, photometric="minisblack", metadata=metadata)
    assert [(p.name, p.key) for p in positions_of(path)] == [
        ("left well", "left_well"),
        ("right well", "right_well"),
    ]
    with pytest.raises(InputError, match=r"several positions \(left_well, right_well\)"):
        inspect(path)
    assert values(inspect(path, position="right_well")) == [[10], [11], [12]]
    assert values(inspect(tmp_path, position="left well")) == [[0], [1], [2]]


# Z planes, channels last, four stains.


def test_z_stacks_of_a_movie(tmp_path):
    frames = np.random.default_rng(0).integers(0, 100, (2, 3, 2, *SHAPE), dtype=np.uint16)
    frames[:, 1] += np.indices(SHAPE).sum(0).astype(np.uint16) % 2 * 2000  # the sharpest plane
    write(tmp_path / "tz.tif", frames, imagej=True, metadata={"axes": "TZCYX"})
    for options in ({}, {"format": "tiff_stack"}):
        with pytest.raises(InputError, match=r"z axis of 3 planes.*z_policy") as refused:
            inspect(tmp_path / "tz.tif", **options)
        assert "tiff_stack" not in str(refused.value)  # there is a time axis already
    expected = {
        "max": frames.max(1),
        "mean": np.rint(frames.mean(1)).astype(np.uint16),
        "focus": frames[:, 1],
        "one": frames[:, 1],
    }
    for policy, pixels in expected.items():
        manifest = inspect(tmp_path / "tz.tif", z_policy=policy)
        for t in range(2):
            np.testing.assert_array_equal(read_frame(manifest, t), pixels[t])
            window = read_frame(manifest, t, window=(3, 20, 5, 30))
            np.testing.assert_array_equal(window, pixels[t, :, 3:20, 5:30])
        assert type(manifest).load(_saved(manifest, tmp_path)) == manifest
    np.testing.assert_array_equal(
        read_frame(inspect(tmp_path / "tz.tif", z_policy="one", z_plane=2), 0), frames[0, 2]
    )
    with pytest.raises(InputError, match=r"z planes 0 to 2, expected plane 7.*z_plane"):
        inspect(tmp_path / "tz.tif", z_policy="one", z_plane=7)
    with pytest.raises(InputError, match="plane for the policy `one` only"):
        inspect(tmp_path / "tz.tif", z_policy="max", z_plane=1)
    write(tmp_path / "t.tif", frames[:, 0, 0], imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(InputError, match=r"without z planes.*leave the column `z_plane` empty"):
        inspect(tmp_path / "t.tif", z_plane=0)
    with pytest.raises(InputError, match="for a movie one of max, mean, focus, one"):
        inspect(tmp_path / "tz.tif", z_policy="all")


def _saved(manifest, folder):
    path = folder / "m.json"
    path.write_text(manifest.to_json())
    return path


def test_z_planes_in_names(tmp_path):
    for t, z in np.ndindex(3, 3):
        write(tmp_path / f"img_t{t:03d}_z{z:02d}.tif", image(10 * t + z))
    with pytest.raises(InputError, match=r"z planes 0 to 2 in the image names.*z_policy"):
        inspect(tmp_path)
    assert values(inspect(tmp_path, z_policy="max")) == [[2], [12], [22]]
    assert values(inspect(tmp_path, z_policy="one", z_plane=0)) == [[0], [10], [20]]
    (tmp_path / "img_t001_z01.tif").unlink()
    with pytest.raises(InputError, match=r"no z plane 1 beside img_t001_z00\.tif"):
        inspect(tmp_path, z_policy="max")


@pytest.mark.parametrize(("axes", "sizes"), [("ZYX", (5,)), ("ZCYX", (5, 2))])
def test_frames_that_fiji_calls_z_are_read_as_the_refusal_says(tmp_path, axes, sizes):
    write(tmp_path / "a.tif", pages(*sizes), imagej=True, metadata={"axes": axes})
    with pytest.raises(InputError, match="set the column `format` to tiff_stack"):
        inspect(tmp_path / "a.tif")
    manifest = inspect(tmp_path / "a.tif", format="tiff_stack")
    assert manifest.n_frames == 5
    assert len(manifest.channels) == len(sizes)


def test_frames_that_were_saved_as_channels(tmp_path):
    write(tmp_path / "c.tif", pages(5), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=r"5 channels without names in one frame.*tiff_stack"):
        inspect(tmp_path / "c.tif")
    assert inspect(tmp_path / "c.tif", format="tiff_stack").n_frames == 5
    assert inspect(tmp_path / "c.tif", channels=list("abcde")).channels == list("abcde")
    with pytest.raises(InputError, match=r"5 pages.*as many channels .* as each frame has"):
        inspect(tmp_path / "c.tif", format="tiff_stack", channels=["a", "b"])


def test_axes_that_are_not_all_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pages(3, 2), photometric="minisblack")
    with pytest.raises(InputError, match=r"3 x 2 pages .* name the 2 channels in the column"):
        inspect(tmp_path / "a.tif")
    assert inspect(tmp_path / "a.tif", channels=["a", "b"]).n_frames == 3


def test_time_and_z_that_are_not_named_are_not_mixed(tmp_path):
    """Named by their number, channels of 4 frames of 3 z planes were those of 12 frames."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages(4, 3, 2), photometric="minisblack")
    named = {"imagej": True, "metadata": {"axes": "TZCYX"}}
    manifest = follow(
        lambda: inspect(path, channels=["a", "b"], z_policy="max"),
        "export the file again with named axes",
        lambda: tifffile.imwrite(path, pages(4, 3, 2), **named),
    )
    assert manifest.n_frames == 4


@pytest.mark.parametrize("n_frames", [0, 3])
@pytest.mark.parametrize("n_channels", [2, 3, 4])
def test_channels_last(tmp_path, n_frames, n_channels):
    lead = (n_frames,) if n_frames else ()
    pixels = np.random.default_rng(0).integers(0, 999, (*lead, *SHAPE, n_channels), np.uint16)
    write(tmp_path / "a.tif", pixels, metadata={})
    manifest = inspect(tmp_path / "a.tif")
    assert (manifest.n_frames, len(manifest.channels)) == (max(n_frames, 1), n_channels)
    frames = pixels if n_frames else pixels[None]
    for t in range(manifest.n_frames):
        np.testing.assert_array_equal(read_frame(manifest, t), np.moveaxis(frames[t], -1, 0))
    window = read_frame(manifest, 0, window=(2, 9, 3, 30))
    np.testing.assert_array_equal(window, np.moveaxis(frames[0, 2:9, 3:30], -1, 0))


def test_four_stains_are_no_colours_with_opacity(tmp_path):
    rng = np.random.default_rng(0)
    stains = rng.integers(0, 255, (*SHAPE, 4), np.uint8)
    write(tmp_path / "stains.tif", stains, photometric="rgb", extrasamples=["unassalpha"])
    manifest = inspect(tmp_path / "stains.tif")
    assert len(manifest.channels) == 4
    np.testing.assert_array_equal(read_frame(manifest, 0), np.moveaxis(stains, -1, 0))
    stains[..., 3] = np.where(stains[..., 0] > 9, 255, 0)
    write(tmp_path / "rgba.tif", stains, photometric="rgb", extrasamples=["unassalpha"])
    assert inspect(tmp_path / "rgba.tif").channels == ["R", "G", "B"]
    named = inspect(tmp_path / "rgba.tif", channels=list("abcd"))
    assert named.channels == list("abcd")


def test_stacks_of_a_split_movie_are_joined_in_order(tmp_path):
    for i in (8, 9, 10):
        write(tmp_path / f"movie_{i}.tif", pages(2) + 10 * i)
    manifest = inspect(tmp_path)
    assert values(manifest) == [[80], [81], [90], [91], [100], [101]]
    sentence = "3 stacks are joined in time: movie_8.tif, movie_9.tif, movie_10.tif."
    assert sentence in manifest.warnings
    (tmp_path / "movie_9.tif").unlink()
    write(tmp_path / "movie_11.tif", pages(2))
    with pytest.raises(InputError, match=r"no frame 9 after movie_8\.tif"):
        inspect(tmp_path)


@pytest.mark.parametrize("name", ["Index.idx.xml", "metadata.txt", "movie"])
def test_a_file_that_is_no_image_is_told(tmp_path, name):
    """The advice was to copy it again from the microscope."""
    write(tmp_path / "exp/t0.tif", image())
    (tmp_path / "exp" / name).write_text("<xml>")
    follow(
        lambda: inspect(tmp_path / "exp" / name),
        "name the folder of the images",
        then=lambda: inspect(tmp_path / "exp"),
    )
    write(tmp_path / "whole_slide.svs", image(3))
    assert values(inspect(tmp_path / "whole_slide.svs")) == [[3]]


@pytest.mark.parametrize("name", ["results.h5", "movie.nd"])
def test_a_table_beside_folders_of_channels_is_no_movie(tmp_path, name):
    """Analyses are saved as HDF5 beside the images; MetaMorph lists its images in .nd."""
    for channel in ("DAPI", "GFP"):
        for t in range(2):
            write(tmp_path / channel / f"t{t}.tif", image(t))
    (tmp_path / name).write_bytes(b"\x89HDF")
    manifest = inspect(tmp_path)
    assert manifest.channels == ["DAPI", "GFP"]
    assert f"{name} ({foreign.maker_of(tmp_path / name).name}) is not read." in manifest.warnings


@pytest.mark.parametrize(
    ("sign", "method"),
    [
        ("feature_expression/SS2.tissue.gef", "Stereo-seq"),
        ("spatial/tissue_positions.csv", "Visium"),
    ],
)
def test_counts_in_a_folder_beside_that_of_the_images_are_told(tmp_path, sign, method):
    write(tmp_path / "outs/image/ssDNA_regist.tif", image())
    file = tmp_path / "outs" / sign
    file.parent.mkdir()
    file.write_bytes(b"")
    with pytest.raises(InputError, match=f"counts of {method}"):
        inspect(tmp_path)
    assert inspect(tmp_path / "outs/image").n_frames == 1


# OME-Zarr of other programs.

AXES = [
    {"name": "t", "type": "time", "unit": "minute"},
    {"name": "c", "type": "channel"},
    *({"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"),
]


def write_zarr(path, version, pixels, axes, scale, channels=(), where=""):
    group = zarr.open_group(path, mode="a", zarr_format=2 if version == "0.4" else 3)
    for part in filter(None, where.split("/")):
        group = group.require_group(part)
    array = group.create_array(
        "0", shape=pixels.shape, dtype=pixels.dtype, chunks=(1,) * (pixels.ndim - 2) + (16, 16)
    )
    array[:] = pixels
    transform = {"type": "scale", "scale": scale}
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [transform]}]}
    attributes = {"multiscales": [image]}
    if channels:
        attributes["omero"] = {"channels": [{"label": name} for name in channels]}
    set_ome(group, version, attributes)


def set_ome(group, version, attributes):
    if version == "0.4":
        group.attrs.update(attributes)
    else:
        group.attrs["ome"] = {"version": version} | attributes


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_movie(tmp_path, version):
    pixels = np.random.default_rng(0).integers(0, 999, (3, 2, 1, *SHAPE), np.uint16)
    path = tmp_path / "movie.zarr"
    write_zarr(path, version, pixels, AXES, [5, 1, 1, 650, 650], ["GFP", "H2B"])
    for where in (path, tmp_path):
        manifest = inspect(where)
        assert manifest.format == "ome_zarr"
        assert manifest.channels == ["GFP", "H2B"]
        assert manifest.pixel_size_um == pytest.approx(0.65)
        assert manifest.frame_interval_s == 300
        np.testing.assert_array_equal(read_frame(manifest, 2), pixels[2, :, 0])
        window = read_frame(manifest, 1, ["H2B"], (3, 20, 5, 33))
        np.testing.assert_array_equal(window, pixels[1, 1:, 0, 3:20, 5:33])
    assert type(manifest).load(_saved(manifest, tmp_path)) == manifest


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_z_planes_of_an_ome_zarr(tmp_path, version):
    pixels = np.random.default_rng(0).integers(0, 999, (2, 1, 3, *SHAPE), np.uint16)
    write_zarr(tmp_path / "a.zarr", version, pixels, AXES, [5, 1, 300, 650, 650])
    with pytest.raises(InputError, match=r"z axis of 3 planes.*z_policy"):
        inspect(tmp_path / "a.zarr")
    for policy, expected in (("max", pixels.max(2)), ("one", pixels[:, :, 1])):
        manifest = inspect(tmp_path / "a.zarr", z_policy=policy)
        np.testing.assert_array_equal(read_frame(manifest, 1), expected[1])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_gives_its_positions(tmp_path, version):
    path = tmp_path / "plate.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    wells = [("A", "1", 2), ("B", "03", 1)]
    plate = {"wells": [{"path": f"{row}/{column}"} for row, column, _ in wells]}
    set_ome(root, version, {"plate": plate})
    for i, (row, column, n_fields) in enumerate(wells):
        well = root.require_group(row).require_group(column)
        set_ome(well, version, {"well": {"images": [{"path": str(f)} for f in range(n_fields)]}})
        for f in range(n_fields):
            write_zarr(
                path,
                version,
                pages(2, 1, 1) + 10 * i + f,
                AXES,
                [1] * 5,
                where=f"{row}/{column}/{f}",
            )
    found = positions_of(path)
    assert [(p.key, p.well) for p in found] == [
        ("A01-f0", "A01"),
        ("A01-f1", "A01"),
        ("B03", "B03"),
    ]
    assert values(inspect(path, position="A01-f1")) == [[1], [2]]
    assert values(inspect(path, position="B03")) == [[10], [11]]
    with pytest.raises(InputError, match="several positions"):
        inspect(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_series_of_bioformats2raw(tmp_path, version):
    path = tmp_path / "series.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    set_ome(root, version, {"bioformats2raw.layout": 3})
    for key in ("0", "1"):
        write_zarr(path, version, pages(2, 1, 1) + 10 * int(key), AXES, [1] * 5, where=key)
    assert [p.key for p in positions_of(path)] == ["series0", "series1"]
    assert values(inspect(path, position="series1")) == [[10], [11]]


def test_zarr_that_is_no_image(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs["a"] = 1
    with pytest.raises(InputError, match="neither multiscales nor plate"):
        inspect(tmp_path / "a.zarr")
    write_zarr(tmp_path / "b.zarr", "0.4", image(), AXES[:2], [1, 1])
    with pytest.raises(InputError, match="axes tc"):
        inspect(tmp_path / "b.zarr")


def test_written_by_ome_zarr_py(tmp_path):
    writer = pytest.importorskip("ome_zarr.writer")
    pixels = np.random.default_rng(0).integers(0, 999, (2, 2, 1, 64, 64), np.uint16)
    from ome_zarr.format import FormatV04, FormatV05

    for version, format_ in (("0.4", FormatV04()), ("0.5", FormatV05())):
        path = tmp_path / f"{version}.zarr"
        axes = [dict(a) for a in AXES]
        steps = [[5.0, 1.0, 1.0, 650.0 * 2**i, 650.0 * 2**i] for i in range(5)]
        scales = [[{"type": "scale", "scale": step}] for step in steps]
        writer.write_image(
            pixels,
            str(path),
            fmt=format_,
            axes=axes,
            scaler=None,
            coordinate_transformations=scales,
        )
        manifest = inspect(path)
        assert manifest.pixel_size_um == pytest.approx(0.65)
        np.testing.assert_array_equal(read_frame(manifest, 1), pixels[1, :, 0])
