"""Microscopes' own files through the extra `bioio`, from the smallest files that can be written."""

from __future__ import annotations

import importlib.util
import struct
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest

from cellsam_core.errors import InputError
from cellsam_core.files import bioio_files
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.positions import positions_of

pytestmark = pytest.mark.filterwarnings("ignore")


def inspect(path, **options):
    return inspect_movie(path, sample="s", assay="movie", **options)


def values(manifest):
    return [read_frame(manifest, t)[:, 0, 0].tolist() for t in range(manifest.n_frames)]


def pixels(t, c, z=0, position=0):
    return np.full((30, 40), 1000 * position + 100 * z + 10 * t + c, np.uint16)


def write_czi(path, n_z=1):
    czi = pytest.importorskip("pylibCZIrw.czi", reason="nothing that writes .czi is installed")
    with czi.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(3, 2, n_z):
            file.write(pixels(t, c, z)[..., None], plane={"T": t, "C": c, "Z": z})
        names = {0: "GFP", 1: "H2B"}
        file.write_metadata("a", channel_names=names, scale_x=0.65e-6, scale_y=0.65e-6)


def test_zeiss(tmp_path):
    pytest.importorskip("bioio_czi", reason="the extra bioio is not installed")
    write_czi(tmp_path / "movie.czi")
    for path in (tmp_path / "movie.czi", tmp_path):
        manifest = inspect(path)
        assert manifest.format == "czi"
        assert manifest.channels == ["GFP", "H2B"]
        assert manifest.pixel_size_um == pytest.approx(0.65)
        assert values(manifest) == [[0, 1], [10, 11], [20, 21]]
    window = read_frame(manifest, 1, ["H2B"], (2, 9, 3, 30))
    assert window.shape == (1, 7, 27)
    assert manifest.planes[0][0].series == "scene 0"


def test_z_planes_of_zeiss(tmp_path):
    pytest.importorskip("bioio_czi", reason="the extra bioio is not installed")
    write_czi(tmp_path / "movie.czi", n_z=3)
    with pytest.raises(InputError, match=r"z axis of 3 planes.*z_policy"):
        inspect(tmp_path / "movie.czi")
    assert values(inspect(tmp_path / "movie.czi", z_policy="max")) == [
        [200, 201],
        [210, 211],
        [220, 221],
    ]
    assert values(inspect(tmp_path / "movie.czi", z_policy="one")) == [
        [100, 101],
        [110, 111],
        [120, 121],
    ]


def test_a_damaged_file_is_refused(tmp_path):
    pytest.importorskip("bioio_czi", reason="the extra bioio is not installed")
    (tmp_path / "movie.czi").write_bytes(b"ZISRAWFILE" + bytes(300))
    with pytest.raises(InputError, match=r"movie.czi: found a file that can't be read.*Zeiss"):
        inspect(tmp_path / "movie.czi")


def test_scenes_of_zeiss_without_names_are_no_silent_loss(tmp_path):
    pytest.importorskip("bioio_czi", reason="the extra bioio is not installed")
    czi = pytest.importorskip("pylibCZIrw.czi", reason="nothing that writes .czi is installed")
    with czi.create_czi(str(tmp_path / "movie.czi")) as file:
        for t, scene in np.ndindex(3, 2):
            place = {"scene": scene, "location": (200 * scene, 0)}
            file.write(pixels(t, scene)[..., None], plane={"T": t, "C": 0, "Z": 0}, **place)
        file.write_metadata("a", channel_names={0: "GFP"}, scale_x=0.65e-6, scale_y=0.65e-6)
    with pytest.raises(InputError, match="2 scenes, of which only 1 can be opened by name"):
        inspect(tmp_path / "movie.czi")


def lif_element(name, block, n_frames):
    """Describe one series in the words of LAS X."""
    n_bytes = 40 * 30 * 2
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" Min="0" Max="65535" '
        f'Unit="" LUTName="{lut}" IsLUTInverted="0" BytesInc="{c * n_bytes}" BitInc="0" '
        'NameOfMeasuredQuantity=""/>'
        for c, lut in enumerate(("Green", "Red"))
    )
    axes = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{length}" '
        f'Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
        for axis, n, length, unit, step in (
            (1, 40, 39 * 0.5e-6, "m", 2),
            (2, 30, 29 * 0.5e-6, "m", 80),
            (4, n_frames, 60.0 * (n_frames - 1), "s", 2 * n_bytes),
        )
    )
    return (
        f'<Element Name="{name}" Visibility="1" CopyOption="1" UniqueID="{block}"><Data>'
        f"<Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{axes}</Dimensions>"
        f'</ImageDescription></Image></Data><Memory Size="{2 * n_frames * n_bytes}" '
        f'MemoryBlockID="{block}"/></Element>'
    )


