"""Answers to requests that start commands, and that try the weights which these made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.training.regions import held_out, regions_of
from cellsam_core.viewer import requests
from cellsam_core.viewer.cell_edits import cells_in_region
from cellsam_core.viewer.trial import described

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from cellsam_core.viewer.jobs import Job, Jobs
    from cellsam_core.viewer.prompts import Prompter
    from cellsam_core.viewer.samples import Library, Sample
    from cellsam_core.viewer.trial import Trial

NOT_ALLOWED = "The page starts no command: start it with --run-command, or type the command."
NUCLEAR_ONLY = ("nuclear",)


class Teaching:
    """Answers about regions to learn from, jobs, and trials of new weights.

    Parameters
    ----------
    library
        The samples.
    jobs
        The jobs of the page.
    prompter
        Model that draws cells in boxes; it knows the weights of a sample.
    trial
        Models that segment a part of an image.
    """

    def __init__(self, library: Library, jobs: Jobs, prompter: Prompter, trial: Trial) -> None:
        self._library = library
        self._jobs = jobs
        self._prompter = prompter
        self._trial = trial
        self._counted: dict[tuple[str, ...], int] = {}

    def regions(self, request: Request) -> Response:
        """Answer with the regions in which every cell is right."""
        found, counts = [], []
        kept, self._counted = self._counted, {}
        for sample in self._library:
            rows = read_cell_corrections(sample.tables["cells"])
            if not rows:
                continue
            regions = regions_of(sample.name, rows, sample.manifest.shape_yx)
            by_id = {row.id or f"row{row.number}": row for row in rows}
            written = repr([(row.id, row.number, row.operation) for row in rows])
            for region in regions:
                key = (sample.name, sample.version, written, region.id)
                count = kept.get(key)
                if count is None:
                    count = cells_in_region(sample, rows, by_id[region.id])
                self._counted[key] = count
                counts.append(count)
            found += regions
        listed = [
            {
                "sample": region.sample,
                "id": region.id,
                "frame": region.frame,
                "cells": count,
                "held_out": is_held,
            }
            for region, count, is_held in zip(found, counts, held_out(found), strict=True)
        ]
        return JSONResponse({"regions": listed})

    def jobs(self, request: Request) -> Response:
        """Answer with what may run and what runs."""
        return self._told()

    def _told(self) -> Response:
        first = next(iter(self._library))
        return JSONResponse(self._jobs.described(self._prompter.weights_of(first)))

    def start(self, request: Request) -> Response:
        """Start a job of the list, by its name."""
        said = requests.body(request)
        starts: dict[str, Callable[[Sample], Job]] = {
            "workflow": lambda _: self._jobs.run_workflow(),
            "finetune": self._finetune,
        }
        name, sample = said.get("job"), self._library.get(str(said.get("sample", "")))
        if not isinstance(name, str) or name not in starts:
            raise HTTPException(422, "job is none of the list.")
        if sample is None:
            raise HTTPException(404, "There is no such sample.")
        if not self._jobs.is_allowed:
            raise HTTPException(403, NOT_ALLOWED)
        starts[name](sample)
        return self._told()

    def _finetune(self, sample: Sample) -> Job:
        stain = "nuclear" if sample.segmented_channels == NUCLEAR_ONLY else ""
        return self._jobs.finetune(self._prompter.weights_of(sample), stain)

    def end(self, request: Request) -> Response:
        """End the job that runs."""
        if not self._jobs.end(request.path_params["key"]):
            raise HTTPException(404, "There is no such job that runs.")
        return self._told()

    def compare(self, request: Request) -> Response:
        """Segment the part of the image that is seen by the weights of the run and by new ones."""
        sample = requests.sample_of(request, self._library)
        said = requests.body(request)
        frame = requests.whole(said, "t", sample.manifest.n_frames)
        box = requests.box(said.get("box"), sample.manifest.shape_yx)
        new = self._jobs.tuned_weights()
        if new is None or sample.image is None:
            raise HTTPException(409, "There are no new weights to try: fine-tune first.")
        answer: dict[str, Any] = {}
        for key, weights in (("old", self._prompter.weights_of(sample)), ("new", str(new))):
            outlines = self._trial.outlines(sample, frame, box, weights)
            answer[key] = described(weights, outlines)
        return JSONResponse(answer)
