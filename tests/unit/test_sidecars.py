"""Files beside images tell of these images, and of no others."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cellsam_core as cc
from cellsam_core.files.sidecars import find_sidecar

SIZE = (30, 40)
T = (0, 1, 2)


def image(path: Path, shape: tuple[int, ...] = SIZE, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, **({"metadata": None} | options))


def look(path: Path, **options: object) -> cc.Manifest:
    return cc.inspect(path, assay="movie", options=cc.InspectOptions(**options))


def micro_manager(folder: Path, width: int = SIZE[1], cut: int = 0) -> None:
    frames = {}
    for t in T:
        name = f"img_channel000_position000_time{t:09d}_z000.tif"
        image(folder / name)
        said = {"FileName": name, "PixelSizeUm": 0.1, "ElapsedTime-ms": 5000 * t, "Width": width}
        frames[f"FrameKey-{t}-0-0"] = said | {"Notes": "x" * 200_000}
    text = json.dumps({"Summary": {"ChNames": ["GFP"]}} | frames, indent=1)
    (folder / "metadata.txt").write_text(text[: len(text) - cut])


def test_files_of_micro_manager_tell_of_no_other_images(tmp_path):
    """Images that were made smaller, in a folder below or in place, had the size of the first."""
    micro_manager(tmp_path / "run")
    assert look(tmp_path / "run").pixel_size_um == 0.1
    for t in T:
        image(tmp_path / "run" / "small" / f"cells_t{t}.tif", (15, 20))
    found = look(tmp_path / "run" / "small")
    assert (found.pixel_size_um, found.frame_interval_s) == (None, None)
    assert "does not name all of these images" in found.warnings[0]
    micro_manager(tmp_path / "binned", width=80)
    found = look(tmp_path / "binned")
    assert (found.pixel_size_um, found.frame_interval_s) == (None, 5)
    assert "images that are 80 px wide, and these are 40 px wide" in found.warnings[0]


def test_metadata_of_a_run_that_broke_off_are_read_to_their_end(tmp_path):
    micro_manager(tmp_path, cut=5)
    found = look(tmp_path)
    assert found.pixel_size_um is None
    assert "does not name all" in found.warnings[0]
    (tmp_path / "img_channel000_position000_time000000002_z000.tif").unlink()
    found = look(tmp_path)
    assert (found.n_frames, found.pixel_size_um, found.frame_interval_s) == (2, 0.1, 5)


def test_wavelengths_are_those_of_the_plate(tmp_path):
    """With the files of two plates in the folder above, the first one named all channels."""
    for plate, names in {"A": ("DAPI", "GFP"), "B": ("TRITC", "Cy5")}.items():
        waves = "".join(f'"WaveName{i}", "{name}"\n' for i, name in enumerate(names, 1))
        (tmp_path / f"{plate}.HTD").write_text(waves)
    for t, w in itertools.product((1, 2), (1, 2)):
        image(tmp_path / f"TimePoint_{t}" / f"B_A01_s1_w{w}.TIF")
    assert look(tmp_path).channels == ["TRITC", "Cy5"]
    (tmp_path / "B.HTD").unlink()
    assert look(tmp_path).channels == ["w1", "w2"]


def las_x(path: Path, stamps: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<Data><Image><DimensionDescription DimID="X" NumberOfElements="40" Length="19.5" '
        f'Unit="um" Voxel="0.5"/><TimeStampList>{stamps}</TimeStampList></Image></Data>'
    )


@pytest.mark.parametrize("other", ["Series001_Properties.xml", "MetaData/Series001_Properties.xml"])
def test_properties_of_another_series_are_not_used(tmp_path, other):
    las_x(tmp_path / other)
    for t in T:
        image(tmp_path / f"Series0010_t{t:03d}_ch00.tif")
    assert look(tmp_path).pixel_size_um is None


def test_the_properties_of_las_x_tell_times(tmp_path):
    """One time for each plane, in the clock of Windows: two channels, 90 s between the frames."""
    ticks = [1000 * c + 900_000_000 * t for t in T for c in (0, 1)]
    first = 0x1DBCF0A11223344
    stamps = " ".join(f"{first + tick:x}" for tick in ticks)
    las_x(tmp_path / "MetaData" / "Series001_Properties.xml", stamps)
    for t, c in itertools.product(T, (0, 1)):
        image(tmp_path / f"Series001_t{t:03d}_ch0{c}.tif")
    found = look(tmp_path)
    assert (found.pixel_size_um, found.frame_interval_s) == (0.5, 90)


def test_metadata_that_zen_exports_tell_the_size_of_a_pixel(tmp_path):
    for t in T:
        image(tmp_path / f"Exp-01_t{t:02d}_ORG.tif")
    (tmp_path / "Exp-01_metadata.xml").write_text(
        "<ImageDocument><Metadata><Information><Image><SizeX>40</SizeX></Image></Information>"
        '<Scaling><Items><Distance Id="X"><Value>6.45e-07</Value></Distance></Items></Scaling>'
        "</Metadata></ImageDocument>"
    )
    assert look(tmp_path).pixel_size_um == pytest.approx(0.645)


def test_the_file_of_prairie_view_is_read(tmp_path):
    run = tmp_path / "TSeries-001"
    frames = ""
    for t in T:
        files = ""
        for c, channel in ((1, "Red"), (2, "Green")):
            name = f"TSeries-001_Cycle00001_Ch{c}_{t + 1:06d}.ome.tif"
            image(run / name)
            files += f'<File channel="{c}" channelName="{channel}" page="1" filename="{name}"/>'
        frames += f'<Frame relativeTime="{30 * t}" absoluteTime="{30 * t + 4}">{files}</Frame>'
    (run / "TSeries-001.xml").write_text(
        '<PVScan version="5.5"><PVStateShard><PVStateValue key="micronsPerPixel">'
        '<IndexedValue index="XAxis" value="1.1"/><IndexedValue index="YAxis" value="1.1"/>'
        '<IndexedValue index="ZAxis" value="5"/></PVStateValue>'
        '<PVStateValue key="pixelsPerLine" value="40"/></PVStateShard>'
        f'<Sequence type="TSeries Timed Element" cycle="1">{frames}</Sequence></PVScan>'
    )
    found = look(run)
    assert (found.channels, found.n_frames) == (["Red", "Green"], 3)
    assert (found.pixel_size_um, found.frame_interval_s) == (1.1, 30)


def test_a_folder_is_listed_once_for_all_its_images(tmp_path, monkeypatch):
    micro_manager(tmp_path)
    listed = []
    own = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: listed.append(folder) or own(folder))
    for t in T:
        name = f"img_channel000_position000_time{t:09d}_z000.tif"
        assert find_sidecar(tmp_path / name)[0].name == "metadata.txt"
    assert len(listed) == 1


def test_stains_in_file_names_are_not_renamed(tmp_path):
    """Cy3 was called as the camera is in the OME-XML."""
    for t, (c, name) in itertools.product(T, (("Cy3", "Camera A"), ("Cy5", "Camera B"))):
        metadata = {"axes": "YX", "Channel": {"Name": [name]}}
        image(tmp_path / f"m_t{t}_{c}.ome.tif", metadata=metadata)
    assert look(tmp_path).channels == ["Cy3", "Cy5"]


def test_the_names_of_a_plate_are_read_once_for_all_positions(tmp_path, monkeypatch):
    """`check` read them anew for each: 384 positions of 7,680 images took minutes."""
    from cellsam_core.samples import movie_search

    for well, t in itertools.product(("A01", "A02"), T):
        image(tmp_path / "images" / f"{well}_t{t}.tif")
    for folder in (tmp_path / "images", tmp_path):
        os.utime(folder, (1e9, 1e9))
    searched, own = [], movie_search._find_in_folder
    monkeypatch.setattr(
        movie_search, "_find_in_folder", lambda *given: searched.append(1) or own(*given)
    )
    assert [look(tmp_path, position=well).n_frames for well in ("A01", "A02")] == [3, 3]
    assert len(searched) == 1
    image(tmp_path / "images" / "A02_t3.tif")
    assert [look(tmp_path, position=well).n_frames for well in ("A01", "A02")] == [3, 4]
    assert len(searched) == 3, "a folder that has just changed may change again"
