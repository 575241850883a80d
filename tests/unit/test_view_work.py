"""Work at the page of `cellsam-core view`: by keyboard, with doubts, jobs and new weights."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from view_browser import Tab
from view_results import Discs, checksums
from view_speed import make_tissue

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.corrections.stage import correct
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.viewer.jobs import Jobs
from cellsam_core.viewer.options import ViewOptions
from cellsam_core.viewer.stage import view

pytestmark = pytest.mark.browser
MAY_RUN = f"{sys.executable} -c pass"
TUNED = """
import json, pathlib
folder = pathlib.Path('finetuned'); folder.mkdir(exist_ok=True)
print('step 25 of 200: F1 0.700, PQ 0.500', flush=True)
(folder / 'weights_1.safetensors').touch()
scores = {'before': {'f1_50': 0.46, 'pq': 0.3}, 'after': {'f1_50': 0.7, 'pq': 0.5}, 'step': STEP,
          'start': 'tiny', 'weights': 'finetuned/weights_1.safetensors'}
(folder / 'weights_1.json').write_text(json.dumps(scores))
"""
"""Stands for `finetune`, which takes minutes."""


@pytest.fixture
def movie(shown_results: Path, tmp_path: Path) -> Path:
    shutil.copytree(shown_results / "movie", tmp_path / "results/movie")
    return tmp_path


def rows_of(folder: Path, kind: str) -> list[str]:
    path = folder / f"corrections/movie.{kind}.csv"
    read = read_cell_corrections if kind == "cells" else read_corrections
    return [row.operation for row in read(path)]


def test_the_whole_story_by_keyboard_alone(tab: Tab, movie: Path):
    results = checksums(movie / "results")
    served = view(movie / "results", load=lambda weights: Discs())
    try:
        page = tab.open(served.url, "movie", 5)
        tracks = movie / "corrections/movie.tracks.csv"
        page.keyboard.press("ArrowDown")
        tab.wait(row=0)
        page.keyboard.press("Enter")
        tab.wait(row=1)
        n = len(rows_of(movie, "tracks"))
        before = tracks.read_bytes()
        page.keyboard.press("b")
        tab.wait(rows=n + 1)
        after = tracks.read_bytes()
        page.keyboard.press("z")
        tab.wait(rows=n)
        assert tracks.read_bytes() == before
        page.keyboard.press("r")
        tab.wait(rows=n + 1)
        assert tracks.read_bytes() == after
        page.keyboard.press("Escape")
        n = len(rows_of(movie, "tracks"))
        page.keyboard.press("n")
        page.wait_for_selector("body[data-chosen*=':']")
        page.keyboard.press("v")
        page.wait_for_selector("body[data-chosen*=' ']")
        page.keyboard.press("s")
        tab.wait(rows=n + 2)
        cells_by_keyboard(tab)
        assert checksums(movie / "results") == results
        assert rows_of(movie, "cells") == ["add", "add", "delete", "split", "redraw", "merge"]
        page.keyboard.press("g")
        corner(tab, "ArrowLeft", 40)
        corner(tab, "ArrowRight", 60, "ArrowDown", 20)
        tab.wait(cellrows=7, tool="")
        assert tab.errors == []
    finally:
        served.close()


def corner(tab: Tab, *moves: str | int) -> None:
    """Lead the cross, 20 px of the screen a step, and set a corner."""
    for key, times in zip(moves[::2], moves[1::2], strict=True):
        for _ in range(int(times) // 5):
            tab.page.keyboard.press(f"Shift+{key}")
    tab.page.keyboard.press(" ")


def cells_by_keyboard(tab: Tab) -> None:
    """Add with a box and by hand; delete, cut, draw anew and join."""
    page = tab.page
    page.keyboard.press("Escape")
    tab.wait(chosen="")
    for frame in range(int(tab.data("frame")) + 1, 6):
        page.keyboard.press("ArrowRight")
        tab.wait(frame=frame)
    page.keyboard.press("f")
    page.wait_for_timeout(400)
    page.keyboard.press("x")
    tab.wait(tool="box", model="ready")
    corner(tab, "ArrowUp", 10)
    corner(tab, "ArrowRight", 20, "ArrowDown", 20)
    tab.wait(proposal="yes")
    page.keyboard.press("c")
    tab.wait(proposal="", cellrows=1)
    page.keyboard.press("o")
    corner(tab, "ArrowUp", 60)
    corner(tab, "ArrowRight", 15)
    corner(tab, "ArrowUp", 15)
    page.keyboard.press("Enter")
    tab.wait(cellrows=2)
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    tab.wait(chosen="5:1")
    page.keyboard.press("d")
    tab.wait(cellrows=3, chosen="")
    page.keyboard.press("n")  # goes on after the cell that was deleted
    tab.wait(chosen="5:2")
    page.keyboard.press("k")
    corner(tab, "ArrowUp", 40)
    corner(tab, "ArrowDown", 80)
    tab.wait(cellrows=4, tool="")
    page.keyboard.press("n")
    tab.wait(chosen="5:3")
    page.keyboard.press("e")
    tab.wait(tool="box")
    corner(tab, "ArrowLeft", 20, "ArrowUp", 20)
    corner(tab, "ArrowRight", 40, "ArrowDown", 40)
    tab.wait(proposal="yes")
    page.keyboard.press("c")
    tab.wait(cellrows=5)
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    tab.wait(chosen="5:4")
    page.keyboard.press("v")
    page.wait_for_selector("body[data-chosen*=' ']")
    page.keyboard.press("j")
    tab.wait(cellrows=6)


def drag_region(tab: Tab, y: float, x: float, regions: str) -> None:
    tab.page.keyboard.press("g")
    tab.wait(tool="region")
    tab.drag((y, x), (y + 60, x + 70))
    tab.wait(tool="", regions=regions)


@pytest.mark.parametrize("step", [25, 0])
def test_the_model_is_taught_and_its_new_weights_are_tried(
    tab: Tab, movie: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    code = [[sys.executable, "-c", TUNED.replace("STEP", str(step))]]
    monkeypatch.setattr(Jobs, "_tuning", lambda *_: code)
    options = ViewOptions(run_command=MAY_RUN)
    served = view(movie / "results", options, load=lambda weights: Wide())
    try:
        page = tab.open(served.url, "movie", 5)
        drag_region(tab, 10, 10, "1")
        drag_region(tab, 10, 85, "1 1")
        panel = page.locator("#teach")
        panel.get_by_text("2 regions, 2 cells").wait_for()
        assert panel.get_by_text("held out", exact=True).count() == 1
        page.get_by_role("button", name="fine-tune").click()
        tab.wait(job="finetune done")
        if step == 0:
            panel.get_by_text("no new weights were better than").wait_for()
            assert panel.get_by_role("button", name="try it").count() == 0
            return
        panel.get_by_text("F1 0.460").wait_for()
        panel.get_by_text("F1 0.700").wait_for()
        panel.get_by_text("weights: finetuned/weights_1.safetensors").wait_for()
        page.get_by_role("button", name="try it on the view").click()
        tab.wait(trial="1 1")
        page.keyboard.press("Escape")
        tab.wait(trial="")
        assert tab.errors == []
    finally:
        served.close()


class Wide(Discs):
    """A model that finds one cell in every image."""

    def segment(self, pixels, diameter_px):
        height, width = pixels.shape[1:]
        features = self.features(pixels, diameter_px)
        return self.draw_boxes(features, [(0, 0, width, height)])


def test_run_again_starts_the_command_and_the_new_results_are_shown(tab: Tab, movie: Path):
    code = "import os; os.utime('results/movie/3_tracks/tracks.csv', (9, 9)); print('1 of 2 steps')"
    options = ViewOptions(run_command=f'{sys.executable} -c "{code}"')
    served = view(movie / "results", options, load=lambda weights: Discs())
    try:
        page = tab.open(served.url, "movie", 5)
        tab.click(40, 45)
        tab.wait(chosen="5:1")
        page.keyboard.press("d")
        tab.wait(waiting=1)
        page.get_by_role("button", name="Run again").click()
        tab.wait(job="workflow done")
        tab.click(40, 115)
        tab.wait(chosen="5:2")
        page.get_by_text("The results were made anew").wait_for()
        tab.wait(frame=5, busy="false", chosen="")  # cells may have other numbers now
    finally:
        served.close()


def test_what_was_taken_back_after_a_run_waits_for_the_next_one(tab: Tab, movie: Path):
    served = view(movie / "results", ViewOptions(no_model=True))
    masks, table = movie / "results/movie/2_masks", movie / "corrections/movie.cells.csv"
    try:
        page = tab.open(served.url, "movie", 5)
        tab.click(40, 45)
        tab.wait(chosen="5:1")
        page.keyboard.press("d")
        tab.wait(waiting=1)
        correct(masks / "masks.zarr", masks / "cells.parquet", table, masks / "corrected")
        tab.wait(waiting=0)
        assert page.get_by_role("button", name="Run again").count() == 0
        page.get_by_role("button", name="Remove delete in frame 5").click()
        tab.wait(waiting=1, rows=0)
        page.get_by_text("taken back, until the next run").wait_for()
        page.get_by_role("button", name="Run again").wait_for()
        page.keyboard.press("r")
        tab.wait(waiting=0, rows=1)
    finally:
        served.close()


def test_without_the_option_the_command_is_shown(tab: Tab, movie: Path):
    served = view(movie / "results", ViewOptions(no_model=True))
    try:
        page = tab.open(served.url, "movie", 5)
        page.keyboard.press("x")
        page.get_by_text("started with --no-model").wait_for()
        page.keyboard.press("Escape")
        tab.click(40, 45)
        page.keyboard.press("d")
        tab.wait(waiting=1)
        page.get_by_role("button", name="Run again").click()
        page.get_by_text("snakemake --cores 2").wait_for()
        tab.wait(job="")
    finally:
        served.close()


def test_two_pages_do_not_overwrite_each_other(tab: Tab, browser, movie: Path):
    served = view(movie / "results")
    other = Tab(browser)
    try:
        tab.open(served.url, "movie", 5)
        other.page.route("**/seen", lambda route: None)  # it does not look at the table by itself
        other.open(served.url, "movie", 5)
        other.page.wait_for_selector("#history code")  # it has looked at the table
        for one, place in ((tab, (40, 45)), (other, (40, 115))):
            one.click(*place)
            one.page.wait_for_selector("body[data-chosen*=':']")
            one.page.keyboard.press("d")
            tab.wait(cellrows=1)
        other.page.get_by_text("changed outside").wait_for()
        other.wait(cellrows=1)  # the row of the first page is loaded
        other.page.keyboard.press("d")
        other.wait(cellrows=2)
        tab.wait(cellrows=2)  # the first one does
        tab.page.get_by_text("changed outside and was loaded again").wait_for()
    finally:
        other.context.close()
        served.close()


def test_tracks_of_other_masks_are_told_and_not_corrected(tab: Tab, movie: Path):
    cells = movie / "results/movie/2_masks/cells.parquet"
    table = pd.read_parquet(cells)
    table.assign(area_px=table["area_px"] + 1).to_parquet(cells)
    served = view(movie / "results")
    try:
        page = tab.open(served.url, "movie", 5)
        page.get_by_role("alert").get_by_text("belong to other masks").wait_for()
        assert page.get_by_role("button", name="swap").count() == 0
        assert page.get_by_role("button", name="delete").count() == 1
    finally:
        served.close()


def test_a_division_with_one_daughter_is_noted(tab: Tab, movie: Path):
    tracks = movie / "results/movie/3_tracks"
    objects = pd.read_parquet(tracks / "objects.parquet")
    is_kept = (objects["track_id"] != 3) | (objects["frame"] < 6)
    objects[is_kept].to_parquet(tracks / "objects.parquet")
    table = pd.read_csv(tracks / "tracks.csv")
    table.loc[table["track_id"] == 3, "last_frame"] = 5
    table.to_csv(tracks / "tracks.csv", index=False)
    served = view(movie / "results")
    try:
        page = tab.open(served.url, "movie", 5)
        tab.click(115, 55)
        tab.wait(chosen="5:3")
        page.keyboard.press("ArrowRight")
        tab.wait(frame=6, busy="false")
        page.keyboard.down("Shift")
        tab.click(40, 46)
        page.keyboard.up("Shift")
        tab.wait(chosen="5:3 6:1")
        page.keyboard.press("m")
        page.get_by_text("one daughter only").wait_for()
    finally:
        served.close()


def test_a_damaged_part_of_the_image_is_told_once(tab: Tab, movie: Path):
    chunk = movie / "results/movie/1_preprocessed/frames.zarr/0/c/2/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    served = view(movie / "results")
    try:
        page = tab.open(served.url, "movie", 1)
        page.keyboard.press("ArrowRight")
        page.get_by_text("damaged chunk").wait_for()
    finally:
        served.close()


def test_small_screens_have_the_panels_in_a_drawer(tab: Tab, movie: Path):
    tab.page.set_viewport_size({"width": 700, "height": 600})
    served = view(movie / "results")
    try:
        page = tab.open(served.url, "movie", 5)
        side = page.locator("#side")
        assert not side.is_visible()
        box = page.locator("#picture").bounding_box()
        assert box is not None
        assert box["width"] == 700
        page.get_by_role("button", name="Panels").click()
        side.get_by_role("heading", name="Review").wait_for()
        page.keyboard.press("Escape")
        tab.wait(drawer="")
        page.keyboard.press("?")
        page.get_by_role("region", name="Keys").wait_for()
    finally:
        served.close()


def test_raw_channels_are_shown_on_demand(tab: Tab, movie: Path):
    served = view(movie / "results")
    try:
        page = tab.open(served.url, "movie", 5)
        before = len([a for a in tab.addresses if "/contrast/" in a])
        assert before == 1  # raw channels are not read until they are shown
        shot = page.locator("#picture").screenshot()
        page.get_by_label("Show raw GFP", exact=True).check()
        page.keyboard.press("Alt+1")
        page.wait_for_timeout(300)
        tries = (
            page.wait_for_timeout(200) or page.locator("#picture").screenshot() for _ in "x" * 50
        )
        assert any(after != shot for after in tries)
        assert [s for s in tab.statuses if s[0] >= 400] == []
    finally:
        served.close()


def test_a_hundred_thousand_cells_are_shown_and_found(tab: Tab, tmp_path: Path):
    side, along = 13, 316
    make_tissue(tmp_path / "results/large", side * along, along**2, 1_000_000)
    served = view(tmp_path / "results")
    try:
        page = tab.open(served.url, "large")
        tab.wait(busy="false")
        for k in (0, 1, *range(100, 106)):  # in the list before the user searches
            page.get_by_label(f"Transcripts of gene{k}", exact=True).check()
        tab.wait(transcripts="density")  # about 27,000 in view
        page.evaluate("() => import('./static/image.js').then(m => m.goTo(2000, 2000))")
        page.wait_for_timeout(600)
        row = column = 2000 // side
        middle = (side + 1) / 2
        page.mouse.move(*tab.screen(row * side + middle, column * side + middle))
        tab.wait(hover=row * along + column + 1)
        page.wait_for_selector("body[data-transcripts^='points ']", state="attached")
        page.locator("#doubts tbody tr").first.wait_for()
    finally:
        served.close()
