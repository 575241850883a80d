"""Run the commands on one damaged input and judge the outcome."""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import sandbox
import tifffile
import yaml
from kinds import ROOT, Kind
from mutate import Random, mutate
from PIL import Image

from cellsam_core.cli import main

RIGHT, REFUSED, WARNED, FAILED = "right", "refused", "changed, with a warning", "FAILED"
VERDICTS = (RIGHT, REFUSED, WARNED, FAILED)
OF_ZARR_2 = {".zgroup", ".zarray", ".zattrs"}
SAMPLE_PATHS = re.compile(r"\S*/(?:in|out)/")


class Judge:
    """Damages copies of the good input of one kind, one at a time, always at the same place.

    Parameters
    ----------
    kind
        What to damage.
    folder
        To work in.
    """

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self._good, self._in, self._out = (folder / name for name in ("good", "in", "out"))
        self._in.mkdir(parents=True)
        # Built where it will be read, since manifests hold paths.
        built = sandbox.run(functools.partial(_build, kind, self._in))
        if built.status != 0:
            raise RuntimeError(f"{kind.name}: {built.text}")
        shutil.copytree(self._in, self._good)
        outcome = self._run()
        if outcome.status != 0:
            raise RuntimeError(f"{kind.name}: {outcome.text}")
        self._whole, self._warnings = self._digest(), warnings_of(outcome.text)

    def judge(self, chance: Random) -> tuple[str, str, sandbox.Outcome]:
        """Damage a copy; return the verdict, what was done, and the outcome."""
        shutil.rmtree(self._in)
        shutil.copytree(self._good, self._in)
        files = [f for p in self.kind.damaged for f in sorted(self._in.glob(p)) if f.is_file()]
        path = chance.choice(files)
        done = f"{path.relative_to(self._in)}: {mutate(path, chance)}"
        outcome = self._run()
        verdict, reason = self._verdict(outcome, path)
        return verdict, f"{done}{' -> ' if reason else ''}{reason}", outcome

    def _verdict(self, outcome: sandbox.Outcome, damaged: Path) -> tuple[str, str]:
        if outcome.peak_bytes > sandbox.LIMIT_BYTES:
            return FAILED, f"{outcome.peak_bytes >> 20} MiB"
        left = [p.name for p in self._out.rglob(".*") if p.name not in OF_ZARR_2]
        if left:
            return FAILED, f"left {left[0]}"
        if outcome.status == 1:
            fault = fault_of_refusal(outcome.text)
            return (FAILED, fault) if fault else (REFUSED, "")
        if outcome.status != 0:
            return FAILED, f"status {outcome.status}"
        found = self._digest()
        if found == self._whole:
            return RIGHT, ""
        if warnings_of(outcome.text) - self._warnings:
            return WARNED, ""
        # Another result must be that of what the file now says to another reader.
        try:
            rewrite(damaged)
        except Exception as error:  # noqa: BLE001 whatever the other readers raise
            return FAILED, f"another reader refuses it: {type(error).__name__}: {error}"[:200]
        again = self._run()
        if again.status == 0 and self._digest() == found:
            return RIGHT, "as the file now says"
        return FAILED, f"another result than of the file as others read it {again.text[-200:]}"

    def _run(self) -> sandbox.Outcome:
        """Run the commands in turn; the last outcome, or that of the first that does not end well.

        Seconds and texts are summed.
        """
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir()
        text, seconds = "", 0.0
        for line in self.kind.commands:
            words = [
                re.sub(
                    r"(?<![\w/])(IN|OUT)\b",
                    lambda m: str({"IN": self._in, "OUT": self._out}[m[1]]),
                    w,
                )
                for w in line.split()
            ]
            outcome = sandbox.run(functools.partial(_call, words, self._out))
            text, seconds = text + outcome.text, seconds + outcome.seconds
            if outcome.status != 0:
                break
        return sandbox.Outcome(outcome.status, seconds, outcome.peak_bytes, text)

    def _digest(self) -> dict[str, str]:
        return {
            str(p.relative_to(self._out)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(self._out.rglob("*"))
            if p.is_file()
        }


def _build(kind: Kind, folder: Path) -> int:
    kind.build(folder)
    return 0


def _call(words: list[str], out: Path) -> int:
    if words[0] == "snakemake":
        return _dry_run(Path(words[1]), out)
    if words[:2] == ["evaluate", "tracking"]:
        stream = io.StringIO()
        from contextlib import redirect_stdout

        with redirect_stdout(stream):
            status = main(words)
        (out / "scores.json").write_text(stream.getvalue())
        return status
    return main(words)


def _dry_run(folder: Path, out: Path) -> int:
    """List the jobs with their commands; what they are made with is the result."""
    from snakemake.cli import main as snakemake

    os.chdir(folder)
    log = out.parent / "log"
    own = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    status = 1
    try:
        with log.open("w") as file:
            for descriptor in own:
                os.dup2(file.fileno(), descriptor)
        snakemake(["-s", str(ROOT / "Snakefile"), "-n", "-p", "--cores", "1", "-d", str(folder)])
    except SystemExit as error:
        status = int(error.code or 0)
    finally:
        sys.stdout.flush()
        for descriptor, saved in own.items():
            os.dup2(saved, descriptor)
    text = log.read_text()
    if status:
        print(text)
        return status
    commands = sorted(line for line in text.splitlines() if "cellsam_core " in line)
    (out / "commands").write_text("\n".join(commands))
    return status


def fault_of_refusal(text: str) -> str:
    """Say what is wrong with how an input was refused; empty if nothing."""
    if "Traceback (most recent call last)" in text:
        return "a traceback"
    if any(line.strip().startswith("WorkflowError") for line in text.splitlines()):
        return ""  # Snakemake's form of a sentence, sometimes with the lines of the workflow
    said = [line for line in text.splitlines() if line.startswith("cellsam-core ")]
    if len(said) != 1:
        return f"{len(said)} sentences"
    if not all(words in said[0] for words in (": found ", ", expected ", "; ")):
        return f"not what was found and expected: {said[0]}"
    return "" if len(said[0]) < 800 else f"{len(said[0])} characters"


def warnings_of(text: str) -> set[str]:
    """Collect the warnings of a run's messages."""
    lines = (line.strip() for line in text.splitlines())
    return {line.partition("WARNING")[2] or line for line in lines if " WARNING " in line} | {
        line.strip() for line in text.splitlines() if line.startswith("  note: ")
    }


def rewrite(path: Path) -> None:
    """Read a file with another reader than the package's and write what it says plainly."""
    if not path.is_file():
        return
    names = (path.name, "".join(path.suffixes[-2:]), path.suffix)
    next((REWRITE[name] for name in names if name in REWRITE), _unknown)(path)


def _unknown(path: Path) -> None:
    raise ValueError("no other reader")


def _csv(path: Path) -> None:
    text = path.read_text(encoding="utf-8-sig")
    delimiter = "\t" if path.suffix == ".tsv" else ","
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(r for r in rows if r)


def _gzip(path: Path) -> None:
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    _csv(plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _json(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")


def _yaml(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def _parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.ParquetFile(path).read(), path, compression="none", write_statistics=False)


def _lines(path: Path) -> None:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(" ".join(map(str, map(int, row))) + "\n" for row in rows))


def _tiff(path: Path) -> None:
    with Image.open(path) as image:
        pages = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            pages.append(np.asarray(image))
    pixels = np.stack(pages)
    with tifffile.TiffFile(path) as tif:
        first = tif.pages[0]
        scale = {"resolution": first.resolution, "resolutionunit": first.resolutionunit}
        description = first.description
    with tifffile.TiffWriter(path) as writer:
        for index, page in enumerate(pixels):
            text = description.encode() if index == 0 else None
            writer.write(page, description=text, metadata=None, contiguous=False, **scale)


def _png(path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image)
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(pixels.astype(np.uint16)))


def _xml(path: Path) -> None:
    ElementTree.parse(path).write(path, encoding="utf-8", xml_declaration=True)


def _npy(path: Path) -> None:
    content = np.load(path, allow_pickle=True).item()
    np.save(path, {"masks": content["masks"]})


REWRITE: dict[str, Callable[[Path], None]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".csv.gz": _gzip,
    ".json": _json,
    ".geojson": _json,
    ".zip": _zip,
    ".yaml": _yaml,
    ".parquet": _parquet,
    ".txt": _lines,
    ".tif": _tiff,
    ".ome.tif": _tiff,
    ".png": _png,
    ".ome": _xml,
    ".npy": _npy,
    **dict.fromkeys((".zattrs", ".zarray", ".zgroup"), _json),
}
