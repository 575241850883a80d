"""Corrections of tracks are found again by place after another segmentation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from disc_movies import draw

from cellsam_core.corrections.table import checksum_of
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.tracking.stage import track

HEADER = (
    "operation,frame,label,other_frame,other_label,note,id,"
    "y,x,area_px,other_y,other_x,other_area_px,masks\n"
)
AREA = int((draw([(1, 40, 40, 9)]) > 0).sum())


def masks(folder, *, swap=False, first=(1, 2), radius=9):
    """Two cells of eight frames; their labels differ from one segmentation to the next."""
    folder.mkdir()
    frames = []
    for t in range(8):
        a, b = first if t < 4 or not swap else reversed(first)
        frames.append(draw([(a, 40, 40, radius), (b, 40, 80, radius)]))
    store = omezarr.create(
        folder / "masks.zarr", shape=(8, *frames[0].shape), axes="tyx", dtype="uint32"
    )
    store.array[:] = np.stack(frames)
    pd.DataFrame({"label": list(first), "radius": radius}).to_parquet(folder / "cells.parquet")
    return folder / "masks.zarr"


def table(tmp_path, *rows, of):
    path = tmp_path / "m.tracks.csv"
    checksum = checksum_of(of.parent / "cells.parquet")
    path.write_text(HEADER + "".join(f"{row},{checksum}\n" for row in rows))
    return path


SWAP = (
    f"link,4,2,3,1,,a,40,80,{AREA},40,40,{AREA}",  # the cell on the left goes on on the right
    f"link,4,1,3,2,,b,40,40,{AREA},40,80,{AREA}",
)


def track_of(tracks, frame, x):
    rows = tracks.objects.query("frame == @frame")
    return int(rows.loc[(rows["x"] - x).abs().idxmin(), "track_id"])


def test_the_same_correction_holds_on_other_masks(tmp_path):
    old = masks(tmp_path / "old")
    path = table(tmp_path, *SWAP, of=old)
    for labels in (old, masks(tmp_path / "new", first=(7, 3), radius=11)):
        tracks = track(labels, corrections=path)
        assert track_of(tracks, 0, 40) == track_of(tracks, 7, 80)
        assert track_of(tracks, 0, 80) == track_of(tracks, 7, 40)
        assert tracks.outcomes["found"].tolist() == ["yes", "yes"]
    assert tracks.outcomes["label"].tolist() == [3, 7]
    assert tracks.outcomes["row"].tolist() == [2, 3]


def test_rows_that_are_lost_are_listed_and_not_carried_out(tmp_path):
    old = masks(tmp_path / "old")
    rows = (
        f"unlink,4,1,,,,a,40,40,{AREA},,,",
        f"unlink,4,2,,,,b,40,80,{5 * AREA},,,",  # a cell of another size
        "unlink,4,3,,,,c,5,5,90,,,",  # background
        f"unlink,4,4,,,,d,41,41,{AREA},,,",  # the cell of the first row
        f"merge,4,5,4,6,,e,40,40,{AREA},40,41,{AREA}",  # one cell
    )
    path = table(tmp_path, *rows, of=old)
    tracks = track(masks(tmp_path / "new", first=(7, 3)), corrections=path)
    assert tracks.outcomes["found"].tolist() == ["yes", "no", "no", "no", "no"]
    assert tracks.outcomes["reason"].str.len().gt(0).tolist() == [False] + [True] * 4
    assert len(tracks.tracks) == 3
    tracks.write(tmp_path / "3_tracks")
    written = pd.read_csv(tmp_path / "3_tracks/corrections.csv")
    assert written["id"].tolist() == ["a", "b", "c", "d", "e"]
    assert written["label"].tolist() == [7, 0, 0, 0, 0]


def test_on_its_own_masks_a_row_goes_by_the_label(tmp_path):
    old = masks(tmp_path / "old")
    path = table(tmp_path, f"unlink,4,9,,,,a,40,40,{AREA},,,", of=old)
    with pytest.raises(InputError, match="row 2: found label 9 in frame 4, where there is none"):
        track(old, corrections=path)


@pytest.mark.parametrize("cell", ["40,x,99", "40,,99", "40,40,9.5"])
def test_a_broken_place_is_refused(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(f"{HEADER}unlink,4,1,,,,a,{cell},,,,\n")
    with pytest.raises(InputError, match="row 2: found"):
        read_corrections(path)