def write_lif(path, names, n_frames=3):
    elements = "".join(lif_element(n, f"MemBlock_{i}", n_frames) for i, n in enumerate(names))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" Visibility="1" CopyOption="1" '
        'UniqueID="0"><Data><Experiment Path="a"/></Data><Memory Size="0" MemoryBlockID="none"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    for i in range(len(names)):
        frames = [pixels(t, c, position=i) for t in range(n_frames) for c in range(2)]
        data, block = np.stack(frames).tobytes(), f"MemBlock_{i}".encode("utf-16-le")
        content += struct.pack("<II", 0x70, len(block) + 14)
        content += struct.pack("<BQBI", 0x2A, len(data), 0x2A, len(block) // 2) + block + data
    path.write_bytes(content)


def test_leica_with_two_positions(tmp_path):
    pytest.importorskip("bioio_lif", reason="the extra bioio is not installed")
    path = tmp_path / "movie.lif"
    write_lif(path, ["Position 1", "Position 2"])
    found = positions_of(path)
    assert len(found) == 2
    assert all("Position" in p.key for p in found)
    for i, position in enumerate(found):
        manifest = inspect(path, position=position.key)
        assert manifest.format == "lif"
        assert manifest.pixel_size_um == pytest.approx(0.5)
        expected = [[1000 * i + 10 * t, 1000 * i + 10 * t + 1] for t in range(3)]
        assert values(manifest) == expected
    with pytest.raises(InputError, match="several positions"):
        inspect(path)


def test_nikon(shared_data, tmp_path):
    pytest.importorskip("bioio_nd2", reason="the extra bioio is not installed")
    files = sorted(shared_data.rglob("*.nd2"))
    if not files:
        pytest.skip("no package writes .nd2, and there is none among the real data")
    assert inspect(files[0], position=positions_of(files[0])[0].key or None).n_frames


class Dimensions:
    """Sizes of one scene, as ``BioImage.dims``."""

    T, C, Z, Y, X = 3, 2, 2, 30, 40


class Sizes(NamedTuple):
    """Sizes of a voxel, as ``BioImage.physical_pixel_sizes``."""

    Z: float | None = None
    Y: float | None = 0.65
    X: float | None = 0.65


class Image:
    """What the adapter uses of ``bioio.BioImage`` 3: names and behaviour are those of its docs."""

    scenes = ("Position 1", "Position 2")
    dims = Dimensions()
    physical_pixel_sizes = Sizes()
    channel_names = ("GFP", "H2B")
    dtype = np.dtype(">u2")
    time_interval = timedelta(seconds=120)
    current_scene_index = 0

    def set_scene(self, index):
        self.current_scene_index = index

    @property
    def ome_metadata(self):
        raise NotImplementedError("this reader has no OME metadata")

    def get_image_dask_data(self, axes, *, T, C, Z):
        assert axes == "YX"
        plane = pixels(T, C, Z, self.current_scene_index)
        return pytest.importorskip("dask.array").from_array(plane)


@pytest.mark.parametrize("suffix", ["nd2", "czi", "lif"])
def test_an_object_of_the_interface_of_bioio(tmp_path, monkeypatch, suffix):
    """The adapter without a reader of a maker: scenes, z planes, sizes, times, windows."""
    monkeypatch.setattr(bioio_files, "_image", lambda _path, _modified: images)
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: name.startswith("bioio") or spec(name)
    )
    images = Image()
    path = tmp_path / f"movie.{suffix}"
    path.write_bytes(b"0")
    assert [p.key for p in positions_of(path)] == ["Position_1", "Position_2"]
    for i, key in enumerate(("Position_1", "Position_2")):
        manifest = inspect(path, position=key, z_policy="max")
        assert manifest.format == suffix
        assert manifest.channels == ["GFP", "H2B"]
        assert (manifest.pixel_size_um, manifest.frame_interval_s) == (0.65, 120)
        first = 1000 * i + 100
        expected = [[first + 10 * t, first + 10 * t + 1] for t in range(3)]
        assert values(manifest) == expected
    assert read_frame(manifest, 1, ["H2B"], (2, 9, 3, 30)).shape == (1, 7, 27)
    with pytest.raises(InputError, match="z axis of 2 planes") as refused:
        inspect(path, position="Position_1")
    assert "tiff_stack" not in str(refused.value)
