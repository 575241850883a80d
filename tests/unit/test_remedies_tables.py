"""What refusals of sheets, configs, corrections, truths and labelled images say is done here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from refusals import follow

from cellsam_core.comparison.bulk import read_bulk
from cellsam_core.config.check import check_sample, parse_config
from cellsam_core.config.sheet import load_config, read_samples
from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.evaluation.stage import evaluate_segmentation, evaluate_tracking
from cellsam_core.first_steps.config_files import read_config
from cellsam_core.first_steps.project import refuse_existing
from cellsam_core.first_steps.proposal import propose_sheet
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import inspect
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.training.labelled import load_folder, load_manifest

# Sample sheets

HEAD = "sample\tassay\tpath"
MOVIE = "a\tmovie\tm"
QUOTE = '"'
SHEETS: dict[str, tuple[str | bytes, str, str]] = {
    "a column twice": (
        f"{HEAD}\tpath\na\tmovie\tm\tn\n",
        "remove or rename one",
        f"{HEAD}\n{MOVIE}\n",
    ),
    "more cells": (
        f"{HEAD}\n{MOVIE}\tx\n",
        "name their columns",
        f"{HEAD}\tcondition\n{MOVIE}\tx\n",
    ),
    "more cells, removed": (
        f"{HEAD}\n{MOVIE}\tx\n",
        "remove the additional cells",
        f"{HEAD}\n{MOVIE}\n",
    ),
    "more cells, quoted": (
        "sample,assay,path\na,movie,my, m\n",
        "put quotes around",
        f"sample,assay,path\na,movie,{QUOTE}my, m{QUOTE}\n",
    ),
    "no separator": ("sample assay path\na movie m\n", "put one tab between", f"{HEAD}\n{MOVIE}\n"),
    "an open quote": (
        f"{HEAD}\na\tmovie\t{QUOTE}m\n",
        "a quote that is not closed",
        f"{HEAD}\n{MOVIE}\n",
    ),
    "Latin-1": (
        "sample,assay,path\nü,movie,m\n".encode("latin-1"),
        "CSV UTF-8",
        "sample,assay,path\nu,movie,m\n",
    ),
    "a decimal comma": (
        f"{HEAD}\tpixel_size_um\n{MOVIE}\t0,65\n",
        r"write 0\.65",
        f"{HEAD}\tpixel_size_um\n{MOVIE}\t0.65\n",
    ),
    "a name twice": (
        f"{HEAD}\n{MOVIE}\n{MOVIE}\n",
        "rename one of the samples",
        f"{HEAD}\n{MOVIE}\nb\tmovie\tm\n",
    ),
    "no samples": (f"{HEAD}\n", "add a row", f"{HEAD}\n{MOVIE}\n"),
}


@pytest.mark.parametrize("case", SHEETS)
def test_sheets_are_corrected_as_told(tmp_path, case):
    wrong, words, right = SHEETS[case]
    path = tmp_path / "samples.csv"
    path.write_bytes(wrong if isinstance(wrong, bytes) else wrong.encode())
    samples = follow(lambda: read_samples(path), words, lambda: path.write_text(right))
    assert samples


def test_an_excel_file_under_another_name_is_renamed_as_told(tmp_path):
    pytest.importorskip("openpyxl")
    path, renamed = tmp_path / "samples.csv", tmp_path / "samples.xlsx"
    pd.DataFrame([["a", "movie", "m"]], columns=HEAD.split("\t")).to_excel(renamed, index=False)
    content = renamed.read_bytes()
    renamed.rename(path)
    follow(
        lambda: read_samples(path),
        "rename the file",
        lambda: path.rename(renamed),
        lambda: read_samples(renamed),
    )
    renamed.write_bytes(content[:200])
    follow(lambda: read_samples(renamed), "save it again", lambda: renamed.write_bytes(content))


TWO = f"{HEAD}\tcontrol\nc\tmovie\tm\t\n{MOVIE}\tc\n"
PLATE = "m/x_s1_t0.tif", "m/x_s2_t0.tif"
# Sheet, config, words of the remedy, sheet then, config then.
CONFIGS: dict[str, tuple[str, dict[str, Any], str, str | None, dict[str, Any]]] = {
    "no sheet": (f"{HEAD}\n{MOVIE}\n", {"samples": "b.tsv"}, "name your sample sheet", None, {}),
    "a control of its own": (
        f"{HEAD}\tcontrol\nc\tmovie\tm\ta\n{MOVIE}\tc\n",
        {},
        "in the treated samples' rows only",
        TWO,
        {},
    ),
    "a control that is left out": (
        TWO,
        {"without": "c"},
        "add a to the key `without`",
        f"{TWO}d\tmovie\tm\t\n",
        {"without": "c,a"},
    ),
    "no such sample to leave out": (
        f"{HEAD}\n{MOVIE}\n",
        {"without": "b"},
        "correct the name, or remove it",
        None,
        {},
    ),
    "all left out": (f"{HEAD}\n{MOVIE}\n", {"without": "a"}, "remove a name", None, {}),
    "a ratio of one": (
        f"{HEAD}\tratio\n{MOVIE}\tGFP\n",
        {},
        "name two channels",
        f"{HEAD}\tratio\n{MOVIE}\tGFP/RFP\n",
        {},
    ),
    "a ratio of a translocation reporter": (
        f"{HEAD}\tratio\n{MOVIE}\tGFP\n",
        {},
        "set `reporter` to ktr",
        f"{HEAD}\tratio\treporter\tring_px\n{MOVIE}\tGFP\tktr\t4\n",
        {},
    ),
    "a plate of a tissue": (
        f"{HEAD}\tcorrections\na\tmerfish\tm\tx.csv\n",
        {},
        "empty the cell",
        f"{HEAD}\na\tmerfish\tm\n",
        {},
    ),
    "a division of a tissue": (
        f"{HEAD}\tdivision\na\tmerfish\tm\tmitosis\n",
        {},
        "empty the cell",
        f"{HEAD}\tdivision\na\tmerfish\tm\t\n",
        {},
    ),
    "growth of a movie": (
        f"{HEAD}\texpand_um\n{MOVIE}\t2\n",
        {},
        "empty the cell",
        f"{HEAD}\texpand_um\n{MOVIE}\t\n",
        {},
    ),
    "a unit of no outlines": (
        f"{HEAD}\tnuclei_unit\na\tmerfish\tm\tpx\n",
        {},
        "fill the column `nuclei`",
        f"{HEAD}\tnuclei_unit\tnuclei\na\tmerfish\tm\tpx\tn\n",
        {},
    ),
    "a table of positions": (
        f"{HEAD}\tcorrections\na\tmovie\tplate\tx.csv\n",
        {},
        "its name in the column `position`",
        f"{HEAD}\tcorrections\tposition\na\tmovie\tplate\tx.csv\ts1\n",
        {},
    ),
    "a control of positions": (
        f"{HEAD}\tcontrol\nc\tmovie\tplate\t\n{MOVIE}\tc\n",
        {},
        "name one of them, such as c-s1",
        f"{HEAD}\tcontrol\nc\tmovie\tplate\t\n{MOVIE}\tc-s1\n",
        {},
    ),
    "thresholds the wrong way round": (
        f"{HEAD}\n{MOVIE}\n",
        {"track": {"division_area_min": 0.9, "division_area_max": 0.5}},
        "correct one of the two",
        None,
        {"track": {"division_area_min": 0.5, "division_area_max": 0.9}},
    ),
    "no ring": (
        f"{HEAD}\n{MOVIE}\n",
        {"traces": {"reporter": "ktr", "ratio": "GFP"}},
        "set it, for example to 4",
        None,
        {"traces": {"reporter": "ktr", "ratio": "GFP", "ring_px": 4}},
    ),
    "a drug in the baseline": (
        f"{HEAD}\n{MOVIE}\n",
        {"traces": {"drug_frame": 2, "baseline_frames": 3}},
        "lower `baseline_frames`",
        None,
        {"traces": {"drug_frame": 2, "baseline_frames": 2}},
    ),
    "an option of Spotiflow alone": (
        f"{HEAD}\na\tmerfish\tm\n",
        {"decode": {"spotiflow_probability": 0.4}},
        "leave the option out",
        None,
        {},
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configs_are_corrected_as_told(tmp_path, case):
    sheet, wrong, words, mended, right = CONFIGS[case]
    path = tmp_path / "samples.tsv"
    path.write_text(sheet)
    for name in PLATE:
        image = tmp_path / name.replace("m/", "plate/")
        image.parent.mkdir(exist_ok=True)
        tifffile.imwrite(image, np.ones((30, 40), np.uint16))
    follow(
        lambda: load_config({"samples": "samples.tsv"} | wrong, [tmp_path]),
        words,
        None if mended is None else lambda: path.write_text(mended),
        lambda: load_config({"samples": "samples.tsv"} | right, [tmp_path]),
    )


def test_paths_of_a_sheet_are_corrected_as_told(tmp_path):
    path = tmp_path / "samples.tsv"
    path.write_text(f"{HEAD}\n{MOVIE}\n")
    config = load_config({"samples": "samples.tsv"}, [tmp_path])
    (tmp_path / "n").mkdir()
    follow(
        lambda: config.path_of("a", "path", "m"),
        "correct the cell",
        then=lambda: config.path_of("a", "path", "n"),
    )


def test_config_files_are_corrected_as_told(tmp_path):
    (tmp_path / "samples.tsv").write_text(f"{HEAD}\n{MOVIE}\n")
    path = tmp_path / "my.yaml"
    right = lambda: path.write_text("samples: samples.tsv\n")  # noqa: E731
    look = lambda: read_config([path], tmp_path)  # noqa: E731
    follow(look, "correct the file, or its path", right)
    path.write_text("- samples\n")
    follow(look, "write `key: value` in each line", right)
    follow(
        lambda: parse_config("{"),
        "one quoted JSON string",
        then=lambda: parse_config(json.dumps({})),
    )


def test_options_of_a_movie_are_corrected_as_told(tmp_path):
    for t in range(3):
        for name in ("H2B", "CFP", "YFP"):
            tifffile.imwrite(tmp_path / f"{name}_t{t}.tif", np.ones((30, 40), np.uint16))
    manifest = inspect(tmp_path, assay="movie", options=InspectOptions())

    def look(**traces: Any) -> None:
        check_sample(manifest, {"traces": traces})

    follow(lambda: look(ratio="CFP/GFP"), "name the channels", then=lambda: look(ratio="CFP/YFP"))
    follow(
        lambda: look(ratio="CFP/YFP", baseline_frames=4),
        "lower it",
        then=lambda: look(ratio="CFP/YFP", baseline_frames=2),
    )
    follow(
        lambda: look(drug_frame=7, baseline_frames=1),
        "correct it, or leave it out",
        then=lambda: look(drug_frame=2, baseline_frames=1),
    )
    follow(
        lambda: check_sample(manifest, {"trace": {}}),
        "give the options of one sample",
        then=lambda: check_sample(manifest, {"traces": {}}),
    )
    ktr = {"reporter": "ktr", "ring_px": 4}
    follow(
        lambda: look(ratio="GFP", **ktr), "name the channel", then=lambda: look(ratio="YFP", **ktr)
    )


def test_channels_to_segment_are_named_as_told():
    frames = np.ones((2, 2, 30, 40), np.uint16)
    images = images_of_array(frames, ArrayFacts(["A", "B"]))
    follow(
        lambda: choose_roles(images, None, None),
        "fill the column `nuclear_channel`",
        then=lambda: choose_roles(images, "A", None),
    )
    named = images_of_array(frames, ArrayFacts(["nuclear", "B"]))
    follow(
        lambda: choose_roles(images, None, None),
        "or name a channel `nuclear`",
        then=lambda: choose_roles(named, None, None),
    )
    follow(
        lambda: choose_roles(images, "C", None),
        "correct the channel's name",
        then=lambda: choose_roles(images, "B", None),
    )
    follow(
        lambda: images_of_array(frames, ArrayFacts(["A"])),
        "correct the names, or the order of the axes",
        then=lambda: images_of_array(frames, ArrayFacts(["A", "B"])),
    )


def test_folders_for_a_new_project_are_named_as_told(tmp_path):
    own = tmp_path / "config"
    own.mkdir()
    (own / "samples.tsv").write_text("mine")
    follow(
        lambda: refuse_existing(tmp_path),
        "name a new folder with -o",
        then=lambda: refuse_existing(tmp_path / "new"),
    )
    tifffile.imwrite(tmp_path / "a.tif", np.ones((30, 40), np.uint16))
    follow(
        lambda: propose_sheet([tmp_path / "b.tif"]),
        "correct the path",
        then=lambda: propose_sheet([tmp_path / "a.tif"]),
    )
    (tmp_path / "x" / "y").mkdir(parents=True)
    follow(
        lambda: propose_sheet([tmp_path / "x"]),
        "name the folder of one experiment",
        lambda: tifffile.imwrite(tmp_path / "x" / "y" / "a.tif", np.ones((30, 40), np.uint16)),
        lambda: propose_sheet([tmp_path / "x" / "y"]),
    )


# Tables of corrections

TRACKS = "operation,frame,label,other_frame,other_label\n"
CORRECTIONS: dict[str, tuple[str, str, str]] = {
    "a number": (f"{TRACKS}link,x,1,0,1\n", "correct the row", f"{TRACKS}link,1,1,0,1\n"),
    "twice": (
        f"{TRACKS}link,1,1,0,1\nlink,1,1,0,2\n",
        "remove one of the two rows",
        f"{TRACKS}link,1,1,0,1\n",
    ),
    "no column": ("operation,frame\nlink,1\n", "add them", f"{TRACKS}link,1,1,0,1\n"),
    "more cells": (
        f"{TRACKS}link,1,1,0,1,a, b\n",
        "name the column",
        f"{TRACKS[:-1]},note\nlink,1,1,0,1,{QUOTE}a, b{QUOTE}\n",
    ),
}


@pytest.mark.parametrize("case", CORRECTIONS)
def test_corrections_of_tracks_are_corrected_as_told(tmp_path, case):
    wrong, words, right = CORRECTIONS[case]
    path = tmp_path / "a.tracks.csv"
    path.write_text(wrong)
    follow(lambda: read_corrections(path), words, lambda: path.write_text(right))


CELLS = "operation,frame,label,points\n"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("remove,0,1,\n", "delete,0,1,\n"),
        ("add,0,,1 2;3\n", f"add,0,,{QUOTE}0 0;0 9;9 9{QUOTE}\n"),
    ],
)
def test_corrections_of_cells_are_removed_as_told(tmp_path, wrong, right):
    path = tmp_path / "a.cells.csv"
    path.write_text(CELLS + wrong)
    follow(
        lambda: read_cell_corrections(path),
        "correct or remove the row",
        lambda: path.write_text(CELLS),
    )
    assert right


# Truths


def cells() -> np.ndarray:
    labels = np.zeros((30, 40), np.uint16)
    labels[3:9, 3:9], labels[15:22, 20:29] = 1, 2
    return labels


def test_truths_in_memory_are_given_as_told(tmp_path):
    one, mask = cells(), (cells() > 0).astype(np.uint8) * 255
    good = lambda: evaluate_segmentation([one], [one])  # noqa: E731
    follow(lambda: evaluate_segmentation(tmp_path, [one]), "read the label images", then=good)
    follow(
        lambda: evaluate_segmentation([one], [one, one]),
        "add an empty label image",
        then=lambda: evaluate_segmentation([one, one * 0], [one, one]),
    )
    follow(lambda: evaluate_segmentation([one[:9]], [one]), "compare images of one size", then=good)
    follow(lambda: evaluate_segmentation([one > 0], [one]), "number the cells of a mask", then=good)
    follow(lambda: evaluate_segmentation([one], [mask]), "number the cells of the mask", then=good)
    tracks = pd.DataFrame(
        {"track_id": [1], "first_frame": [0], "last_frame": [0], "parent_id": [0]}
    )
    pair = one[None] * (one == 1), tracks
    follow(
        lambda: evaluate_tracking(tracks, pair),  # type: ignore[arg-type]
        "give the pair",
        then=lambda: evaluate_tracking(pair, pair),
    )
    empty = one[None] * 0, tracks.iloc[:0]
    follow(
        lambda: evaluate_tracking(empty, empty),
        "give a truth that has cells",
        then=lambda: evaluate_tracking(pair, pair),
    )
    small = pair[0][:, :9], tracks
    follow(
        lambda: evaluate_tracking(small, pair),
        "give the result of the same movie",
        then=lambda: evaluate_tracking(pair, pair),
    )


def test_folders_of_truths_are_completed_as_told(tmp_path):
    for name in ("found", "true"):
        (tmp_path / name).mkdir()
        tifffile.imwrite(tmp_path / name / "a.tif", cells())
    look = lambda: evaluate_segmentation(tmp_path / "found", tmp_path / "true")  # noqa: E731
    second = tmp_path / "true" / "b.tif"
    tifffile.imwrite(second, cells())
    empty = lambda: tifffile.imwrite(tmp_path / "found" / "b.tif", cells() * 0)  # noqa: E731
    assert follow(look, "add it, an empty label image", empty)["n_true"] == 4
    tifffile.imwrite(second, cells()[:20])
    follow(look, "compare images of one size", lambda: tifffile.imwrite(second, cells()))


# Labelled images


def labelled(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        tifffile.imwrite(folder / f"{name}.tif", cells() * 100)
        tifffile.imwrite(folder / f"{name}_label.tif", cells())


def test_labelled_images_are_completed_as_told(tmp_path):
    folder = tmp_path / "labelled"
    look = lambda: load_folder(folder)  # noqa: E731
    follow(look, "check the path|correct the path", lambda: labelled(folder, "a"))
    for file in folder.iterdir():
        file.unlink()
    follow(look, "put images and their labels there", lambda: labelled(folder, "a"))
    (folder / "a_label.tif").rename(tmp_path / "aside.tif")
    follow(
        look,
        "add the missing file",
        lambda: (tmp_path / "aside.tif").rename(folder / "a_label.tif"),
    )
    (folder / "a.png").write_bytes(b"x")
    follow(look, "move one of the two", lambda: (folder / "a.png").rename(tmp_path / "a.png"))
    tifffile.imwrite(folder / "a_label.tif", cells()[:20])
    follow(look, "fix the label image|same size|save", lambda: labelled(folder, "a"))
    tifffile.imwrite(folder / "a.tif", cells() * 0)
    follow(look, "export it again", lambda: labelled(folder, "a"))


ROW = {"set": "s", "image": "a.tif", "label": "a_label.tif", "modality": "own", "source": "x"}
ROW |= {"split": "train", "licence": "own", "pixel_size_um": "1"}
MANIFESTS: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "split": ({"split": "test"}, "mark images with that split", {}),
    "partial": ({"partial": "some"}, "correct the column `partial`", {"partial": "yes"}),
    "file": ({"image": "b.tif"}, "correct the option `data` or the manifest", {}),
    "weight": ({"weight": "-1"}, "correct the column `weight`", {"weight": "2"}),
    "no weight": ({"weight": "0"}, "or leave it out", {}),
    "modality": ({"modality": ""}, "fill it in", {}),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_training_manifests_are_corrected_as_told(tmp_path, case):
    wrong, words, right = MANIFESTS[case]
    labelled(tmp_path, "a")
    path = tmp_path / "manifest.tsv"

    def write(changes: dict[str, str]) -> None:
        pd.DataFrame([ROW | changes]).to_csv(path, sep="\t", index=False)

    write(wrong)
    follow(lambda: load_manifest(path, tmp_path, "train"), words, lambda: write(right))


def test_bulk_expression_is_corrected_as_told(tmp_path):
    path = tmp_path / "bulk.csv"
    path.write_text("gene,value\nGad1,x\n")
    follow(lambda: read_bulk(path), "correct it", lambda: path.write_text("gene,value\nGad1,3\n"))
    path.write_text("gene,value\nGad1,x\nSst,1\n")
    follow(
        lambda: read_bulk(path),
        "leave the gene out",
        lambda: path.write_text("gene,value\nSst,1\n"),
    )
