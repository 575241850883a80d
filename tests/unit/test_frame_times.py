"""Times of frames from files and names, channels with gaps, and the camera's ceiling."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.tiff.scales import scales_of_tiff
from cellsam_core.reporting.units import Units
from cellsam_core.samples.frames import read_frame, refuse_missing_frames
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.traces.files import read_options, read_ratios, responses_of, write_traces
from cellsam_core.traces.intensities import measure_frame, usable_pixels
from cellsam_core.traces.options import TraceOptions
from cellsam_core.traces.ratios import trace_frames
from cellsam_core.traces.settings import TraceSettings

SHAPE = (64, 64)
OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
UNEVEN = (0.0, 60.0, 120.0, 720.0, 1320.0)


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **{"photometric": "minisblack", "metadata": None} | options)


def frame(value=100, shape=SHAPE):
    noise = np.random.default_rng(value).integers(0, 40, shape)
    return (noise + value).astype(np.uint16)


def inspect(path, **options):
    return inspect_movie(path, sample="s", assay="movie", **options)


def write_ome(path, times, unit="s", bits=None, pixels=None):
    planes = "".join(
        f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{s}" DeltaTUnit="{unit}"/>'
        for t, s in enumerate(times)
    )
    significant = f'SignificantBits="{bits}"' if bits else ""
    xml = (
        f'<?xml version="1.0"?><OME {OME}><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYCZT" Type="uint16" {significant} SizeX="64" SizeY="64" SizeC="1" '
        f'SizeZ="1" SizeT="{len(times)}" TimeIncrement="2"><Channel ID="Channel:0:0" Name="GFP"/>'
        f"<TiffData/>{planes}</Pixels></Image></OME>"
    )
    pixels = np.stack([frame(100 + t) for t in range(len(times))]) if pixels is None else pixels
    write(path, pixels, description=xml)


def test_delta_t_of_ome_tiff_is_the_time_of_each_frame(tmp_path):
    write_ome(tmp_path / "uneven.ome.tif", UNEVEN)
    manifest = inspect(tmp_path / "uneven.ome.tif")
    assert manifest.frame_times_s == list(UNEVEN)
    assert manifest.times_s == list(UNEVEN)
    assert manifest.frame_interval_s is None
    assert manifest.warnings == [
        "Frames are unevenly spaced, 60 to 600 s apart: the time of each frame is used."
    ]
    path = tmp_path / "m.json"
    path.write_text(manifest.to_json())
    assert Manifest.load(path) == manifest


def test_real_times_win_over_the_planned_interval(tmp_path):
    write_ome(tmp_path / "even.ome.tif", [100.0, 102.4, 104.8, 107.2], unit="ms")
    manifest = inspect(tmp_path / "even.ome.tif")
    assert manifest.frame_interval_s == pytest.approx(0.0024)
    assert manifest.warnings == []


def test_an_interval_of_the_sheet_wins_and_what_the_files_say_is_told(tmp_path):
    write_ome(tmp_path / "a.ome.tif", UNEVEN)
    manifest = inspect(tmp_path / "a.ome.tif", frame_interval_s=60)
    assert (manifest.frame_interval_s, manifest.frame_times_s) == (60, None)
    assert "by the files the last of 5 frames is at 1320 s, not 240 s" in manifest.warnings[0]


def test_times_that_do_not_rise_are_not_used(tmp_path):
    write_ome(tmp_path / "a.ome.tif", [0, 0, 0])
    manifest = inspect(tmp_path / "a.ome.tif")
    assert (manifest.frame_interval_s, manifest.frame_times_s) == (2, None)


@pytest.mark.parametrize(
    ("clocks", "times", "interval"),
    [
        (("00d00h00m", "00d00h30m", "00d01h00m"), [0, 1800, 3600], 1800),
        (("00d00h00m", "00d00h10m", "00d01h10m"), [0, 600, 4200], None),
        (("5min", "10min", "60min"), [0, 300, 3300], None),
        (("0h", "1h", "2h"), [0, 3600, 7200], 3600),
    ],
)
def test_clocks_in_names(tmp_path, clocks, times, interval):
    for i, clock in enumerate(clocks):
        write(tmp_path / f"VID1_A1_1_{clock}.tif", frame(100 + i))
    manifest = inspect(tmp_path)
    assert manifest.frame_times_s == times
    assert manifest.frame_interval_s == interval


def test_metadata_of_micro_managers_single_files(tmp_path):
    for t, ms in enumerate((5, 2005, 9005)):
        tag = {"PixelSizeUm": 0.325, "ElapsedTime-ms": ms, "BitDepth": 12}
        extra = [(51123, "s", 0, json.dumps(tag), True)]
        write(tmp_path / f"img_{t:09d}_GFP_000.tif", frame(100 + t), extratags=extra)
    manifest = inspect(tmp_path)
    assert manifest.pixel_size_um == 0.325
    assert manifest.frame_times_s == [0, 2, 9]
    assert manifest.saturation_values == [4095]


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("um", 0.5),
        ("micron", 0.5),
        ("nm", 0.0005),
        ("mm", 500),
        ("cm", 5000),
        ("inch", None),
        ("pixel", None),
    ],
)
def test_units_of_imagej(tmp_path, unit, size):
    path = tmp_path / "a.tif"
    options = {"imagej": True, "resolution": (2, 2), "metadata": {"axes": "TYX", "unit": unit}}
    write(path, np.stack([frame(), frame(200)]), **options)
    assert inspect(path).pixel_size_um == (None if size is None else pytest.approx(size))


# Times in tables and figures.


def discs(t, gfp=1000, missing=()):
    """Two channels ``(c, y, x)`` and labels of one cell."""
    labels = np.zeros(SHAPE, np.uint16)
    y, x = np.ogrid[:64, :64]
    labels[(y - 30) ** 2 + (x - 30) ** 2 < 80] = 1
    image = np.stack([frame(100 + t), frame(200 + t)]).astype(np.float32)
    image[0][labels > 0] += gfp
    image[1][labels > 0] += 1000
    for c in missing:
        image[c] = np.nan
    return image, labels, pd.DataFrame({"label": [1], "track_id": [1]})


TRACKS = pd.DataFrame(
    {"track_id": [1], "lineage_id": [1], "parent_id": [0], "first_frame": [0], "last_frame": [4]}
)
SETTINGS = TraceSettings(TraceOptions(ratio="GFP/RFP", baseline_frames=3), ("GFP", "RFP"))


def traces(frames, times=None, interval=None, **more):
    tables = trace_frames(frames, ["GFP", "RFP"], TRACKS, SETTINGS, interval, times_s=times, **more)
    return pd.concat(tables, ignore_index=True)


def test_uneven_times_reach_tables_and_responses(tmp_path):
    frames = [discs(t, 2000 if t >= 3 else 1000) for t in range(5)]
    table = traces(frames, UNEVEN)
    assert table["time_s"].tolist() == list(UNEVEN)
    path = tmp_path / "traces.parquet"
    write_traces(path, iter([table]), ["GFP", "RFP"], SETTINGS.record(None, UNEVEN))
    responses = responses_of(read_ratios(path), read_options(path))
    assert (responses.unit, responses.is_even) == ("s", False)
    assert responses.times.tolist() == list(UNEVEN)
    assert responses.drug_time == 720
    row = responses.table.loc[1]
    assert row["peak_time_s"] in (0, 600)
    assert row["auc_s"] == pytest.approx(600, rel=0.05)  # twice as bright for 600 s
    np.testing.assert_allclose(responses.frames_at(np.array([0.0, 420.0, 1320.0])), [0, 2.5, 4])
    np.testing.assert_allclose(responses.frames_at(np.array([-60.0, 2000.0])), [-1, 5])


def test_figures_know_uneven_times():
    units = Units(None, None, UNEVEN)
    assert units.timed
    assert units.time_label == "time (min)"
    np.testing.assert_allclose(units.times([0, 2, 3, 3.5, 5]), [0, 2, 12, 17, 32])
    np.testing.assert_allclose(Units(None, 60.0).times([0, 2.5]), [0, 2.5])
    np.testing.assert_allclose(Units(None, None).times([0, 2.5]), [0, 2.5])


# Channels that are imaged less often.


def test_a_channel_that_a_frame_lacks_is_missing_there_with_a_reason():
    frames = [discs(t, missing=(0,) if t % 2 else ()) for t in range(5)]
    table = traces(frames, interval=60)
    lacking = table["frame"] % 2 == 1
    assert set(table.loc[lacking, "invalid_reason"]) == {"channel not imaged"}
    assert table.loc[lacking, ["GFP_mean", "GFP_background", "ratio"]].isna().all(axis=None)
    assert table["RFP_mean"].notna().all()
    assert table.loc[~lacking, "valid"].all()
    whole = traces([discs(t) for t in range(5)], interval=60)
    columns = ["RFP_mean", "RFP_background"]
    pd.testing.assert_frame_equal(table[columns], whole[columns])


@pytest.mark.parametrize("there", [(1, 4), (6,), (1, 3, 5)])
@pytest.mark.parametrize("names", ["{c}/t{t:02d}", "t{t:02d}_{c}"])
def test_a_channel_imaged_every_nth_frame_or_once(tmp_path, names, there):
    for t in range(1, 7):
        write(tmp_path / f"{names.format(c='phase', t=t)}.tif", frame(100 + t))
        if t in there:
            write(tmp_path / f"{names.format(c='GFP', t=t)}.tif", frame(200 + t))
    manifest = inspect(tmp_path)
    assert manifest.n_frames == 6
    for t in range(6):
        gfp, phase = read_frame(manifest, t)
        assert np.isfinite(gfp).all() == (t + 1 in there)
        np.testing.assert_array_equal(phase, frame(101 + t))
    assert manifest.warnings[0] == f"Channel GFP is there in {len(there)} of 6 frames."
    with pytest.raises(InputError, match=r"no image of channel GFP.*such as phase"):
        refuse_missing_frames(manifest, ["phase", "GFP"])
    refuse_missing_frames(manifest, ["phase"])
    path = tmp_path / "m.json"
    path.write_text(manifest.to_json())
    assert Manifest.load(path) == manifest


def test_a_lost_frame_of_a_channel_is_refused_unless_the_channel_is_not_used(tmp_path):
    for t in range(1, 7):
        write(tmp_path / f"t{t:02d}_phase.tif", frame())
        if t != 3:
            write(tmp_path / f"t{t:02d}_GFP.tif", frame())
    with pytest.raises(InputError, match=r"t03_phase.tif.*leave a channel out with the column"):
        inspect(tmp_path)
    assert inspect(tmp_path, channels=["phase"]).n_frames == 6


def test_a_binned_channel_is_enlarged(tmp_path):
    small = frame(50, (32, 32))
    write(tmp_path / "phase" / "t1.tif", frame())
    write(tmp_path / "GFP" / "t1.tif", small)
    manifest = inspect(tmp_path)
    assert manifest.shape_yx == SHAPE
    large = small.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(read_frame(manifest, 0, ["GFP"])[0], large)
    window = read_frame(manifest, 0, window=(3, 20, 7, 30))
    np.testing.assert_array_equal(window[0], large[3:20, 7:30])
    assert manifest.warnings == ["t1.tif is binned 2 x 2: each of its pixels stands for 4."]
    write(tmp_path / "GFP" / "t1.tif", frame(50, (48, 48)))
    with pytest.raises(InputError, match=r"48 x 48 px.*leave this channel out"):
        inspect(tmp_path)
    assert inspect(tmp_path, channels=["phase"]).channels == ["phase"]


def test_clocks_of_channels_that_alternate(tmp_path):
    for t in range(6):
        name = ("GFP", "RFP")[t % 2]
        write(tmp_path / f"{name}_00d00h{10 * t:02d}m.tif", frame(100 + t))
    manifest = inspect(tmp_path)
    assert manifest.channels == ["GFP", "RFP"]
    assert manifest.frame_times_s == [0, 1200, 2400]
    write(tmp_path / "GFP_00d01h00m.tif", frame())
    with pytest.raises(InputError, match=r"00d01h00m.tif of channel GFP without its like"):
        inspect(tmp_path)
    assert inspect(tmp_path, channels=["GFP"]).n_frames == 4


# Saturation, padding.


def test_significant_bits_are_the_ceiling(tmp_path):
    write_ome(tmp_path / "a.ome.tif", [0, 1], bits=12)
    assert inspect(tmp_path / "a.ome.tif").saturation_values == [4095]


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_pile_at_the_cameras_largest_value_is_the_ceiling(tmp_path, bits, dtype):
    pixels = frame(100).astype(dtype)
    pixels[20:30, 20:30] = 2**bits - 1
    write(tmp_path / "t0.tif", pixels)
    manifest = inspect(tmp_path)
    assert manifest.saturation_values == [2**bits - 1]
    assert f"as a camera of {bits} bits does" in manifest.warnings[0]


def test_a_pile_elsewhere_is_told_and_noise_is_none(tmp_path):
    pixels = frame(100)
    write(tmp_path / "a" / "t0.tif", pixels)
    assert inspect(tmp_path / "a").warnings == []
    pixels[20:30, 20:30] = 3321  # less a background
    write(tmp_path / "b" / "t0.tif", pixels)
    manifest = inspect(tmp_path / "b")
    assert manifest.saturation_values == [None]
    assert "100 pixels share the largest value" in manifest.warnings[0]


def test_the_ceiling_reaches_the_traces():
    frames = [discs(t) for t in range(5)]
    for image, labels, _ in frames:
        image[0][labels > 0] = 4095
    free = traces(frames, interval=60)
    assert free["GFP_n_saturated"].sum() == 0
    told = traces(frames, interval=60, ceilings=[4095.0, None])
    assert (told["GFP_n_saturated"] > 0).all()
    assert told["RFP_n_saturated"].sum() == 0
    assert set(told["invalid_reason"]) == {"saturated;no baseline"}


@pytest.mark.parametrize("fill", [0, np.nan])
def test_padding_of_drift_correction_is_no_background(fill):
    rng = np.random.default_rng(0)
    labels = np.zeros((256, 256), np.uint16)
    y, x = np.ogrid[:256, :256]
    labels[(y - 70) ** 2 + (x - 60) ** 2 < 100] = 1
    image = rng.normal(3000, 15, (2, 256, 256))
    image[:, labels > 0] += 1500
    plain = measure_frame(image, labels, ["a", "b"], TraceOptions())
    padded = image.copy()
    padded[:, :40], padded[:, :, :40] = fill, fill
    found = measure_frame(padded, labels, ["a", "b"], TraceOptions())
    assert found["a_background"][0] == pytest.approx(plain["a_background"][0], abs=6)
    assert found["a_background_sd"][0] < 20


@pytest.mark.parametrize("uneven", ["gradient", "vignette", "two halves"])
def test_padding_is_found_beside_an_uneven_background(uneven):
    y, x = np.mgrid[:256, :256] / 255
    field = {
        "gradient": 200 + 1400 * (x + y),
        "vignette": 100 + 3000 * np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.12),
        "two halves": np.where(x > 0.5, 4000, 300) + 0 * y,
    }[uneven]
    image = np.random.default_rng(0).normal(field, np.sqrt(field), (2, 256, 256))
    image[:, :30], image[:, :, :20] = 0, 0
    padding = ~usable_pixels(image, np.zeros((256, 256), int))
    assert padding[:30].all()
    assert padding[:, :20].all()
    assert padding.mean() == pytest.approx(1 - 226 * 236 / 256**2, abs=0.001)


def test_dark_pixels_that_are_no_padding_are_background():
    rng = np.random.default_rng(0)
    image = rng.poisson(0.5, (1, 64, 64))
    nothing = np.zeros((64, 64), int)
    assert usable_pixels(image, nothing).all()
    subtracted = np.clip(rng.normal(-20, 15, (1, 64, 64)), 0, None)
    assert usable_pixels(subtracted, nothing).all()
    ramp = np.clip(np.arange(64) - 30, 0, None) + np.zeros((1, 64, 64))
    assert usable_pixels(ramp, nothing).all()  # a surface was subtracted
    empty = np.zeros((1, 64, 64))
    assert usable_pixels(empty, nothing).all()


@pytest.mark.parametrize(
    ("software", "minutes", "interval"),
    [
        ("MetaMorph 7.8.0.0", (0, 10, 20, 30), 600),
        ("MetaMorph 7.8.0.0", (0, 10, 20, 50), None),
        ("MetaMorph 7.8.0.0", (0, 0, 0, 0), None),
        ("ImageJ", (0, 10, 20, 30), None),  # may be when each file was saved
    ],
)
def test_the_clock_of_files_of_one_plane_is_believed_of_metamorph(
    tmp_path, software, minutes, interval
):
    for t, minute in enumerate(minutes):
        when = f"2015:10:24 23:{minute:02d}:0{t % 2}"
        options = {"software": software, "datetime": when}
        write(tmp_path / f"a_Cy5_{t + 605}.tif", frame(t), **options)
    manifest = inspect(tmp_path)
    is_uneven = interval is None and minutes[-1] == 50
    if interval:
        assert manifest.frame_interval_s == pytest.approx(interval, rel=0.01)
        assert manifest.sources["frame_interval_s"] == "metadata of MetaMorph"
    else:
        assert manifest.frame_interval_s is None
    assert (manifest.frame_times_s is not None) == bool(interval or is_uneven)
    first = inspect(tmp_path / "a_Cy5_605.tif", frame_interval_s=5.0)
    assert (first.n_frames, first.frame_interval_s) == (1, 5.0)
    assert not any("interval" in sentence for sentence in first.warnings)


def test_the_time_of_creation_in_metamorphs_tags_goes_before_the_date_of_the_file():
    page = SimpleNamespace(
        tags={}, software="MetaMorph 5.3.0.1", datetime=datetime(2015, 10, 24, 7), description=""
    )
    created = datetime(2015, 10, 24, 6, 58, 45, 980000)
    stk = SimpleNamespace(
        pages=[page], is_imagej=False, is_stk=True, stk_metadata={"CreateTime": created}
    )
    (seconds,) = scales_of_tiff(stk, [None]).times_s
    assert seconds == created.replace(tzinfo=UTC).timestamp()
