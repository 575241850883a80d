"""The server of `cellsam-core view`: what it answers, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
from fake_results import CENTRES, N_FRAMES
from starlette.testclient import TestClient
from view_results import HOSTILE, teaching_of

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.viewer.app import STATIC, make_app
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.points import Points
from cellsam_core.viewer.prompts import Prompter
from cellsam_core.viewer.pyramid import ChunkCache, Pyramid
from cellsam_core.viewer.samples import Library
from cellsam_core.viewer.stage import _listen, view
from cellsam_core.viewer.tiles import histogram, label_tile, pack, unpack

TOKEN = "secret-token"
LOOK = "c=0:ffffff:0:65535"


def client_of(root: Path, *, read_only: bool = False) -> TestClient:
    library = Library(root)
    editing = Editing(library, Prompter(is_off=True), is_read_only=read_only)
    app = make_app(library, TOKEN, editing, teaching_of(library))
    return TestClient(
        app, base_url=f"http://127.0.0.1:8000/{TOKEN}/", raise_server_exceptions=False
    )


@pytest.fixture(scope="module")
def client(shown_results: Path) -> TestClient:
    return client_of(shown_results)


def version_of(client: TestClient, name: str) -> str:
    return next(
        s["version"] for s in client.get("api/state").json()["samples"] if s["name"] == name
    )


def read_columns(content: bytes) -> dict[str, np.ndarray]:
    end = content.index(b"\n") + 1
    head = json.loads(content[:end])
    n, found = head["n"], {}
    for k, (name, kind) in enumerate(head["columns"]):
        found[name] = np.frombuffer(content, f"<{kind}", n, end + 4 * n * k)
    return found


# Security


def test_every_answer_has_the_policy_and_no_referrer(client: TestClient):
    for path in ("", "static/app.js", "api/state", "api/none"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path", ["/", "/wrong/api/state", f"/{TOKEN}x/api/state", "/static/app.js"]
)
def test_without_the_token_nothing_is_answered(client: TestClient, path: str):
    answer = client.get(f"http://127.0.0.1:8000{path}")
    assert answer.status_code == 403
    assert "token" in answer.json()["error"]


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "10.0.0.1:8000", "", "[", "[::1"]
)
def test_another_host_is_refused(client: TestClient, host: str):
    assert client.get("api/state", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:41417", "localhost"])
def test_a_forwarded_port_is_answered(client: TestClient, host: str):
    headers = {"host": host, "origin": f"http://{host}"}
    assert client.get("api/state", headers=headers).status_code == 200


def test_another_origin_is_refused(client: TestClient):
    for origin in ("http://example.org", "http://127.0.0.1:1", "null", "http://[", "file://"):
        assert client.get("api/state", headers={"origin": origin}).status_code == 403


def test_only_json_is_taken_and_not_more_than_a_megabyte(client: TestClient):
    as_text = client.post("api/state", content="{}", headers={"content-type": "text/plain"})
    assert as_text.status_code == 415
    large = client.post(
        "api/state", content=b" " * (1 << 20) + b"{}", headers={"content-type": "application/json"}
    )
    assert large.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "static/..%2fapp.py",
        "static/%2e%2e/app.py",
        "static/..%2f..%2f..%2fpyproject.toml",
        "api/..%2fmovie/cells/0",
        "api/.%2fmovie/cells/0",
        "api/%2fetc%2fpasswd/cells/0",
        "api/nothing/cells/0",
    ],
)
def test_no_path_leaves_the_folders(client: TestClient, path: str):
    assert client.get(path).status_code == 404


def test_no_module_of_the_page_writes_markup_from_text():
    own = list(STATIC.glob("*.js"))
    assert len(own) > 8
    for path in own:
        text = path.read_text()
        assert "innerHTML" not in text, path.name
        assert "insertAdjacentHTML" not in text, path.name
        assert "eval(" not in text, path.name
        assert "http://" not in text, path.name
        assert "https://" not in text, path.name


def test_vendored_files_are_those_that_are_listed():
    folder = STATIC / "vendor"
    listed = json.loads((folder / "vendor.json").read_text())
    files = {name: sha for item in listed for name, sha in item["sha256"].items()}
    notice = (Path(__file__).resolve().parents[2] / "NOTICE").read_text()
    for item in listed:
        assert f"{item['name']} {item['version']}" in notice
        for text in item["licence_text"].split(", "):
            assert (folder / text).stat().st_size > 500
    found = {p.name for p in folder.iterdir() if p.suffix in (".js", ".css")}
    assert found == set(files)
    for name, sha in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha, name


def test_the_page_adds_little_to_the_package():
    packed = [zlib.compress(path.read_bytes(), 6) for path in STATIC.rglob("*") if path.is_file()]
    assert sum(map(len, packed)) <= 600_000


# Looking


def test_state_lists_the_samples_in_order(client: TestClient):
    samples = client.get("api/state").json()["samples"]
    assert [s["name"] for s in samples] == [HOSTILE, "movie", "tissue"]
    movie = samples[1]
    assert (movie["frames"], movie["height"], movie["width"]) == (N_FRAMES, 160, 200)
    assert movie["has"]["traces"]
    assert movie["times_s"][1] == 30
    assert samples[0]["has"]["image"] is False
    assert samples[2]["channels"] == ["nuclear", "cell"]


def test_a_tile_is_the_frame_with_its_contrast(client: TestClient, shown_results: Path):
    version = version_of(client, "movie")
    frame = omezarr.open_(shown_results / "movie/1_preprocessed/frames.zarr").frame(3)[0]
    answer = client.get(f"api/movie/image/{version}/3/0/0/0?c=0:ffffff:100:600")
    picture = imagecodecs.jpeg8_decode(answer.content)
    wanted = np.clip((frame.astype(float) - 100) * 255 / 500, 0, 255)
    assert picture.shape == frame.shape
    assert abs(picture.astype(float).mean() - wanted.mean()) < 1
    coloured = client.get(f"api/movie/image/{version}/3/0/0/0?c=0:ff0000:100:600")
    red, green, _ = np.moveaxis(imagecodecs.jpeg8_decode(coloured.content), -1, 0)
    assert red.mean() > 10 * max(green.mean(), 1)


def test_raw_channels_follow_those_that_were_segmented(client: TestClient, shown_results: Path):
    state = {s["name"]: s for s in client.get("api/state").json()["samples"]}
    assert state["movie"]["channels"] == ["cell", "raw GFP", "raw ExRai_405"]
    assert state["tissue"]["channels"] == ["nuclear", "cell"]  # its raw files are not there
    raw = np.stack([tifffile.imread(shown_results / f"raw/t{t:02d}_c0.tif") for t in range(12)])
    peak = raw[[0, 6, 11]].max()
    version = version_of(client, "movie")
    tile = client.get(f"api/movie/image/{version}/5/0/0/0?c=1:ffffff:0:65535")
    shown = imagecodecs.jpeg8_decode(tile.content).astype(float)
    wanted = np.minimum(raw[5] * (255 / peak), 255)
    assert abs(shown - wanted).mean() < 4  # JPEG and noise
    assert abs(shown - wanted).max() < 60
    assert client.get("api/movie/contrast/1").json()["high"] > 30_000
    answer = client.get(f"api/movie/image/{version}/5/0/0/0?c=3:ffffff:0:65535")
    assert answer.status_code == 422


def test_labels_arrive_as_they_are(client: TestClient, shown_results: Path):
    version = version_of(client, "movie")
    tile = unpack(client.get(f"api/movie/ids/{version}/7/0/0/0").content)
    labels = omezarr.open_(shown_results / "movie/2_masks/masks.zarr").frame(7)
    np.testing.assert_array_equal(tile[1:-1, 1:-1], labels)
    assert not tile[0].any()
    assert not tile[:, -1].any()


def test_run_lengths_come_back():
    rng = np.random.default_rng(3)
    for shape in ((1, 1), (1, 9), (7, 1), (20, 31)):
        for n_labels in (1, 2, 400):
            labels = rng.integers(0, n_labels, shape).astype(np.uint32)
            np.testing.assert_array_equal(unpack(pack(labels)), labels)


@pytest.mark.parametrize(
    "query",
    [
        *("", "c=", "c=9:ffffff:0:100", "c=0:ffffff:100:100", "c=0:fffff:0:9"),
        *("c=0:ffffff:0:65536", "c=0:ffffff:0:9,", "c=" + ",".join(["0:ffffff:0:9"] * 9)),
    ],
)
def test_a_bad_look_is_refused(client: TestClient, query: str):
    version = version_of(client, "movie")
    assert client.get(f"api/movie/image/{version}/0/0/0/0?{query}").status_code == 422


@pytest.mark.parametrize(
    "place", ["12/0/0/0", "0/1/0/0", "0/0/1/0", "0/0/0/1", "-1/0/0/0", "0/0/x/0"]
)
def test_a_tile_outside_is_refused(client: TestClient, place: str):
    version = version_of(client, "movie")
    assert client.get(f"api/movie/image/{version}/{place}?{LOOK}").status_code == 422
    assert client.get(f"api/movie/ids/{version}/{place}").status_code == 422


def test_cells_of_a_frame_have_their_tracks(client: TestClient, shown_results: Path):
    cells = read_columns(client.get("api/movie/cells/8").content)
    objects = pd.read_parquet(shown_results / "movie/3_tracks/objects.parquet")
    wanted = objects[objects["frame"] == 8]
    np.testing.assert_array_equal(cells["label"], wanted["label"])
    np.testing.assert_array_equal(cells["track"], wanted["track_id"])
    np.testing.assert_allclose(cells["area"], wanted["area_px"])
    assert client.get("api/movie/cells/12").status_code == 422


def test_one_cell_its_trace_and_its_neighbours(client: TestClient, shown_results: Path):
    cell = client.get("api/movie/cell/8/5").json()
    assert cell["track_id"] == 6
    assert client.get("api/movie/cell/8/99").status_code == 404
    answer = client.get("api/movie/trace/1").json()
    traces = pd.read_parquet(shown_results / "movie/3_tracks/traces.parquet")
    own = traces[(traces["track_id"] == 1) & (traces["compartment"] == "cell")]
    assert len(answer["trace"]["cell"]["r_over_r0"]) == len(own) == N_FRAMES
    assert sum(answer["trace"]["cell"]["valid"]) == own["valid"].sum()
    assert answer["objects"]["frame"] == list(range(N_FRAMES))
    near = client.get("api/movie/candidates/7/4").json()
    assert near[0]["label"] == 4
    assert near[0]["frame"] == 6


def test_paths_lead_to_the_frame(client: TestClient):
    paths = read_columns(client.get("api/movie/paths/5").content)
    own = paths["track"] == 1
    np.testing.assert_array_equal(paths["frame"][own], np.arange(6))
    np.testing.assert_allclose(paths["x"][own], CENTRES[0][1] + np.arange(6), atol=0.5)


def test_counts_of_a_gene_are_those_of_the_table(client: TestClient, shown_results: Path):
    import anndata

    adata = anndata.read_h5ad(shown_results / "tissue/3_cells/cells.h5ad")
    genes = client.get("api/tissue/genes").json()
    assert genes["names"] == list(adata.var_names)
    assert genes["totals"] == np.asarray(adata.X.sum(axis=0)).ravel().tolist()
    for k, name in enumerate(genes["names"]):
        values = read_columns(client.get(f"api/tissue/values/{k}").content)
        of_cell = dict(zip(values["label"], values["count"], strict=True))
        wanted = np.asarray(adata[:, name].X.todense()).ravel()
        assert [of_cell[i] for i in adata.obs["cell_id"]] == wanted.tolist()
    cell = client.get("api/tissue/cell/0/1").json()
    row = np.asarray(adata[adata.obs["cell_id"] == 1].X.todense()).ravel()
    assert dict(cell["counts"])[genes["names"][int(row.argmax())]] == row.max()
    assert client.get("api/tissue/values/99").status_code == 422


def test_transcripts_in_squares_are_those_of_the_table(client: TestClient, shown_results: Path):
    version = version_of(client, "tissue")
    features = client.get("api/tissue/transcripts").json()
    table = pd.read_parquet(shown_results / "tissue/3_cells/transcripts.parquet")
    assert features["n"] == len(table)
    k = features["names"].index("Gapdh")
    content = client.get(f"api/tissue/points/{version}/0/0?g={k}").content
    n = len(content) // 6
    x = np.frombuffer(content, "<u2", n) / 64 - 0.5
    own = table[table["feature"].astype(str) == "Gapdh"]
    assert n == len(own) == features["totals"][k]
    np.testing.assert_allclose(np.sort(x), np.sort((own["x_um"] - 100) * 2), atol=1 / 64)
    density = np.frombuffer(
        zlib.decompress(client.get(f"api/tissue/density/{version}").content), "<u4"
    )
    assert density[3:].sum() == len(table)
    for query in ("g=99", "g=-1", "g=a", "g=" + ",".join("0" * 9)):
        assert client.get(f"api/tissue/points/{version}/0/0?{query}").status_code == 422


def test_results_made_anew_are_noticed(shown_results: Path, tmp_path: Path):
    root = tmp_path / "results"
    shutil.copytree(shown_results / "movie", root / "movie")
    client = client_of(root)
    before = version_of(client, "movie")
    assert client.get(f"api/movie/ids/{before}/0/0/0/0").status_code == 200
    tracks = root / "movie/3_tracks/tracks.csv"
    tracks.write_text(tracks.read_text())
    from cellsam_core.viewer import samples

    library_wait = samples.LOOK_EVERY_S
    samples.LOOK_EVERY_S = 0.0
    try:
        assert version_of(client, "movie") != before
        assert client.get(f"api/movie/ids/{before}/0/0/0/0").status_code == 410
    finally:
        samples.LOOK_EVERY_S = library_wait


def test_a_sample_that_a_run_adds_is_listed(
    shown_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from cellsam_core.viewer import samples

    root = tmp_path / "results"
    shutil.copytree(shown_results / "movie", root / "movie")
    client = client_of(root)
    monkeypatch.setattr(samples, "LOOK_EVERY_S", 0.0)
    (root / "a_new").mkdir()
    shutil.copy(root / "movie/0_manifest.json", root / "a_new/0_manifest.json")
    names = [sample["name"] for sample in client.get("api/state").json()["samples"]]
    assert names == ["a_new", "movie"]
    assert client.get("api/a_new/tracks").status_code == 200


def test_candidates_after_a_gap_are_cells_of_the_frame_before_it(
    shown_results: Path, tmp_path: Path
):
    root = tmp_path / "results"
    shutil.copytree(shown_results / "movie", root / "movie")
    path = root / "movie/3_tracks/objects.parquet"
    objects = pd.read_parquet(path)
    objects[(objects["track_id"] != 2) | ~objects["frame"].isin([4, 5])].to_parquet(path)
    near = client_of(root).get("api/movie/candidates/6/2").json()
    assert (near[0]["frame"], near[0]["track_id"]) == (3, 2)


def test_a_sample_that_is_half_done_is_shown_as_far_as_it_is(tmp_path: Path, shown_results: Path):
    root = tmp_path / "results"
    shutil.copytree(
        shown_results / "movie", root / "movie", ignore=shutil.ignore_patterns("3_tracks")
    )
    client = client_of(root)
    state = client.get("api/state").json()["samples"][0]
    assert state["has"]["masks"] is True
    assert state["has"]["tracks"] is False
    assert set(read_columns(client.get("api/movie/cells/0").content)["track"]) == {0}
    assert client.get("api/movie/tracks").json()["tracks"] == {}


def test_a_sample_of_another_version_hides_no_other(tmp_path: Path, shown_results: Path):
    root = tmp_path / "results"
    for name in ("movie", "tissue"):
        shutil.copytree(shown_results / name, root / name)
    (root / "movie/0_manifest.json").write_text("{}")
    first, second = client_of(root).get("api/state").json()["samples"]
    assert "0_manifest.json" in first["error"]
    assert (first["name"], first["has"], second["name"]) == ("movie", {}, "tissue")
    assert second["has"]["masks"]
    assert client_of(root).get("api/jobs").status_code == 200
    assert client_of(root).get("api/regions").status_code == 200


def test_a_damaged_chunk_is_a_grey_tile_and_a_sentence(tmp_path: Path, shown_results: Path):
    root = tmp_path / "results"
    shutil.copytree(shown_results / "movie", root / "movie")
    chunk = root / "movie/1_preprocessed/frames.zarr/0/c/2/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:100])
    client = client_of(root)
    version = version_of(client, "movie")
    answer = client.get(f"api/movie/image/{version}/2/0/0/0?{LOOK}")
    assert answer.status_code == 200
    assert "damaged chunk" in answer.headers["x-problem"]
    assert imagecodecs.jpeg8_decode(answer.content).shape == (512, 512)
    assert client.get(f"api/movie/image/{version}/1/0/0/0?{LOOK}").headers.get("x-problem") is None


def test_an_unreadable_table_is_one_sentence(tmp_path: Path, shown_results: Path):
    root = tmp_path / "results"
    shutil.copytree(shown_results / "movie", root / "movie")
    (root / "movie/3_tracks/objects.parquet").write_bytes(b"nothing")
    answer = client_of(root).get("api/movie/cells/0")
    assert answer.status_code == 409
    assert "objects.parquet" in answer.json()["error"]
    assert answer.json()["remedy"]


# Levels and caches


def large(folder: Path, shape: tuple[int, int], *, labels: bool) -> Pyramid:
    axes = "yx" if labels else "cyx"
    image = omezarr.create(
        folder / "image.zarr",
        shape=shape if labels else (1, *shape),
        axes=axes,
        dtype="uint32" if labels else "uint16",
        channels=() if labels else ("cell",),
    )
    y, x = np.mgrid[: shape[0], : shape[1]]
    image.array[:] = (y // 40 * 1000 + x // 40 + 1) if labels else (y + x)[None]
    return Pyramid(omezarr.open_(folder / "image.zarr"), ChunkCache(1 << 22))


def test_an_image_without_levels_is_reduced_until_it_would_be_slow(tmp_path: Path):
    image = large(tmp_path, (1100, 1300), labels=False)
    assert image.n_levels == 3
    assert image.size(2) == (275, 325)
    tile = image.read(2, (0,), (0, 0), (275, 325))
    assert tile is not None
    assert abs(int(tile[10, 20]) - (10 + 20) * 4 - 3) <= 1
    counts, low, high = histogram(image, 0)
    assert counts.sum() > 300_000
    assert low < high
    assert image.read(4, (0,), (0, 0), (512, 512)) is None


def test_labels_without_levels_keep_their_numbers(tmp_path: Path):
    labels = large(tmp_path, (1100, 1300), labels=True)
    tile = label_tile(labels, 0, 1, (1, 1))
    assert tile is not None
    found = unpack(tile)
    assert found[1, 1] == 1024 // 40 * 1000 + 1024 // 40 + 1
    assert found.shape == (40, 140)
    assert labels._cache.size_bytes <= 1 << 23


def test_points_of_many_batches_are_complete(tmp_path: Path):
    rng = np.random.default_rng(1)
    n = 5000
    table = pd.DataFrame({"x_um": rng.uniform(-20, 1320, n), "y_um": rng.uniform(0, 700, n)})
    table["feature"] = pd.Categorical.from_codes(rng.integers(0, 3, n), ["a", "b", "c"])
    table.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    points = Points(tmp_path / "t.parquet", np.eye(3).tolist(), (700, 1300))
    inside = table["x_um"].between(-0.5, 1299.4999) & (table["y_um"] < 699.5)
    assert len(points) == inside.sum()
    assert points.n_bins == (2, 3)
    k = points.features.index("b")
    in_bins = points.counts([k])
    own = table[inside & (table["feature"] == "b")]
    assert in_bins.sum() == len(own)
    assert in_bins[1, 2] == ((own["y_um"] >= 511.5) & (own["x_um"] >= 1023.5)).sum()


# Start


def test_a_folder_without_results_is_refused_in_one_sentence(tmp_path: Path, capsys):
    assert main(["view", str(tmp_path), "--no-browser"]) == 1
    said = capsys.readouterr().err
    assert "found no results" in said
    assert "run the workflow first" in said
    with pytest.raises(InputError, match="no such folder"):
        Library(tmp_path / "none")


def test_short_answers_do_not_wait_for_a_full_packet():
    # asyncio sets TCP_NODELAY on connections whose protocol is named TCP, and on no others:
    # without it, each short answer comes 40 ms later.
    with _listen(0) as listening:
        listening.listen()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_refused_and_the_token_is_long(shown_results: Path):
    page = view(shown_results)
    try:
        assert page.url.startswith(f"http://127.0.0.1:{page.port}/")
        assert len(page.url.rstrip("/").rpartition("/")[2]) >= 22
        assert str(page.port) in page.ssh_command
        from cellsam_core.viewer.options import ViewOptions

        with pytest.raises(InputError, match="choose another with --port"):
            view(shown_results, ViewOptions(port=page.port))
    finally:
        page.close()
