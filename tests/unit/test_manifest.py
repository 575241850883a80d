from __future__ import annotations

import json

import pytest

from cellsam_core.errors import InputError
from cellsam_core.files.plane import Plane
from cellsam_core.samples.manifest import Manifest, TranscriptSource

MANIFEST = Manifest(
    sample="s",
    assay="merfish",
    format="merscope",
    channels=["DAPI"],
    n_frames=1,
    shape_yx=(10, 20),
    dtype="uint16",
    pixel_size_um=0.108,
    frame_interval_s=None,
    planes=[[Plane("/data/Zellen µ.tif", 2, 1)]],
    transcripts=TranscriptSource(
        "/t.csv",
        "x",
        "y",
        "gene",
        None,
        "um",
        [[9.0, 0.0, 1.0], [0.0, 9.0, 2.0], [0.0, 0.0, 1.0]],
        5,
    ),
    warnings=["One sentence."],
)


def test_round_trip(tmp_path):
    path = tmp_path / "0_manifest.json"
    path.write_text(MANIFEST.to_json(), encoding="utf-8")
    assert Manifest.load(path) == MANIFEST
    assert Manifest.load(path).to_json() == MANIFEST.to_json()


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"schema_version": 99},
            {"planes": None},
            {"colour": "red"},
            {"transcripts": {"path": "a"}},
        ),
        *({"n_frames": 2}, {"pixel_size_um": "0.1"}, {"shape_yx": [10, -20]}, {"channels": []}),
        {"planes": [[{"path": "a.tif", "page": -1, "sample": None}]]},
    ],
    ids=str,
)
def test_other_contents_are_refused(tmp_path, change):
    path = tmp_path / "0_manifest.json"
    path.write_text(json.dumps(json.loads(MANIFEST.to_json()) | change))
    with pytest.raises(InputError, match="no manifest"):
        Manifest.load(path)


def test_missing_and_broken_files_are_refused(tmp_path):
    path = tmp_path / "0_manifest.json"
    with pytest.raises(InputError, match="no manifest"):
        Manifest.load(path)
    for text in ("", "{", "[]"):
        path.write_text(text)
        with pytest.raises(InputError, match="no manifest"):
            Manifest.load(path)
