"""Arrays and tables as notebooks and other programs have them: taken as plain ones, or refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from refusals import follow

import cellsam_core as cc
from cellsam_core.errors import InputError
from cellsam_core.evaluation.stage import TRACK_COLUMNS
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.segmentation.given_boxes import boxes_of_array

if TYPE_CHECKING:
    from collections.abc import Callable


def cells_and_nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Two cells of 16 x 16 px, each with a nucleus."""
    cells, nuclei = np.zeros((2, 20, 40), np.int64)
    cells[2:18, 2:18], cells[2:18, 22:38] = 1, 2
    nuclei[6:12, 6:12], nuclei[6:12, 26:32] = 8, 9
    return cells, nuclei


@pytest.mark.parametrize("shift", [2**32, 2**33 - 1, -1])
def test_labels_that_32_bits_do_not_hold_are_not_paired(shift: int) -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="expected labels from 0 to 4294967295"):
        cc.pair_nuclei(np.where(cells > 0, cells + shift * 2, 0), nuclei)
    with pytest.raises(InputError, match=r"`nuclei`.*expected labels from 0 to 4294967295"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, nuclei + shift * 9, 0))


def test_a_mask_of_all_nuclei_is_not_paired() -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="`nuclei`: found one number, 255, in 2 places"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, np.uint8(255), np.uint8(0)))


def tissue() -> tuple[pd.DataFrame, np.ndarray]:
    """Transcripts in micrometres = pixels of the two cells."""
    table = pd.DataFrame(
        {"gene": ["Gad1", "Gad1", "Actb"], "x_um": [4.0, 9.0, 30.0], "y_um": [6.0, 5.0, 10.0]}
    )
    return table, cells_and_nuclei()[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.astype({"x_um": ">f8", "y_um": ">f4"}),
        lambda t: t.convert_dtypes(),
        lambda t: t.set_index("gene", drop=False).iloc[::-1].iloc[::-1],
        lambda t: pa.Table.from_pandas(t),
    ],
)
def test_tables_of_transcripts_of_any_kind_give_the_same_counts(change: Any) -> None:
    table, labels = tissue()
    given = change(table)
    counts = cc.assign(given, labels, pixel_size_um=1.0).to_df()
    pd.testing.assert_frame_equal(counts, cc.assign(table, labels, pixel_size_um=1.0).to_df())


def test_what_is_no_table_of_transcripts_is_refused() -> None:
    table, labels = tissue()
    follow(
        lambda: cc.assign(table.to_dict("list"), labels, pixel_size_um=1.0),  # type: ignore[arg-type]
        r"pandas.DataFrame\(",
        then=lambda: cc.assign(pd.DataFrame(table.to_dict("list")), labels, pixel_size_um=1.0),
    )


def cell_table() -> pd.DataFrame:
    """The table of the two cells, with scores."""
    return measure_cells(LabelArray(cells_and_nuclei()[0])).assign(score=[0.5, 0.75])


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.set_index("label", drop=False),
        lambda t: t.astype({"label": float}),
        lambda t: t.astype({"label": str, "score": str}),
        lambda t: t.convert_dtypes(),
    ],
)
def test_cell_tables_of_any_kind_give_the_same_cells(change: Any) -> None:
    table, labels = tissue()
    given, plain = change(cell_table()), cell_table()
    before = given.copy()
    cells, expected = (
        cc.assign(table, labels, pixel_size_um=1.0, cells=each).obs for each in (given, plain)
    )
    pd.testing.assert_frame_equal(cells, expected)
    pd.testing.assert_frame_equal(given, before)


def test_cell_tables_without_whole_numbers_are_refused() -> None:
    table, labels = tissue()
    for name, value in {"label": "1a", "area_px": 3.5, "score": "good"}.items():
        cells = cell_table().astype({name: object})
        right = cells.loc[1, name]

        def use(cells: pd.DataFrame = cells) -> Any:
            return cc.assign(table, labels, pixel_size_um=1.0, cells=cells)

        cells.loc[1, name] = value

        def mend(cells: pd.DataFrame = cells, name: str = name, right: Any = right) -> None:
            cells.loc[1, name] = right

        follow(use, "correct the value", mend)


def test_a_cell_that_is_twice_in_the_table_of_pairs_is_refused() -> None:
    table, labels = tissue()
    pairs = cc.pair_nuclei(*cells_and_nuclei())[2]
    with pytest.raises(InputError, match="found cell 1 more than once"):
        cc.assign(
            table,
            labels,
            pixel_size_um=1.0,
            nuclei_of_cells=pd.concat([pairs, pairs.iloc[:1]]),
        )


