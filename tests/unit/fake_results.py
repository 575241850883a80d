"""Small results trees with known content, for the tests of traces and report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import zarr

from cellsam_core.cli import main
from cellsam_core.cli import traces as traces_cli
from cellsam_core.files import omezarr
from cellsam_core.files.plane import Plane
from cellsam_core.samples.manifest import Manifest, TranscriptSource
from cellsam_core.tracking.review import review_table

N_FRAMES, HEIGHT, WIDTH, DRUG_FRAME = 12, 160, 200, 4
CENTRES = [(40, 40), (40, 110), (115, 50), (110, 130)]  # the last one divides
DIVISION_FRAME = 7
SEGMENTATION = {
    "weights": "tiny",
    "sha256": "ab" * 32,
    "device": "cpu",
    "score_threshold": 0.5,
    "cell_diameter_px": 26.0,
}


BBOX = ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]


def bbox(y: np.ndarray, x: np.ndarray) -> tuple[int, int, int, int]:
    return int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1


def disc(labels: np.ndarray, centre: tuple[float, float], radius: float, value: int) -> None:
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = value


def response(frame: int) -> float:
    """True R/R0 after the drug."""
    return 1 + max(0.0, 1.5 * (1 - np.exp(-(frame - DRUG_FRAME + 1) / 2)))


def movie_frame(frame: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Image (2, y, x), labels and the track of each label 1, 2, ..."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint32)
    track_ids = [1, 2, 3]
    for i, (y, x) in enumerate(CENTRES[:3]):
        disc(labels, (y, x + frame), 13, i + 1)
    y, x = CENTRES[3]
    if frame < DIVISION_FRAME:
        disc(labels, (y, x), 14, 4)
        track_ids.append(4)
    else:
        disc(labels, (y, x - 12), 10, 4)
        disc(labels, (y, x + 12), 10, 5)
        track_ids += [5, 6]
    inside = labels > 0
    signal = np.stack([inside * 240.0 * response(frame), inside * 300.0])
    image = rng.normal(signal + np.array([120, 150])[:, None, None], 6)
    return image.round().clip(0).astype(np.uint16), labels, track_ids


def write_movie(
    folder: Path,
    *,
    n_frames: int = N_FRAMES,
    channels: tuple[str, str] = ("GFP", "ExRai_405"),
    with_cells: bool = True,
    with_ratio: bool = True,
    with_units: bool = True,
) -> Path:
    """Write the tree of a movie below `folder`; return it."""
    raw = folder.parent / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    pixel_size, interval = (0.65, 30.0) if with_units else (None, None)
    (folder / "1_preprocessed").mkdir(parents=True)
    (folder / "2_masks").mkdir()
    (folder / "3_tracks").mkdir()
    scale = {"pixel_size_um": pixel_size, "frame_interval_s": interval}
    shape = (n_frames, HEIGHT, WIDTH)
    frames = omezarr.create(
        folder / "1_preprocessed/frames.zarr",
        shape=(n_frames, 1, HEIGHT, WIDTH),
        axes="tcyx",
        dtype="uint16",
        channels=("cell",),
        **scale,
    )
    masks_path = folder / "2_masks/masks.zarr"
    masks = omezarr.create(masks_path, shape=shape, axes="tyx", dtype="uint32", **scale)
    zarr.open_group(str(masks_path), mode="r+").attrs["cellsam"] = SEGMENTATION
    rng = np.random.default_rng(5)
    rows = []
    for t in range(n_frames):
        image, labels, track_ids = movie_frame(t, rng)
        if not with_cells:
            labels[:], track_ids = 0, []
        for c in range(2):
            tifffile.imwrite(raw / f"t{t:02d}_c{c}.tif", image[c])
        frames.array[t, 0] = image[1]
        masks.array[t] = labels
        for label, track_id in enumerate(track_ids, start=1):
            y, x = np.nonzero(labels == label)
            place = (y.mean(), x.mean(), len(y), *bbox(y, x))
            rows.append((t, label, track_id, *place))
    columns = ["frame", "label", "track_id", *"yx", "area_px", *BBOX]
    _write_tables(folder, pd.DataFrame(rows, columns=columns))
    manifest = Manifest(
        sample="demo <movie> & co",
        assay="movie",
        format="files by pattern",
        channels=list(channels),
        n_frames=n_frames,
        shape_yx=(HEIGHT, WIDTH),
        dtype="uint16",
        pixel_size_um=pixel_size,
        frame_interval_s=interval,
        planes=[
            [Plane(str(raw / f"t{t:02d}_c{c}.tif")) for c in range(2)] for t in range(n_frames)
        ],
        warnings=["channel names were taken from file names"],
    )
    (folder / "0_manifest.json").write_text(manifest.to_json())
    run_traces(folder, ratio="/".join(channels) if with_ratio else None)
    return folder


def _write_tables(folder: Path, objects: pd.DataFrame) -> None:
    boxes, objects = objects[BBOX], objects.drop(columns=BBOX)
    objects = objects.assign(link_iou=0.8, link_kind="link", flags="")
    objects.loc[objects["frame"] == 0, "link_kind"] = "start"
    objects.to_parquet(folder / "3_tracks/objects.parquet")
    cells = objects[["frame", "label", "y", "x", "area_px"]].join(boxes)
    cells = cells.assign(score=0.6 + 0.3 * (objects["label"] % 3) / 2, touches_border=False)
    cells.to_parquet(folder / "2_masks/cells.parquet")
    spans = objects.groupby("track_id")["frame"].agg(["min", "max", "size"])
    parents = {5: 4, 6: 4}
    tracks = pd.DataFrame(
        {
            "track_id": spans.index,
            "lineage_id": [4 if i in parents else i for i in spans.index],
            "parent_id": [parents.get(i, 0) for i in spans.index],
            "sister_id": [{5: 6, 6: 5}.get(i, 0) for i in spans.index],
            "generation": [int(i in parents) for i in spans.index],
            "birth_kind": ["division" if i in parents else "start" for i in spans.index],
            "first_frame": spans["min"].to_numpy(),
            "last_frame": spans["max"].to_numpy(),
            "n_obs": spans["size"].to_numpy(),
            "end_kind": ["division" if i == 4 else "movie_end" for i in spans.index],
            "quality": 0.9,
        }
    )
    tracks.to_csv(folder / "3_tracks/tracks.csv", index=False)
    divided = 6 in spans.index
    division = (1, "mitosis", DIVISION_FRAME, 4, "5;6", 0.87, "auto")
    names = ["event_id", "kind", "frame", "parent_id", "daughter_ids", "score", "status"]
    divisions = pd.DataFrame([division] if divided else [], columns=names)
    divisions.to_csv(folder / "3_tracks/divisions.csv", index=False)
    found = {"every_nth_frame": [1, 2], "n_links": [30, 24], "found": [1.0, 0.75]}
    intervals = pd.DataFrame(found).assign(safe=[True, False])
    intervals.to_csv(folder / "3_tracks/intervals.csv", index=False)
    n_frames = int(objects["frame"].max()) + 1 if len(objects) else 2
    drift = pd.DataFrame({"frame": range(n_frames), "y_px": 0.0, "x_px": 0.0})
    drift.loc[n_frames - 1, ["y_px", "x_px"]] = 3.0, 4.0
    drift.to_csv(folder / "3_tracks/drift.csv", index=False)
    objects = objects.assign(link_probability=0.99)
    review = review_table(objects, tracks, divisions)
    review.to_csv(folder / "3_tracks/review.csv", index=False)


def run_traces(folder: Path, *options: str, ratio: str | None = None) -> None:
    """Run the command ``traces`` on a tree of :func:`write_movie`."""
    arguments = [
        str(folder / "0_manifest.json"),
        *("--masks", str(folder / "2_masks/masks.zarr")),
        *("--objects", str(folder / "3_tracks/objects.parquet")),
        *("--tracks", str(folder / "3_tracks/tracks.csv")),
        *("-o", str(folder / "3_tracks")),
        *(("--ratio", ratio) if ratio else ()),
        *options,
    ]
    parser = argparse.ArgumentParser()
    traces_cli.add_arguments(parser)
    traces_cli.run(parser.parse_args(arguments))


def write_spatial(folder: Path, *, with_cells: bool = True) -> Path:
    """Write the tree of a spatial sample below `folder`; return it.

    0.5 um a pixel, image origin at (100, 200) um, 500 transcripts of which 100 in no cell.
    """
    (folder / "1_preprocessed").mkdir(parents=True)
    (folder / "2_masks").mkdir()
    size, pixel = 300, 0.5
    rng = np.random.default_rng(6)
    labels = np.zeros((size, size), np.uint32)
    centres = [(y, x) for y in range(30, size, 60) for x in range(30, size, 60)]
    for i, centre in enumerate(centres if with_cells else [], start=1):
        disc(labels, centre, 20, i)
    image = rng.normal(200 + 500 * (labels > 0), 40).clip(0).astype(np.uint16)
    frames = omezarr.create(
        folder / "1_preprocessed/frames.zarr",
        shape=(2, size, size),
        axes="cyx",
        dtype="uint16",
        channels=("nuclear", "cell"),
        pixel_size_um=pixel,
    )
    frames.array[0], frames.array[1] = image // 2, image
    masks_path = folder / "2_masks/masks.zarr"
    masks = omezarr.create(
        masks_path, shape=(size, size), axes="yx", dtype="uint32", pixel_size_um=pixel
    )
    masks.array[:] = labels
    zarr.open_group(str(masks_path), mode="r+").attrs["cellsam"] = SEGMENTATION | {"tile_px": 150}
    y, x = rng.integers(0, size, (2, 20_000))
    in_cell = labels[y, x] > 0
    kept = np.concatenate([np.flatnonzero(in_cell)[:400], np.flatnonzero(~in_cell)])[:500]
    y, x = y[kept], x[kept]
    names = np.array(["Gapdh", "Actb", "<b>Neg$r1", "Blank-1"])
    gene = names[rng.choice(4, len(kept), p=[0.5, 0.3, 0.18, 0.02])]
    raw = folder.parent / "transcripts.csv"
    transcripts = pd.DataFrame({"x": 100 + x * pixel, "y": 200 + y * pixel, "gene": gene})
    transcripts.to_csv(raw, index=False)
    ids, areas_px = np.unique(labels[labels > 0], return_counts=True)
    boxes = pd.DataFrame([bbox(*np.nonzero(labels == k)) for k in ids], columns=BBOX)
    pd.DataFrame(
        {
            "frame": 0,
            "label": ids,
            "y": [float(centres[k - 1][0]) for k in ids],
            "x": [float(centres[k - 1][1]) for k in ids],
            "area_px": areas_px,
            "score": 0.8,
            "touches_border": False,
        }
    ).join(boxes).to_parquet(folder / "2_masks/cells.parquet")
    source = TranscriptSource(
        path=str(raw),
        x="x",
        y="y",
        gene="gene",
        z=None,
        unit="um",
        um_to_px=[[2.0, 0.0, -200.0], [0.0, 2.0, -400.0], [0.0, 0.0, 1.0]],
        n_rows=len(transcripts),
    )
    manifest = Manifest(
        sample="region_0",
        assay="merfish",
        format="merscope",
        channels=["DAPI", "PolyT"],
        n_frames=1,
        shape_yx=(size, size),
        dtype="uint16",
        pixel_size_um=pixel,
        frame_interval_s=None,
        planes=[[Plane("dapi.tif"), Plane("polyt.tif")]],
        transcripts=source,
    )
    (folder / "0_manifest.json").write_text(manifest.to_json())
    arguments = ["assign", "--labels", str(masks_path), "-o", str(folder / "3_cells")]
    assert main([*arguments, "--manifest", str(folder / "0_manifest.json")]) == 0
    return folder


def write_benchmarks(folder: Path) -> Path:
    """Three benchmark files, as Snakemake writes them; two jobs were too short for it."""
    columns = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    for name, row in {
        "track": "1.25\t0:00:01\t180.5\t900\t170\t175\t0\t1\t98\t1.20",
        "inspect": "0.45\t0:00:00\t3.19\t4.1\t1.1\t1.2\t0\t0\t0\t0.00",
        "segment/1-of-2": "0.05\t0:00:00\t-\t-\t-\t-\t-\t-\t-\t-",
    }.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{columns}\n{row}\n")
    return folder


def config_json() -> str:
    return json.dumps({"traces": {"baseline-frames": 3, "ratio": "GFP/ExRai_405"}, "seed": 1})
