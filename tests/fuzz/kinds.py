"""Good inputs of every kind, and the arguments of the commands that read them; OUT is the output.

Everything is simulated and small. All commands of a kind are run in turn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import roifile
import tifffile
import zarr
from skimage.measure import label as number_cells
from skimage.measure import regionprops

from cellsam_core.cli import main
from cellsam_core.segmentation.weights import load_trainable, save

ROOT = Path(__file__).resolve().parents[2]
SIDE = 48


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes
    ----------
    name
        For the table.
    build
        Writes a folder of good input.
    damaged
        Glob patterns of the files to damage.
    commands
        Each a line of words; IN is the folder of the input.
    share
        How often the kind is drawn, against others.
    """

    name: str
    build: Callable[[Path], None]
    damaged: tuple[str, ...]
    commands: tuple[str, ...]
    share: int = 1


def do(line: str, **folders: object) -> None:
    words = [str(folders.get(word, word)) for word in line.split()]
    if main(words) != 0:
        raise RuntimeError(line)


def blobs(n_frames: int, n_channels: int = 1, seed: int = 1) -> np.ndarray:
    """Draw bright discs that move: ``(t, c, y, x)`` uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    frames = rng.poisson(200, (n_frames, n_channels, SIDE, SIDE)).astype(np.uint16)
    for cy, cx in ((14, 14), (14, 36), (36, 22)):
        for t in range(n_frames):
            frames[t, :, (y - cy - t) ** 2 + (x - cx) ** 2 < 50] += 900
    return frames


def movie(folder: Path) -> None:
    for t, frame in enumerate(blobs(3)):
        compression = (None, "zlib", "lzw")[t]
        tifffile.imwrite(folder / f"t{t}.tif", frame[0], compression=compression, rowsperstrip=16)


def ome_tiff(folder: Path) -> None:
    metadata = {
        "axes": "TCYX",
        "PhysicalSizeX": 0.65,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.65,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": 300,
        "TimeIncrementUnit": "s",
        "Channel": {"Name": ["DAPI", "phase"]},
    }
    tifffile.imwrite(folder / "movie.ome.tif", blobs(3, 2), ome=True, metadata=metadata)


def imagej(folder: Path) -> None:
    metadata = {"axes": "TCYX", "unit": "um", "finterval": 60}
    resolution = (1 / 0.65, 1 / 0.65)
    path = folder / "stack.tif"
    tifffile.imwrite(path, blobs(3, 2), imagej=True, metadata=metadata, resolution=resolution)


def png(folder: Path) -> None:
    import imagecodecs

    for t, frame in enumerate(blobs(3)):
        (folder / f"t{t}.png").write_bytes(imagecodecs.png_encode(frame[0]))


def companion(folder: Path) -> None:
    """Write an OME-TIFF set whose metadata are in a file of their own."""
    schema = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    places = ""
    for (t, c), frame in zip(np.ndindex(3, 2), blobs(3, 2).reshape(-1, SIDE, SIDE), strict=True):
        name = f"mv_Ch{c + 1}_{t:06d}.ome.tif"
        pointer = f'<OME {schema}><BinaryOnly MetadataFile="mv.companion.ome" UUID="a"/></OME>'
        tifffile.imwrite(folder / name, frame, description=pointer, metadata=None)
        places += (
            f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="0" IFD="0" PlaneCount="1">'
            f'<UUID FileName="{name}">a</UUID></TiffData>'
        )
    (folder / "mv.companion.ome").write_text(
        f'<OME {schema}><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        f'Type="uint16" SizeX="{SIDE}" SizeY="{SIDE}" SizeC="2" SizeZ="1" SizeT="3" '
        'PhysicalSizeX="0.65" PhysicalSizeY="0.65" TimeIncrement="60"><Channel ID="Channel:0:0" '
        f'Name="DAPI"/><Channel ID="Channel:0:1" Name="phase"/>{places}</Pixels></Image></OME>'
    )


def old_zarr(folder: Path) -> None:
    """Write an OME-Zarr 0.4 as other programs do."""
    group = zarr.open_group(folder / "movie.zarr", mode="w", zarr_format=2)
    pixels = blobs(3, 2)[:, :, None]
    array = group.create_array("0", shape=pixels.shape, dtype="uint16", chunks=(1, 1, 1, 48, 48))
    array[:] = pixels
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    axes = [{"name": a} | ({"unit": units[a]} if a in units else {}) for a in "tczyx"]
    scale = [{"type": "scale", "scale": [60.0, 1.0, 1.0, 0.65, 0.65]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    group.attrs["omero"] = {"channels": [{"label": "DAPI"}, {"label": "phase"}]}


def cellpose(folder: Path) -> None:
    for t, frame in enumerate(blobs(3)[:, 0]):
        labels = number_cells(frame > 600).astype(np.uint16)
        np.save(folder / f"t{t}_seg.npy", {"masks": labels, "filename": "a", "est_diam": 14.0})


def frames(folder: Path) -> None:
    movie(folder)
    do("inspect IN --sample s --assay movie -o IN/m.json".replace("IN", str(folder)))
    do(f"preprocess {folder}/m.json --clahe-kernel-px 16 -o {folder}/frames.zarr")


def given_masks(folder: Path) -> None:
    """Write outlines of the cells of a movie: ROIs of ImageJ, and GeoJSON for each frame."""
    frames(folder)
    rois = []
    (folder / "outlines").mkdir()
    for t, frame in enumerate(
        tifffile.imread(sorted(folder.glob("*.tif"))).reshape(-1, SIDE, SIDE)
    ):
        rings = [
            np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
            for y0, x0, y1, x1 in (r.bbox for r in regionprops(number_cells(frame > 600)))
        ]
        rois += [roifile.ImagejRoi.frompoints(ring, t=t) for ring in rings]
        shapes = [{"type": "Polygon", "coordinates": [[*r.tolist(), r[0].tolist()]]} for r in rings]
        text = json.dumps({"type": "GeometryCollection", "geometries": shapes})
        (folder / f"outlines/t{t}.geojson").write_text(text)
    roifile.roiwrite(folder / "rois.zip", rois)


def stages(folder: Path) -> None:
    """Write what the stages of a movie leave."""
    frames(folder)
    options = "--batch 1-of-1 --cell-diameter-px 14 --score-threshold 0.1 --iou-threshold 0.1"
    do(f"segment-batch {folder}/frames.zarr {options} -o {folder}/1-of-1.parquet")
    out = f"--masks {folder}/masks.zarr --cells {folder}/cells.parquet"
    do(f"stitch {folder}/frames.zarr {folder}/1-of-1.parquet {out}")
    do(f"track {folder}/masks.zarr -o {folder}")
    tables = f"--masks {folder}/masks.zarr --objects {folder}/objects.parquet"
    do(f"traces {folder}/m.json {tables} --tracks {folder}/tracks.csv -o {folder}")
    if not len(pd.read_parquet(folder / "objects.parquet")):
        raise RuntimeError("no cell to follow")


def tissue(folder: Path) -> None:
    size = "--size-px 96 --cells 6 --transcripts 60 --z-planes 1 --seed 3"
    do(f"simulate merfish {size} -o {folder}/region")
    shutil.copy(folder / "region/truth/labels.tif", folder / "labels.tif")
    do(f"inspect {folder}/region --sample s --assay merfish -o {folder}/m.json")
    table = pd.read_csv(folder / "region/detected_transcripts.csv", index_col=0)
    matrix = np.loadtxt(folder / "region/images/micron_to_mosaic_pixel_transform.csv")
    for i, axis in enumerate("xy"):
        size_um = 1 / matrix[i, i]
        table[f"{axis}_um"] = table.pop(f"global_{axis}") + matrix[i, 2] * size_um
    table.to_csv(folder / "t.csv.gz")
    table.to_parquet(folder / "t.parquet")
    do(f"assign --labels {folder}/labels.tif --manifest {folder}/m.json -o {folder}/cells")
    shutil.copy(folder / "cells/boundaries.parquet", folder / "polygons.parquet")
    left, top = (-matrix[i, 2] / matrix[i, i] for i in range(2))  # um
    vertices = [
        (i, left + x, top + y)
        for i, (cx, cy) in enumerate(((2, 2), (5, 6), (8, 3)))
        for x, y in ((cx - 2, cy - 2), (cx + 2, cy - 2), (cx + 2, cy + 2), (cx - 2, cy + 2))
    ]
    columns = ["cell_id", "vertex_x", "vertex_y"]
    pd.DataFrame(vertices, columns=columns).to_csv(folder / "vertices.csv", index=False)


def spatial_results(folder: Path) -> None:
    tissue(folder)
    results = folder / "results"
    (results / "3_cells").mkdir(parents=True)
    for path in (folder / "cells").iterdir():
        shutil.copy(path, results / "3_cells")
    shutil.copy(folder / "m.json", results / "0_manifest.json")


def raw_rounds(assay: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        size = "--size-px 96 --cells 4 --transcripts 80 --z-planes 1 --seed 2"
        do(f"simulate {assay} --raw-rounds {size} -o {folder}/raw")

    return build


def challenge(folder: Path) -> None:
    stages(folder)
    shutil.copytree(folder / "ctc", folder / "truth")
    for path in (folder / "truth").iterdir():
        name = path.name.replace("mask", "man_track").replace("res_track.txt", "man_track.txt")
        path.rename(path.with_name(name))


def images_and_boxes(folder: Path) -> None:
    tifffile.imwrite(folder / "a.tif", blobs(1)[0, 0])
    (folder / "boxes.csv").write_text("image,x0,y0,x1,y1\na.tif,7,7,21,21\na.tif,29,7,43,21\n")


def weights(folder: Path) -> None:
    images_and_boxes(folder)
    save(load_trainable("tiny").state_dict(), folder / "own.safetensors")


def workflow(folder: Path) -> None:
    (folder / "config").mkdir()
    shutil.copy(ROOT / "config/config.yaml", folder / "config")
    (folder / "a b").mkdir()
    (folder / "config/samples.tsv").write_text(
        "sample\tassay\tpath\tpixel_size_um\tchannels\tratio\tcontrol\n"
        "dmso\tmovie\t../a b\t0.65\tGFP,RFP\tGFP/RFP\t\n"
        "drug\tmovie\t../a b\t0.65\tGFP,RFP\tGFP/RFP\tdmso\n"
        "tissue\tmerfish\t../a b\t\t\t\t\n"
    )


LOOK = "inspect IN --sample s --assay movie -o OUT/m.json"
PREPARE = "preprocess OUT/m.json --clahe-kernel-px 16 -o OUT/frames.zarr"
TRACES = "traces IN/m.json --masks IN/masks.zarr --objects IN/objects.parquet"
TRACES += " --tracks IN/tracks.csv -o OUT"
SPATIAL = "inspect IN/region --sample s --assay merfish -o OUT/m.json"
ASSIGN = "assign --labels IN/labels.tif --manifest OUT/m.json -o OUT"
NO_IMAGE = "--pixel-size-um 0.108 -o OUT"
SEGMENT = "segment IN/a.tif --cell-diameter-px 14 --score-threshold 0.1 --iou-threshold 0.1 -o OUT"
BATCH = "segment-batch IN/frames.zarr --batch 1-of-1 --cell-diameter-px 14 -o OUT/b.parquet"
STITCH = "stitch IN/frames.zarr IN/1-of-1.parquet --masks OUT/m.zarr --cells OUT/c.parquet"
MOVIE_TABLES = ("objects.parquet", "tracks.csv", "m.json", "masks.zarr/**/*")
CELLS = "IN/results/3_cells/cells.h5ad"

IMPORT = "import-masks IN/{} --manifest IN/m.json --frames IN/frames.zarr"
IMPORT += " --masks OUT/m.zarr --cells OUT/c.parquet"

KINDS = [
    Kind("TIFF", movie, ("*.tif",), (LOOK, PREPARE), share=4),
    Kind("OME-TIFF", ome_tiff, ("*.tif",), (LOOK + " --channels DAPI,phase", PREPARE), share=3),
    Kind(
        "ImageJ TIFF",
        imagej,
        ("*.tif",),
        (LOOK + " --channels nuc,cyto", PREPARE),
        share=2,
    ),
    Kind("ROIs of ImageJ", given_masks, ("rois.zip",), (IMPORT.format("rois.zip"),)),
    Kind("GeoJSON", given_masks, ("outlines/*",), (IMPORT.format("outlines"),)),
    Kind(
        "OME-TIFF with a companion",
        companion,
        ("*.companion.ome", "*.tif"),
        (LOOK, PREPARE),
        share=2,
    ),
    Kind(
        "OME-Zarr 0.4",
        old_zarr,
        ("movie.zarr/.z*", "movie.zarr/0/.z*"),
        (LOOK.replace("IN ", "IN/movie.zarr "), PREPARE),
        share=2,
    ),
    Kind("labels of Cellpose", cellpose, ("*.npy",), ("track IN -o OUT",), share=2),
    Kind("PNG", png, ("*.png",), (LOOK, PREPARE)),
    Kind("label TIFF", tissue, ("labels.tif",), (SPATIAL, ASSIGN), share=2),
    Kind("zarr images", frames, ("frames.zarr/**/*",), (BATCH,), share=2),
    Kind("zarr labels", stages, ("masks.zarr/**/*",), ("track IN/masks.zarr -o OUT",), share=2),
    Kind(
        "transcripts (csv)",
        tissue,
        ("region/detected_transcripts.csv",),
        (SPATIAL, ASSIGN),
        share=3,
    ),
    Kind(
        "transcripts (csv.gz and parquet)",
        tissue,
        ("t.csv.gz", "t.parquet"),
        (
            f"assign --labels IN/labels.tif --transcripts IN/t.csv.gz {NO_IMAGE}/1",
            f"assign --labels IN/labels.tif --transcripts IN/t.parquet {NO_IMAGE}/2",
        ),
        share=3,
    ),
    Kind(
        "polygons",
        tissue,
        ("polygons.parquet", "vertices.csv"),
        (
            "assign --polygons IN/polygons.parquet --manifest IN/m.json -o OUT/1",
            "assign --polygons IN/vertices.csv --manifest IN/m.json -o OUT/2",
        ),
        share=2,
    ),
    Kind(
        "transforms",
        tissue,
        ("region/images/*.csv", "region/images/*.json"),
        (SPATIAL, ASSIGN),
        share=2,
    ),
    Kind("manifest of a movie", stages, ("m.json",), (PREPARE.replace("OUT/m", "IN/m"), TRACES)),
    Kind("manifest of a tissue", tissue, ("m.json",), (ASSIGN.replace("OUT/m", "IN/m"),)),
    Kind("batches", stages, ("1-of-1.parquet",), (STITCH,), share=2),
    Kind(
        "tables of stages",
        stages,
        ("objects.parquet", "tracks.csv", "traces.parquet"),
        (TRACES, "summarise a=IN/traces.parquet -o OUT/conditions"),
        share=3,
    ),
    Kind(
        "results",
        spatial_results,
        ("results/3_cells/*",),
        (
            "report IN/results -o OUT/report.html --provenance OUT/p.json",
            f"compare-samples a={CELLS} b={CELLS} -o OUT/replicates",
        ),
    ),
    Kind(
        "codebook and rounds",
        raw_rounds("seqfish"),
        ("raw/*.csv",),
        ("decode IN/raw -o OUT/decoded",),
        share=2,
    ),
    Kind(
        "codebook and organization",
        raw_rounds("merfish"),
        ("raw/*.csv", "raw/*.json"),
        ("decode IN/raw -o OUT/decoded",),
        share=2,
    ),
    Kind(
        "Cell Tracking Challenge",
        challenge,
        ("truth/*", "ctc/*"),
        ("evaluate tracking IN/ctc IN/truth",),
    ),
    Kind("boxes", images_and_boxes, ("boxes.csv",), (f"{SEGMENT} --boxes IN/boxes.csv",)),
    Kind(
        "weights",
        weights,
        ("own.safetensors",),
        (f"{SEGMENT} --weights IN/own.safetensors",),
        share=2,
    ),
    Kind("config", workflow, ("config/config.yaml",), ("snakemake IN",), share=2),
    Kind("sample sheet", workflow, ("config/samples.tsv",), ("snakemake IN",), share=2),
]