def test_labels_from_2_63_on_are_tracked_and_measured_as_others(tmp_path: Path) -> None:
    small = np.stack([cells_and_nuclei()[0]] * 3)
    images = np.random.default_rng(0).integers(100, 200, (3, 2, 20, 40)).astype(np.uint16)
    for first in (2**45, 2**63, 2**63 - 2):
        large = np.where(small > 0, small.astype(np.uint64) + np.uint64(first), np.uint64(0))
        tables = []
        for labels in (small, large):
            tracks = cc.track(labels)
            assert cc.evaluate_tracking(tracks, cc.track(small))["tra"] == 1
            options = cc.TraceOptions(ratio="A/B", background="none", baseline_frames=1)
            traces = cc.trace(images, labels, tracks, options, channels=["A", "B"])
            traces.write(tmp_path)  # looks for light far from the cells
            table = traces.table
            tables.append(table.drop(columns="label"))
        pd.testing.assert_frame_equal(*tables)


class Lazy:
    """An array of another library: only what dask, xarray and zarr arrays have in common."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.dtype, self.ndim, self._array = array.shape, array.dtype, array.ndim, array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> Any:
        found = self._array[index]
        return Lazy(found) if found.ndim else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype)


AS = {"list": list, "lists": np.ndarray.tolist, "generator": lambda a: (x for x in a), "lazy": Lazy}


@pytest.mark.parametrize("kind", AS)
def test_raw_images_of_any_kind_give_the_same_traces(kind: str) -> None:
    labels = np.stack([cells_and_nuclei()[0]] * 4)
    images = np.random.default_rng(0).integers(100, 200, (4, 2, 20, 40)).astype(np.uint16)
    tracks = cc.track(labels)
    expected = cc.trace(images, labels, tracks, channels=["A", "B"]).table
    found = cc.trace(AS[kind](images), AS[kind](labels), tracks, channels="A,B").table
    ceiling = [c for c in expected if "saturated" in c]
    pd.testing.assert_frame_equal(found.drop(columns=ceiling), expected.drop(columns=ceiling))


def test_raw_images_that_are_no_real_numbers_are_refused() -> None:
    labels = np.stack([cells_and_nuclei()[0]] * 2)
    images = np.ones((2, 1, 20, 40))
    tracks = cc.track(labels)
    for strange in (images.astype(complex), images.astype(object)):
        follow(
            lambda image=strange: cc.trace(image, labels, tracks, channels=["A"]),
            "numpy.asarray",
            then=lambda: cc.trace(images, labels, tracks, channels=["A"]).table,
        )


def test_frames_of_two_shapes_are_refused() -> None:
    labels = np.stack([cells_and_nuclei()[0]] * 2)
    tracks = cc.track(labels)
    frames = [np.ones((1, 20, 40)), np.ones((1, 9, 9)), np.ones((1, 20, 40))]
    follow(
        lambda: cc.trace(frames, labels, tracks, channels=["A"]),  # type: ignore[arg-type]
        "leave out",
        lambda: frames.pop(1),
    )


@pytest.mark.parametrize("kind", AS)
def test_label_images_of_any_kind_are_scored_alike(kind: str) -> None:
    cells, nuclei = (image[None] for image in cells_and_nuclei())
    expected = cc.evaluate_segmentation(nuclei, cells)
    assert cc.evaluate_segmentation(AS[kind](nuclei), AS[kind](cells)) == expected


def test_label_images_by_name_are_scored_in_order() -> None:
    cells, nuclei = cells_and_nuclei()
    a, b = {"x": cells, "y": nuclei}, {"y": nuclei, "x": cells}
    follow(
        lambda: cc.evaluate_segmentation(a, b),
        "a list of its values",
        then=lambda: cc.evaluate_segmentation(list(a.values()), [b[name] for name in a]),
    )


def test_boxes_in_a_table_of_other_columns_are_refused() -> None:
    table = pd.DataFrame({"bbox_x0": [1], "bbox_y0": [1], "bbox_x1": [9], "bbox_y1": [9]})
    with pytest.raises(InputError, match="also x0, y0, x1, y1"):
        boxes_of_array(table, (20, 20))
    boxes = boxes_of_array(table.rename(columns=lambda name: name.removeprefix("bbox_")), (20, 20))
    assert boxes.tolist() == [[1, 1, 9, 9]]


def test_corrections_in_memory_are_a_list(tmp_path: Path) -> None:
    labels = np.stack([cells_and_nuclei()[0]] * 2)
    table = pd.DataFrame(columns=["operation", "frame", "label", "other_frame", "other_label"])
    table.to_csv(tmp_path / "tracks.csv", index=False)
    follow(
        lambda: cc.track(labels, corrections=table),  # type: ignore[arg-type]
        "give its path",
        then=lambda: cc.track(labels, corrections=tmp_path / "tracks.csv"),
    )


def test_the_only_sample_of_a_condition_needs_no_list(tmp_path: Path) -> None:
    path = str(tmp_path / "traces.parquet")
    rows = {"track_id": 1, "frame": range(4), "time_s": [0, 30, 60, 90], "compartment": "cell"}
    pd.DataFrame(rows | {"r_over_r0": [1.0, 1, 2, 2], "valid": True}).to_parquet(path)
    expected = cc.compare_conditions({"drug": [path]}).curves
    pd.testing.assert_frame_equal(cc.compare_conditions({"drug": path}).curves, expected)
    follow(
        lambda: cc.compare_conditions([path]),  # type: ignore[arg-type]
        '"drug"',
        then=lambda: cc.compare_conditions({"drug": [path]}),
    )


def tracked() -> tuple[np.ndarray, cc.Tracks]:
    """A movie in which one of two cells divides, and its tracks."""
    movie = cc.simulate_movie(seed=1, options=cc.MovieOptions(frames=8, size_px=128, cells=6))
    return movie.labels, cc.track(movie.labels)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.sample(frac=1, random_state=0),
        lambda t: t.set_index("track_id", drop=False),
        lambda t: t.astype({"track_id": float}),
        lambda t: t.convert_dtypes(),
    ],
)
def test_tables_of_tracks_of_any_kind_are_written_alike(change: Any, tmp_path: Path) -> None:
    labels, tracks = tracked()
    images = labels[:, None].astype(np.uint16)
    changed = replace(tracks, objects=change(tracks.objects), tracks=change(tracks.tracks))
    for name, each in {"plain": tracks, "changed": changed}.items():
        each.write(tmp_path / name)
        cc.trace(images, labels, each, channels=["A"]).write(tmp_path / name)
    for file in ("objects.parquet", "traces.parquet"):
        plain, other = (pd.read_parquet(tmp_path / n / file) for n in ("plain", "changed"))
        pd.testing.assert_frame_equal(plain, other)
    for file in ("tracks.csv", "traces_wide.csv", "ctc/res_track.txt"):
        assert (tmp_path / "plain" / file).read_text() == (tmp_path / "changed" / file).read_text()
    assert cc.evaluate_tracking(changed, tracks)["tra"] == 1


def test_tables_of_tracks_that_were_not_filtered_alike_are_refused(tmp_path: Path) -> None:
    tracks = tracked()[1]
    first = tracks.tracks["track_id"] > 1
    less = replace(tracks, tracks=tracks.tracks[first])
    own = tracks.objects[tracks.objects["track_id"] > 1]
    parents = less.tracks.assign(parent_id=less.tracks["parent_id"].replace(1, 0))
    divisions = tracks.divisions[tracks.divisions["parent_id"] != 1]
    alike = replace(less, objects=own, tracks=parents, divisions=divisions)
    follow(lambda: less.write(tmp_path / "a"), "alike", then=lambda: alike.write(tmp_path / "a"))
    twice = replace(alike, objects=pd.concat([own, own.iloc[:1]]))
    follow(lambda: twice.write(tmp_path / "b"), "leave", then=lambda: alike.write(tmp_path / "b"))
    assert 1 not in pd.read_csv(tmp_path / "a/tracks.csv")["track_id"].to_numpy()


def test_tables_that_contradict_the_masks_are_not_scored() -> None:
    movie = cc.simulate_movie(seed=1, options=cc.MovieOptions(frames=3, size_px=64, cells=3))
    truth, rows = (movie.labels, movie.tracks), movie.tracks[TRACK_COLUMNS]
    for wrong, words, right in (
        (rows.to_numpy()[:, :3], "one row for each track", rows.to_numpy()),
        (pd.concat([rows, rows.iloc[:1]]), "leave all but one out", rows),
        (rows.iloc[1:], "correct the table", rows),
        (rows.assign(last_frame=0), "correct the table", rows.to_numpy().tolist()),
    ):
        follow(
            lambda table=wrong: cc.evaluate_tracking((movie.labels, table), truth),
            words,
            then=lambda table=right: cc.evaluate_tracking((movie.labels, table), truth),
        )


def test_samples_in_a_list_of_paths_need_names(tmp_path: Path) -> None:
    table, labels = tissue()
    paths = [tmp_path / name / "cells.h5ad" for name in "ab"]
    for path in paths:
        cc.assign(table, labels, pixel_size_um=1.0, output=path.parent)
    follow(
        lambda: cc.compare_samples(paths),  # type: ignore[arg-type]
        "its name",
        then=lambda: cc.compare_samples(dict(zip("ab", paths, strict=True))),
    )


def test_frames_in_memory_are_those_of_preprocess() -> None:
    movie = np.random.default_rng(0).poisson(50, (2, 1, 48, 48)).astype(np.uint16)
    model = cc.load_model("tiny")
    follow(
        lambda: cc.segment_frames(movie, model),  # type: ignore[arg-type]
        "preprocess",
        then=lambda: cc.segment_frames(cc.preprocess(movie, channels=["nuclear"]), model),
    )


def test_options_are_of_their_class_and_models_are_loaded(tmp_path: Path) -> None:
    movie = cc.simulate_movie(seed=1, options=cc.MovieOptions(frames=2, size_px=64, cells=2))
    wrong: dict[str, Callable[[], Any]] = {
        "TrackOptions(division='mitosis')": lambda: cc.track(movie.labels, {"division": "mitosis"}),
        "TraceOptions(ratio=": lambda: cc.trace(
            movie.images, movie.labels, cc.track(movie.labels), {"ratio": "A/B"}
        ),
        "AssignOptions(": lambda: cc.assign(*tissue(), {"expand_um": 2}, pixel_size_um=1.0),
        "PurityOptions(": lambda: cc.estimate_purity(*tissue(), {}, pixel_size_um=1.0),
        "InspectOptions(": lambda: cc.inspect(tmp_path, assay="movie", options={"fov": 1}),
        "MovieOptions(cells=3)": lambda: cc.simulate_movie(options={"cells": 3}),
        "TissueOptions(cells=3)": lambda: cc.simulate_tissue(options={"cells": 3}),
        "RawRoundsOptions(": lambda: cc.simulate_tissue(raw_rounds={"bits": 3}),
        "ExportOptions(": lambda: cc.export(tmp_path, options={"programs": "imagej"}),
        "DecodeOptions(": lambda: cc.decode(tmp_path, tmp_path / "out", {"radius": 2}),
        "PairOptions(": lambda: cc.pair_nuclei(movie.labels, movie.labels, options={"a": 1}),
        "GivenMasksOptions(": lambda: cc.import_masks("a", "b", "c", "d", {"masks_unit": "px"}),
        "ViewOptions(port=3)": lambda: cc.view(tmp_path, {"port": 3}),
        "PreprocessOptions(": lambda: cc.preprocess(movie.images, options={"clahe": 1}),
        "by their name": lambda: cc.preprocess(movie.images, cc.PreprocessOptions()),
    }
    for words, call in wrong.items():
        with pytest.raises(InputError, match=re.escape(words)):
            call()


def test_models_are_loaded_as_told() -> None:
    image = np.random.default_rng(0).poisson(50, (48, 48)).astype(np.uint16)
    frames = cc.preprocess(image[None], channels=["nuclear"])
    model = cc.load_model("tiny")
    options = cc.SegmentOptions(cell_diameter_px=20)
    follow(
        lambda: cc.segment(image, "tiny"),  # type: ignore[arg-type]
        "load_model",
        then=lambda: cc.segment(image, model),
    )
    follow(
        lambda: cc.segment_frames(frames, "tiny"),  # type: ignore[arg-type]
        "load_model",
        then=lambda: cc.segment_frames(frames, model),
    )
    follow(
        lambda: cc.segment(image, model, {"cell_diameter_px": 20}),  # type: ignore[arg-type]
        r"SegmentOptions\(cell_diameter_px=20\)",
        then=lambda: cc.segment(image, model, options),
    )
    follow(
        lambda: cc.segment_frames(frames, model, options),  # type: ignore[arg-type]
        "options=",
        then=lambda: cc.segment_frames(frames, model, options=options),
    )
