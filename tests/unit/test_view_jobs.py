"""Commands that the page of `cellsam-core view` starts, and trials of new weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from view_results import Discs, teaching_of

from cellsam_core.errors import InputError
from cellsam_core.viewer.app import make_app
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.jobs import Job, Jobs
from cellsam_core.viewer.options import ViewOptions
from cellsam_core.viewer.prompts import Prompter
from cellsam_core.viewer.samples import Library
from cellsam_core.viewer.stage import view

PATIENCE_S = 60


@pytest.fixture
def folder(shown_results: Path, tmp_path: Path) -> Path:
    for sample in ("movie", "tissue"):
        shutil.copytree(shown_results / sample, tmp_path / "results" / sample)
    return tmp_path


def client_of(folder: Path, command: str | None = None) -> TestClient:
    library = Library(folder / "results")
    prompter = Prompter(lambda weights: Discs())
    editing = Editing(library, prompter, is_read_only=False)
    teaching = teaching_of(library, prompter, command)
    app = make_app(library, "t", editing, teaching)
    return TestClient(app, base_url="http://127.0.0.1/t/api/")


def script(code: str) -> str:
    return f'{sys.executable} -u -c "{code}"'


def ended(client: TestClient) -> dict:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        job = client.get("jobs").json()["job"]
        if job["state"] != "running":
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def start(client: TestClient, name: str = "workflow", sample: str = "movie"):
    return client.post("jobs", json={"job": name, "sample": sample})


def test_without_the_option_nothing_is_started(folder: Path):
    client = client_of(folder)
    assert start(client).status_code == 403
    said = client.get("jobs").json()
    assert (said["allowed"], said["job"]) == (False, None)
    assert said["commands"]["workflow"] == "snakemake --cores 2"
    assert "cellsam-core collect results -o training" in said["commands"]["finetune"]


def test_a_job_is_named_and_nothing_else_comes_from_the_page(folder: Path):
    client = client_of(folder, script("pass"))
    for name in ("rm -rf /", "", None, ["workflow"]):
        assert start(client, name).status_code == 422
    assert start(client, sample="../movie").status_code == 404
    assert client.request("DELETE", "jobs/none", json={}).status_code == 404


def test_lines_and_progress_of_the_command_are_told(folder: Path):
    code = "import os; print('1 of 4 steps (25%) done'); print(os.getcwd())"
    client = client_of(folder, script(code))
    assert start(client).json()["job"]["name"] == "workflow"
    job = ended(client)
    assert job["state"] == "done"
    assert job["share"] == 0.25
    assert job["lines"][-1] == str(folder.resolve())


def test_one_job_runs_at_a_time_and_can_be_ended(folder: Path):
    client = client_of(folder, script("import time; print('on', flush=True); time.sleep(60)"))
    key = start(client).json()["job"]["id"]
    while not client.get("jobs").json()["job"]["lines"]:
        time.sleep(0.02)
    second = start(client)
    assert second.status_code == 409
    assert "one job at a time" in second.json()["error"]
    assert client.request("DELETE", f"jobs/{key}", json={}).status_code == 200
    assert ended(client)["state"] == "ended"
    assert client.request("DELETE", f"jobs/{key}", json={}).status_code == 404


def test_ending_the_page_ends_what_it_started(folder: Path):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    words = [sys.executable, "-m", "cellsam_core", "view", str(folder / "results"), "--no-browser"]
    page = subprocess.Popen(
        [*words, "--run-command", script(code)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert page.stdout is not None
        url = page.stdout.readline().split()[1]
        with httpx.Client(base_url=url + "api/", timeout=PATIENCE_S) as client:
            client.post("jobs", json={"job": "workflow", "sample": "movie"}).raise_for_status()
            while not (lines := client.get("jobs").json()["job"]["lines"]):
                time.sleep(0.05)
        page.terminate()  # as the end of a batch job does, or a closed terminal
        assert page.wait(PATIENCE_S) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(int(lines[0]), 0)
    finally:
        page.kill()


def test_a_command_that_fails_says_why(folder: Path):
    client = client_of(folder, script("import sys; sys.exit('no sheet')"))
    start(client)
    job = ended(client)
    assert (job["state"], job["lines"][-1]) == ("failed", "no sheet")


@pytest.mark.parametrize("command", ["no-such-program --cores 2", "snakemake '"])
def test_a_command_that_cannot_be_is_refused_at_the_start(tmp_path: Path, command: str):
    with pytest.raises(InputError, match="run-command"):
        Jobs(tmp_path, tmp_path, tmp_path, command=command, steps=1)


def test_a_page_that_only_looks_starts_no_command(shown_results: Path):
    with pytest.raises(InputError, match="read-only"):
        view(shown_results, ViewOptions(read_only=True, run_command=script("pass")))


def complete(client: TestClient, frame: int, x0: float, y0: float) -> None:
    corners = [[x0, y0], [x0 + 69, y0], [x0 + 69, y0 + 69], [x0, y0 + 69]]
    seen = client.get("movie/corrections").json()["seen"]["cells"]
    body = {"seen": seen, "operation": "complete", "frame": frame, "outline": corners}
    assert client.post("movie/corrections/cells", json=body).status_code == 200


def test_regions_are_counted_after_the_corrections_and_learnt_from(folder: Path):
    client = client_of(folder, script("pass"))
    complete(client, 5, 0, 0)
    complete(client, 5, 80, 0)
    seen = client.get("movie/corrections").json()["seen"]["cells"]
    body = {"seen": seen, "operation": "delete", "frame": 5, "label": 1}
    assert client.post("movie/corrections/cells", json=body).status_code == 200
    regions = client.get("regions").json()["regions"]
    assert [(r["sample"], r["cells"], r["held_out"]) for r in regions] == [
        ("movie", 0, False),
        ("movie", 1, True),
    ]
    assert client.post("movie/try", json={"t": 5, "box": [0, 0, 99, 99]}).status_code == 409


def test_the_commands_of_fine_tuning_are_those_that_a_user_would_type(folder: Path):
    jobs = Jobs(folder, folder / "results", folder / "c", command=script("pass"), steps=7)
    held = folder / "training/validation"
    held.mkdir(parents=True)
    (folder / "finetuned").mkdir()
    (folder / "finetuned/weights_4.safetensors").touch()
    asked: list[list[str]] = []
    jobs._run_one = lambda job, words: asked.append(list(words)) or 0  # type: ignore[method-assign]
    job = jobs.finetune("tiny", "nuclear")
    end = time.monotonic() + PATIENCE_S
    while job.state == "running" and time.monotonic() < end:
        time.sleep(0.01)
    collected, tuned = (words[3:] for words in asked)
    assert collected == ["collect", "results", "--corrections", "c", "-o", "training"]
    assert tuned[:4] == ["finetune", "training", "-o", "finetuned/weights_5.safetensors"]
    assert tuned[-2:] == ["--validation", "training/validation"]
    assert tuned[tuned.index("--stain") :][:2] == ["--stain", "nuclear"]
    assert jobs.tuned_weights() == folder / "finetuned/weights_5.safetensors"


def test_the_scores_of_new_weights_are_told(tmp_path: Path):
    scores = tmp_path / "weights_1.json"
    said = {"before": {"f1_50": 0.4, "pq": 0.3}, "after": {"f1_50": 0.7, "pq": 0.5}, "step": 25}
    scores.write_text(json.dumps(said))
    job = Job("finetune", [], scores, state="done")
    job.say("step 25 of 200: F1 0.700, PQ 0.500")
    assert job.described()["scores"] == said
    assert job.share == 0.125
