"""Answers to requests that only look: tiles and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cellsam_core.errors import InputError
from cellsam_core.version import __version__
from cellsam_core.viewer import requests, tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from cellsam_core.viewer.points import Points
    from cellsam_core.viewer.samples import Library, Sample
    from cellsam_core.viewer.tables import MovieTables
    from cellsam_core.viewer.tissue import TissueTables

T = TypeVar("T")
BINARY = "application/octet-stream"
TAIL_FRAMES = 10
KEPT = {"cache-control": "private, max-age=86400, immutable"}
NOT_KEPT = {"cache-control": "no-store"}
ZOOM_IN = "Zoom in: the image has no levels for an overview. Run the workflow again to make them."


class Looking:
    """Answers that change nothing.

    Parameters
    ----------
    library
        The samples.

    Attributes
    ----------
    tiles
        Addresses below ``api/`` of pictures and labels, with the function that answers.
    tables
        Addresses of all other data.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        tile = "{version}/{t}/{level}/{x}/{y}"
        self.tiles: dict[str, Callable[[Request], Response]] = {
            f"{{sample}}/image/{tile}": self._image,
            f"{{sample}}/ids/{tile}": self._ids,
            "{sample}/points/{version}/{x}/{y}": self._points,
            "{sample}/density/{version}": self._density,
        }
        self.tables: dict[str, Callable[[Request], Response]] = {
            "state": self._state,
            "{sample}/contrast/{c}": self._contrast,
            "{sample}/cells/{t}": self._cells,
            "{sample}/paths/{t}": self._paths,
            "{sample}/cell/{t}/{label}": self._cell,
            "{sample}/tracks": self._tracks,
            "{sample}/trace/{track}": self._trace,
            "{sample}/candidates/{t}/{label}": self._candidates,
            "{sample}/genes": self._genes,
            "{sample}/values/{gene}": self._values,
            "{sample}/transcripts": self._transcripts,
        }

    def _sample(self, request: Request) -> Sample:
        return requests.sample_of(request, self._library)

    def _state(self, request: Request) -> Response:
        samples = [sample.state() for sample in self._library]
        state = {"samples": samples, "version": __version__, "folder": self._library.root.name}
        return JSONResponse(state, headers=NOT_KEPT)

    def _image(self, request: Request) -> Response:
        sample = self._sample(request)
        requests.current(request, sample)
        image = _need(sample.image, "preprocess")
        frame, level, place = requests.place(request, image)
        channels = requests.channels(request, len(image.channels))
        try:
            tile = tiles.image_tile(image, frame, level, place, channels)
        except InputError as error:
            sample.problem = str(error)
            message = str(error).encode("ascii", "replace").decode()
            headers = NOT_KEPT | {"x-problem": message}
            return Response(tiles.broken_tile(), media_type="image/jpeg", headers=headers)
        if tile is None:
            raise HTTPException(404, ZOOM_IN)
        return Response(tile, media_type="image/jpeg", headers=KEPT)

    def _ids(self, request: Request) -> Response:
        sample = self._sample(request)
        requests.current(request, sample)
        labels = _need(sample.labels, "stitch")
        frame, level, place = requests.place(request, labels)
        tile = tiles.label_tile(labels, frame, level, place)
        if tile is None:
            raise HTTPException(404, ZOOM_IN)
        return Response(tile, media_type=BINARY, headers=KEPT)

    def _contrast(self, request: Request) -> Response:
        image = _need(self._sample(request).image, "preprocess")
        channel = requests.number(request, "c", len(image.channels))
        counts, low, high = tiles.histogram(image, channel)
        return JSONResponse({"counts": counts.tolist(), "low": round(low), "high": round(high)})

    def _cells(self, request: Request) -> Response:
        sample = self._sample(request)
        frame = requests.number(request, "t", sample.manifest.n_frames)
        if sample.tissue is not None:
            return _bytes(sample.tissue.frame_of_cells())
        return _bytes(_movie(sample).frame_of_cells(frame))

    def _paths(self, request: Request) -> Response:
        sample = self._sample(request)
        frame = requests.number(request, "t", sample.manifest.n_frames)
        return _bytes(_movie(sample).paths(frame, TAIL_FRAMES))

    def _cell(self, request: Request) -> Response:
        sample = self._sample(request)
        frame = requests.number(request, "t", sample.manifest.n_frames)
        label = requests.number(request, "label", requests.MAX_NUMBER, least=1)
        found: dict[str, Any] | None
        if sample.tissue is not None:
            found = sample.tissue.cell(label)
        else:
            found = _movie(sample).cell(frame, label)
        if found is None:
            raise HTTPException(404, f"There is no cell {label} in frame {frame}.")
        return JSONResponse(found)

    def _tracks(self, request: Request) -> Response:
        movie = _movie(self._sample(request))
        tables = {"tracks": movie.tracks, "divisions": movie.divisions, "review": movie.review}
        return JSONResponse(tables | {"fits": movie.fits})

    def _trace(self, request: Request) -> Response:
        movie = _movie(self._sample(request))
        track = requests.number(request, "track", requests.MAX_NUMBER, least=1)
        return JSONResponse({"trace": movie.trace(track), "objects": movie.track_objects(track)})

    def _candidates(self, request: Request) -> Response:
        sample = self._sample(request)
        frame = requests.number(request, "t", sample.manifest.n_frames)
        label = requests.number(request, "label", requests.MAX_NUMBER, least=1)
        return JSONResponse(_movie(sample).candidates(frame, label))

    def _genes(self, request: Request) -> Response:
        tissue = _tissue(self._sample(request))
        return JSONResponse({"names": tissue.genes, "totals": tissue.totals})

    def _values(self, request: Request) -> Response:
        tissue = _tissue(self._sample(request))
        return _bytes(tissue.values(requests.number(request, "gene", len(tissue.genes))))

    def _transcripts(self, request: Request) -> Response:
        points = _need(self._sample(request).points, "assign")
        chosen = requests.genes(request, len(points.features))
        counts = points.counts(chosen)
        features = {"names": points.features, "totals": points.totals.tolist()}
        return JSONResponse(features | {"counts": counts.tolist(), "n": len(points)})

    def _points(self, request: Request) -> Response:
        sample = self._sample(request)
        requests.current(request, sample)
        points: Points = _need(sample.points, "assign")
        column = requests.number(request, "x", points.n_bins[1])
        row = requests.number(request, "y", points.n_bins[0])
        chosen = requests.genes(request, len(points.features))
        return _bytes(points.points(row, column, chosen), kept=True)

    def _density(self, request: Request) -> Response:
        sample = self._sample(request)
        requests.current(request, sample)
        points: Points = _need(sample.points, "assign")
        chosen = requests.genes(request, len(points.features))
        return _bytes(points.density(chosen), kept=True)


def _bytes(content: bytes, *, kept: bool = False) -> Response:
    return Response(content, media_type=BINARY, headers=KEPT if kept else NOT_KEPT)


def _need(value: T | None, command: str) -> T:
    if value is None:
        raise HTTPException(404, f"Not made yet: run the workflow (`{command}`).")
    return value


def _movie(sample: Sample) -> MovieTables:
    if sample.movie is None:
        raise HTTPException(404, "The sample is no movie.")
    return sample.movie


def _tissue(sample: Sample) -> TissueTables:
    if sample.tissue is None:
        raise HTTPException(404, "The sample is no tissue.")
    return sample.tissue
