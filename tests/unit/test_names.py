"""Names of acquisition programs: time, channel, position and z plane are told apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from cellsam_core.errors import InputError
from cellsam_core.files.names.parts import guess_pattern, parse_names
from cellsam_core.files.names.pattern import compile_pattern
from cellsam_core.files.stains import is_stain

ROOT = Path("/data")
T, C, P, Z = range(1, 7), (1, 2), (1, 2), (1, 2, 3)
DYES = {1: "DAPI", 2: "FITC"}
AMPKAR = ("H2B", "AMPKAR_405", "AMPKAR_480")
WELLS = {1: "B02", 2: "C03"}

# Functions of t, c, p, z; what a program does not write (z of Incucyte) is left out.
SCHEMES = {
    "Micro-Manager 1.4": lambda t, c, p, z: f"Pos{p}/img_{t:09d}_{DYES[c]} low_{z:03d}",
    "Micro-Manager 2": lambda t, c, p, z: (
        f"img_channel{c:03d}_position{p:03d}_time{t:09d}_z{z:03d}"
    ),
    "MetaMorph": lambda t, c, p, z: f"exp1_w{c}{DYES[c]}{' confocal' * (c - 1)}_s{p}_t{t}",
    "ImageXpress, folders": lambda t, c, p, z: (
        f"TimePoint_{t}/ZStep_{z}/Exp_{WELLS[p]}_s1_w{c}9F2A0E6F-1234-4444-8888-{t:06d}{c}{p}{z:04d}"
    ),
    "ImageXpress": lambda t, c, p, z: f"TimePoint_{t}/Exp 7_{WELLS[1]}_s{p}_w{c}",
    "Operetta, Opera Phenix": lambda t, c, p, z: f"r02c0{p + 1}f01p0{z}-ch{c}sk{t}fk1fl1",
    "Operetta, fields": lambda t, c, p, z: f"r02c03f0{p}p0{z}-ch{c}sk{t}fk1fl1",
    "Yokogawa CV7000": lambda t, c, p, z: (
        f"AssayPlate_Greiner_#655090_{WELLS[p]}_T{t:04d}F001L01A0{c}Z{z:02d}C{c:02d}"
    ),
    "Yokogawa CV1000": lambda t, c, p, z: f"W1F00{p}T{t:04d}Z{z:02d}C{c}",
    "IN Cell": lambda t, c, p, z: (
        f"A - 0{p}(fld 1 wv {'UV' if c == 1 else 'Blue'} - {DYES[c]} z {z} time {t} - {t * 500} ms)"
    ),
    "Incucyte": lambda t, c, p, z: (
        f"VID12_{'phase' if c == 1 else 'green'}_{WELLS[p]}_1_00d{t:02d}h30m"
    ),
    "Incucyte, dates": lambda t, c, p, z: (
        f"exp_{WELLS[p]}_1_2026y03m0{1 + t // 5}d_{t * 3:02d}h00m"
    ),
    "Zen": lambda t, c, p, z: f"Experiment-01_s{p}t{t:02d}z{z:02d}c{c}_ORG",
    "LAS X": lambda t, c, p, z: f"Project_Series00{p}_z{z:02d}_t{t:02d}_ch{c:02d}",
    "LAS X, matrix screener": lambda t, c, p, z: (
        f"image--L0000--S00--U00--V0{p}--J08--E00--O00--X00--Y00--T{t:04d}--Z{z:02d}--C{c:02d}"
    ),
    "NIS": lambda t, c, p, z: f"HeLaxy{p:02d}t{t:02d}z{z}c{c}",
    "NIS, capitals": lambda t, c, p, z: f"HeLa_AMPKXY{p:02d}T{t:02d}Z{z}C{c}",
    "Fiji": lambda t, c, p, z: f"movie_t{t:03d}_z{z:03d}_c{c:03d}",
    "Windows": lambda t, c, p, z: f"cells ({t})",
    "SuperSegger": lambda t, c, p, z: f"MG1655t{t:05d}xy{p}c{c}",
    "minutes": lambda t, c, p, z: f"cells_{DYES[c]}_s{p}_{t * 5}min",
    "clock times": lambda t, c, p, z: f"2026-03-01_12-{t * 5:02d}-07_xy{p}_{DYES[c]}",
    "no separators": lambda t, c, p, z: f"{DYES[c]}{t:03d}",
    "base with digits": lambda t, c, p, z: f"H2B1t{t:02d}",
    "scanR": lambda t, c, p, z: (
        f"exp--W00001--P0000{p}--Z0000{z}--T{t:05d}--{'DAPI' if c == 1 else 'Alexa 488'}"
    ),
    "Cytation": lambda t, c, p, z: (
        f"{WELLS[p]}_01_{c}_1_{'Phase Contrast' if c == 1 else 'Tsf[GFP]'}_{t:03d}"
    ),
    "channel folders": lambda t, c, p, z: f"{'H2B' if c == 1 else 'AMPKAR_405'}/img_{t:03d}",
    "wavelengths": lambda t, c, p, z: f"AMPKAR_{405 if c == 1 else 480}_s{p}_t{t:02d}",
    "Operetta, exported": lambda t, c, p, z: f"r01c0{p}f01p01-ch{c}t{t:02d}",
    "Opera Phenix, one plane": lambda t, c, p, z: f"r01c0{p}f01-ch{c}sk{t}fk1fl1",
    "CQ1": lambda t, c, p, z: f"W000{p}F0001T{t:04d}Z{z:03d}C{c}",
    "IN Cell 6500": lambda t, c, p, z: f"B - {p}(fld 01 wv {DYES[c]} - {DYES[c]} time {t})",
    "Incucyte, time first": lambda t, c, p, z: (
        f"00d{t:02d}h00m_{WELLS[p]}_{'Phase' if c == 1 else 'Red'}"
    ),
    "Zen, scenes": lambda t, c, p, z: f"Exp-01_S{p}(1)_T{t}_C{c}",
    "Zen, tiles": lambda t, c, p, z: f"Image 3_s{p}h0t{t}z{z}c{c}x0-512y0-512",
    "Zen, brackets": lambda t, c, p, z: f"exp [S{p}] [T{t:02d}] [C{c}]",
    "LAS X, tiles": lambda t, c, p, z: f"TileScan 1_{WELLS[p]}_t{t:02d}_ch{c:02d}",
    "LAS X, raw": lambda t, c, p, z: f"exp_s{p:02d}_t{t:03d}_RAW_ch{c:02d}",
    "LAS AF, stages": lambda t, c, p, z: f"exp--Stage0{p}--t0{t}--C0{c - 1}",
    "NIS JOBS": lambda t, c, p, z: f"Well{WELLS[p]}_Channel{DYES[c]}_Seq{t:04d}",
    "NIS, multipoints": lambda t, c, p, z: f"exp001m{p:02d}c{c}t{t:02d}",
    "Fiji, split channels": lambda t, c, p, z: f"C{c}-movie{t:04d}",
    "Micro-Manager, stacks": lambda t, c, p, z: f"exp_MMStack_Pos{p}_t{t:03d}_c{c}",
    "Micro-Manager, folders": lambda t, c, p, z: f"1-Pos_00{p}_00{p}/img_{t:09d}_{DYES[c]}_000",
    "EVOS": lambda t, c, p, z: f"scan_Plate_D_p{t:02d}_0_{WELLS[p]}f00d{c}",
    "Olympus": lambda t, c, p, z: f"Image_0001_C00{c}Z00{z}T{t:03d}",
    "Keyence": lambda t, c, p, z: f"exp_XY0{p}_T{t:04d}_Z00{z}_CH{c}",
    "Andor": lambda t, c, p, z: f"Protocol_F{p}_T{t:04d}_C{c}",
    "Andor, counted from 0": lambda t, c, p, z: f"exp_F{p - 1:03d}_T{t:04d}_C{c:02d}",
    "Zen, split scenes": lambda t, c, p, z: f"Exp-05-Split Scenes-{p:02d}_t{t}_c{c}",
    "DeLTA": lambda t, c, p, z: f"Position{p:02d}Channel{c:02d}Frames{t:04d}",
    "SlideBook": lambda t, c, p, z: f"Capture 1 - Position {p}_T{t:03d}_C{c}",
    "Etaluma": lambda t, c, p, z: f"{WELLS[p]}_{'Green' if c == 1 else 'Red'}_{t:05d}",
    "Livecyte": lambda t, c, p, z: f"{WELLS[p]}_1_{t:03d}_{'Phase' if c == 1 else 'FITC'}",
    "keys behind underscores": lambda t, c, p, z: f"fov_{p}_t_{t}_c_{c}",
    "lettered positions": lambda t, c, p, z: f"pos{'AB'[p - 1]}_t{t}_{DYES[c]}",
    "replicates": lambda t, c, p, z: f"exp_rep{p}_{DYES[c]}_t{t}",
    "exposure times": lambda t, c, p, z: f"frame_{t:04d}_{DYES[c]}_{10 * c}ms",
    "hours": lambda t, c, p, z: f"cells_{t * 12}h_{DYES[c]}",
}
NO_CHANNEL = {"Windows", "base with digits", "Incucyte, dates"}
NO_POSITION = {
    *("Fiji", "Windows", "no separators", "base with digits", "channel folders"),
    *("Fiji, split channels", "Olympus", "exposure times", "hours"),
}
HAS_Z = {
    *("Micro-Manager 1.4", "Micro-Manager 2", "Operetta, Opera Phenix", "Operetta, fields"),
    *("Yokogawa CV7000", "Yokogawa CV1000", "IN Cell", "Zen", "LAS X", "LAS X, matrix screener"),
    *("NIS", "NIS, capitals", "Fiji", "scanR", "ImageXpress, folders"),
    *("CQ1", "Zen, tiles", "Olympus", "Keyence"),
}


def parse(names, **options):
    paths = [ROOT / f"{name}.tif" for name in names]
    return parse_names(paths, ROOT, **options)


def grid(scheme, channels=(1,), positions=(1,), planes=(1,)):
    cells = list(itertools.product(T, channels, positions, planes))
    named = parse([SCHEMES[scheme](*cell) for cell in cells])
    return list(zip(cells, named.images, strict=True)), named


def check(pairs, index, value):
    """One value of the image for each value of the grid, and another for another."""
    found = {}
    for cell, image in pairs:
        found.setdefault(cell[index], set()).add(value(image))
    assert all(len(values) == 1 for values in found.values()), found
    assert len(set.union(*found.values())) == len(found), found


def check_frames(pairs):
    check(pairs, 0, lambda image: image.frame)
    frames = [image.frame for cell, image in sorted(pairs, key=lambda pair: pair[0])]
    assert frames == sorted(frames)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_channel(scheme):
    pairs, named = grid(scheme)
    check_frames(pairs)
    assert {image.channel for image in named.images} == {None}
    assert named.positions == [""]


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - NO_CHANNEL))
def test_two_channels(scheme):
    pairs, named = grid(scheme, channels=C)
    check_frames(pairs)
    check(pairs, 1, lambda image: image.channel)
    assert named.positions == [""]


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - NO_POSITION))
def test_two_positions(scheme):
    channels = (1,) if scheme in NO_CHANNEL else C
    pairs, named = grid(scheme, channels=channels, positions=P)
    check_frames(pairs)
    check(pairs, 2, lambda image: image.position)
    assert len(named.positions) == 2
    if scheme in ("ImageXpress, folders", "Yokogawa CV7000", "Cytation"):
        assert {image.well for image in named.images} == {"B02", "C03"}


@pytest.mark.parametrize("scheme", sorted(HAS_Z))
def test_z_planes(scheme):
    pairs, named = grid(scheme, channels=C, planes=Z)
    check_frames(pairs)
    check(pairs, 1, lambda image: image.channel)
    check(pairs, 3, lambda image: image.z)
    assert named.positions == [""]


@pytest.mark.parametrize("scheme", sorted(HAS_Z - NO_POSITION))
def test_all_at_once(scheme):
    pairs, _ = grid(scheme, C, P, Z)
    check_frames(pairs)
    for index, value in ((1, "channel"), (2, "position"), (3, "z")):
        check(pairs, index, lambda image, value=value: getattr(image, value))


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        ([f"img_{t:09d}_{c}_000" for t in T for c in ("BF", "GFP low")], {"BF", "GFP low"}),
        ([f"img_{t:09d}_{c}_000" for t in T for c in ("BF", "Cy5_long")], {"BF", "Cy5_long"}),
        ([f"img_{t:09d}_{c}_000" for t in T for c in ("DAPI", "FITC-A")], {"DAPI", "FITC-A"}),
        ([f"exp_{t:03d}_{c}_a" for t in T for c in ("BF", "Cy5_long")], {"BF", "Cy5_long"}),
        ([f"{c}_t{t}" for t in T for c in AMPKAR], set(AMPKAR)),
        ([f"exp_{t}_{c}" for t in T for c in ("GFP", "GFP_long")], {"GFP", "GFP_long"}),
        ([f"exp_{t}_{c}" for t in T for c in ("Cy3", "Cy5")], {"Cy3", "Cy5"}),
    ],
)
def test_channel_names_with_blanks_underscores_and_dashes(names, channels):
    named = parse(names)
    assert {i.channel for i in named.images} == channels
    assert {i.frame for i in named.images} == set(T)


def test_clocks_give_times_and_channels_a_few_seconds_apart_are_one_frame():
    names = [
        f"{c}_2026-03-01_23-{50 + t:02d}-{s:02d}" for t in T for c, s in (("GFP", 0), ("RFP", 9))
    ]
    named = parse(names)
    assert {i.frame for i in named.images} == {0, 1, 2, 3, 4, 5}
    assert sorted({i.time_s for i in named.images}) == [0, 60, 120, 180, 240, 300]
    over_midnight = parse([f"a_{d}_{h:02d}30" for d, h in ((20260301, 23), (20260302, 0))])
    assert [i.time_s for i in over_midnight.images] == [0, 3600]
    bare = parse([f"a_{h:02d}{m:02d}00" for h in (12, 13) for m in range(0, 60, 20)])
    assert [i.time_s for i in bare.images] == [0, 1200, 2400, 3600, 4800, 6000]


def test_a_single_letter_behind_the_name_is_no_key():
    """`strain_c_001` is the strain c, not 6 channels; nor is `m001` a multipoint."""
    for name in ("strain_c_", "m"):
        named = parse([f"{name}{t:03d}" for t in T])
        assert [i.frame for i in named.images] == list(T)
        assert named.positions == [""]


# What is refused, with a pattern made of the user's own names that then reads them.
UNCLEAR = {
    "two words": ([f"{c}_{t:03d}" for t in T for c in ("alpha", "beta")], 6, 1),
    "two numbers": ([f"exp_{p}_{t:03d}" for t in T for p in P], 6, 2),
    "number beside time": ([f"exp{p}_t{t}" for t in T for p in P], 6, 2),
    "condition and stain": (
        [f"{p}_{c}_{t}" for t in T for p in ("a", "b") for c in ("GFP", "RFP")],
        6,
        2,
    ),
    "two days": ([f"2026030{p}_cells_{t}" for t in T for p in P], 6, 2),
    "folders of conditions": ([f"{p}/t{t}" for t in T for p in ("ctrl", "drug")], 6, 2),
    "conditions": ([f"{p}_{t}" for t in T for p in ("ctl", "drug")], 6, 2),
    "unlike conditions": ([f"{p}_{t}" for t in T for p in ("WT", "H2B", "no-nuclei")], 6, 3),
    "condition behind a stain": ([f"DAPI_{p}_{t}" for t in T for p in ("ctl", "KO")], 6, 2),
    "many channels in frames": (
        [f"img_t{t}_{c}" for t in T for c in [f"{a}GFP" for a in "abcdefghijklmnopqr"]],
        6,
        18,
    ),
    "many words": ([f"{a}GFP" for a in "abcdefghijklmnopqr"], 1, 18),
    "folders of numbers": ([f"{p}/cells{p}" for p in T], 6, 1),
    "many channels": ([f"img_c{t:03d}" for t in range(1, 21)], 20, 1),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_the_pattern_that_a_refusal_names_reads_the_names(case):
    names, n_frames, n_positions = UNCLEAR[case]
    if case == "folders of numbers":
        names = [f"{p}/cells" for p in T]
    with pytest.raises(InputError, match="column `pattern`") as refused:
        parse(names)
    pattern = str(refused.value).partition("for example with ")[2].split(", or ")[0].rstrip(".")
    if case == "folders of numbers":
        pattern = pattern.replace("{position}", "{time}")
    named = parse(names, pattern=pattern)
    assert len(named.images) == len(names)
    assert len({i.frame for i in named.images}) == n_frames
    assert len(named.positions) == n_positions


@pytest.mark.parametrize(
    "words",
    [
        ("good", "sparse", "no-nuclei"),
        ("good", "sparse", "clumpy", "too-few", "nuclei"),
        ("WT", "H2B"),
        ("WT", "KO"),
        ("alpha", "beta", "GFP"),
    ],
)
def test_conditions_are_no_channels_for_one_word_that_is_like_a_stain(words):
    names = [f"{word}_{t}" for word in words for t in T]
    with pytest.raises(InputError, match="column `pattern`"):
        parse(names)
    assert {i.channel for i in parse(names, channels=words).images} == set(words)


@pytest.mark.parametrize("words", [("BF", "marker"), ("phase", "cdc"), ("DAPI", "GFP", "CD45")])
def test_a_word_that_is_no_stain_is_a_channel_beside_as_many_stains(words):
    assert {i.channel for i in parse([f"{w}_{t}" for w in words for t in T]).images} == set(words)


def test_words_are_channels_if_the_sheet_says_so():
    names = [f"{c}_{t:03d}" for t in T for c in ("alpha", "beta")]
    with pytest.raises(InputError, match="or name alpha, beta in `channels`"):
        parse(names)
    assert {i.channel for i in parse(names, channels=["beta", "alpha"]).images} == {"alpha", "beta"}


def test_names_of_more_than_one_kind_are_read_by_the_pattern_of_the_refusal():
    names = ["t000", "t001", "overview_10x"]
    with pytest.raises(InputError, match=r"more than one kind \(t000, overview_10x\)") as refused:
        parse(names)
    pattern = str(refused.value).partition("for example with ")[2].partition(";")[0]
    named = parse(names, pattern=pattern)
    assert [i.frame for i in named.images] == [0, 1]
    assert named.warnings == [
        "1 image(s) do not fit the pattern and are not read, overview_10x.tif among them."
    ]


@pytest.mark.parametrize("n_frames", [5, 10])
def test_a_stray_image_beside_frames_is_named(n_frames):
    names = [f"im{t:03d}_channel{c}" for t in range(n_frames) for c in ("1_phase", "2_cdc")]
    with pytest.raises(InputError, match="; move overview to another folder, or") as refused:
        parse([*names, "overview"])
    pattern = str(refused.value).partition("for example with ")[2].partition(";")[0]
    for named in (parse([*names, "overview"], pattern=pattern), parse(names)):
        assert [i.frame for i in named.images] == [t for t in range(n_frames) for _ in C]
        assert len({i.channel for i in named.images}) == 2


def test_conditions_are_rows_with_patterns_of_their_own():
    names = [f"{p}_{t}" for p in ("control", "drug") for t in T]
    with pytest.raises(InputError, match="conditions are rows of the sheet") as refused:
        parse(names)
    pattern = str(refused.value).partition("a `pattern` such as ")[2].partition(" and ")[0]
    assert pattern == "control_{time}"
    assert [i.path.stem for i in parse(names, pattern=pattern).images] == names[:6]


def test_channels_that_differ_in_digits_only_are_none():
    with pytest.raises(InputError, match=r"GFP\{position\}_t\{time\}"):
        parse([f"GFP{c}_t{t}" for t in T for c in C])


def test_pattern_of_the_sheet():
    names = [f"r01c0{p}f01p01-ch{c}sk{t}fk1fl1" for t in T for c in C for p in P]
    named = parse(names, pattern="r01c0{position}f01p01-ch{channel}sk{time}fk1fl1")
    assert named.positions == ["1", "2"]
    assert {i.channel for i in named.images} == {"1", "2"}
    assert {i.frame for i in named.images} == set(T)
    named = parse(
        [f"{w}/x_{t}min_z{z}_a{t}" for w in ("A1", "B2") for t in T for z in Z],
        pattern="{position}/x_{time}min_z{z}_{*}",
    )
    assert {i.well for i in named.images} == {"A01", "B02"}
    assert {i.time_s for i in named.images} == {0, 60, 120, 180, 240, 300}
    assert {i.z for i in named.images} == set(Z)
    named = parse([f"x 00d{t:02d}h30m y" for t in T], pattern="x {time} y")
    assert named.images[-1].time_s == 5 * 3600


@pytest.mark.parametrize("pattern", ["{tiem}_a", "a_b", "{time}_{time}", "{time", "{*}"])
def test_a_wrong_pattern_is_refused(pattern):
    with pytest.raises(InputError, match=r"expected \{time\}, \{channel\}"):
        compile_pattern(pattern)


def test_a_pattern_that_fits_no_name_is_refused_with_one_that_does():
    names = [f"cells_{t:03d}" for t in T]
    with pytest.raises(InputError, match="no image name that fits") as refused:
        parse(names, pattern="img_{time}")
    guess = str(refused.value).rpartition("to ")[2].rstrip(".")
    assert guess == guess_pattern([ROOT / f"{n}.tif" for n in names]) == "cells_{time}"
    assert len(parse(names, pattern=guess).images) == 6


@pytest.mark.parametrize(
    "word",
    [
        "DAPI",
        "mCherry",
        "GFP low",
        "cy5_long",
        "H2B",
        "EKAR3",
        "nucleus",
        "TxRed",
        "AMPKAR_405",
        "Phase Contrast",
        "brightfield",
        "farRed",
    ],
)
def test_stains_are_known(word):
    assert is_stain(word)


@pytest.mark.parametrize(
    "word",
    ["control", "before", "alpha", "exp", "MG1655t", "sample", "well", "no-nuclei", "without GFP"],
)
def test_other_words_are_no_stains(word):
    assert not is_stain(word)
