"""Kill runs of the workflow at random moments, resume them, and compare what they leave.

    python benchmarks/kill_and_resume.py --runs 50 --seed 1 [-o kill_and_resume.tsv]

Each run analyses a small simulated movie or tissue in a folder of its own. After a random number
of finished jobs and a random wait, one of three is killed with SIGKILL: the process of a job,
Snakemake alone, or all of them. Then the run is resumed as a user would: `snakemake --unlock`
where Snakemake was killed, and the same command again. Every file below `results/` must equal
that of a run that was left alone, and there must be no other file. Of the report, the table of
run times is left out.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIZES = {
    "movie": ["--frames", "3", "--size-px", "96", "--cells", "4"],
    "merfish": ["--size-px", "128", "--cells", "8", "--transcripts", "200"],
}
RAW = {"movie": "movie/images", "merfish": "merfish"}
COLUMNS = {"movie": ("ratio", "AMPKAR_480/AMPKAR_405"), "merfish": ("condition", "none")}
VICTIMS = ("job", "snakemake", "all")
RUN_TIMES = re.compile(rb'<section id="run-time-and-memory">.*?</section>', re.DOTALL)
JOB = r"Job \d+: "  # the message of a job; `all`, which runs nothing, has none
REFUSED = ".*found that another process is writing it"
LONGEST_S = 900
WAIT_S = 6.0


@dataclass(frozen=True)
class Outcome:
    """One run that was killed and resumed."""

    run: int
    sample: str
    killed: str
    after_jobs: int
    jobs: int
    jobs_started: int
    refused_resumes: int
    is_equal: bool


class Run:
    """Snakemake on one sample in a folder."""

    def __init__(self, folder: Path, raw: Path, sample: str) -> None:
        self.folder = folder
        (folder / "config").mkdir(parents=True)
        config = "samples: sheet.tsv\ntiles_per_batch: 2\nsegment: {cell_diameter_px: 24}\n"
        (folder / "config" / "config.yaml").write_text(config)
        column, value = COLUMNS[sample]
        sheet = f"sample\tassay\tpath\t{column}\n{sample}\t{sample}\t{raw / RAW[sample]}\t{value}\n"
        (folder / "sheet.tsv").write_text(sheet)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start Snakemake as the leader of a process group; its log is appended to a file."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", "1", *options]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def finish(self, *options: str) -> int:
        """Run Snakemake to its end."""
        return self.start(*options).wait(LONGEST_S)

    def count(self, words: str) -> int:
        """Count lines of the log that begin with `words`."""
        log = (self.folder / "log").read_text()
        return len(re.findall(rf"^{words}", log, re.MULTILINE))

    def digests(self) -> dict[str, str]:
        """Checksum of every file of the results; Snakemake's time stamps are its own."""
        results = self.folder / "results"
        return {
            str(path.relative_to(results)): hashlib.sha256(
                RUN_TIMES.sub(b"", path.read_bytes())
            ).hexdigest()
            for path in sorted(results.rglob("*"))
            if path.is_file() and path.name != ".snakemake_timestamp"
        }


def jobs_of(group: int) -> list[int]:
    """List the processes of a group that are jobs: `python -m cellsam_core`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"cellsam_core" in words and os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
        except (OSError, ValueError):  # it has ended, or is no process
            continue
    return found


def kill(run: Run, process: subprocess.Popen[bytes], victim: str, after: int, wait_s: float) -> int:
    """Wait for the moment, kill, and return the number of jobs that had finished."""
    while process.poll() is None and run.count("Finished jobid") < after:
        time.sleep(0.05)
    time.sleep(wait_s)
    while victim == "job" and process.poll() is None and not jobs_of(process.pid):
        time.sleep(0.02)
    finished = run.count("Finished jobid")
    if process.poll() is None:
        if victim == "job":
            for job in jobs_of(process.pid):
                os.kill(job, signal.SIGKILL)
        elif victim == "snakemake":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(LONGEST_S)
    return finished


def resume(run: Run, group: int, *, unlock: bool) -> int:
    """Run until everything is there; return how often an orphaned job had to be waited for."""
    if unlock and run.finish("--unlock") != 0:
        sys.exit(f"{(run.folder / 'log').read_text()}\n{run.folder}: can't be unlocked")
    refused = 0
    while run.finish() != 0:
        refused += 1
        if run.count(REFUSED) < refused:
            sys.exit(f"{(run.folder / 'log').read_text()}\n{run.folder}: does not resume")
        while jobs_of(group):
            time.sleep(0.5)
    return refused


def kill_and_resume(
    number: int, run: Run, sample: str, reference: dict[str, str], n_jobs: int, seed: int
) -> Outcome:
    """Kill one run at a random moment, resume it and compare."""
    chance = random.Random(f"{seed}-{number}")
    victim, after = chance.choice(VICTIMS), chance.randrange(n_jobs - 1)
    process = run.start()
    finished = kill(run, process, victim, after, chance.uniform(0, WAIT_S))
    refused = resume(run, process.pid, unlock=victim != "job")
    started = run.count(JOB)
    return Outcome(
        number, sample, victim, finished, n_jobs, started, refused, run.digests() == reference
    )


def main() -> None:
    """Run the experiment and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="table to write, a row a run (tsv)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        references = {}
        for sample, size in SIZES.items():
            command = [sys.executable, "-m", "cellsam_core", "simulate", sample, "--seed", "1"]
            raw = str(folder / "raw" / sample)
            subprocess.run([*command, *size, "-o", raw], check=True)
            run = Run(folder / f"whole_{sample}", folder / "raw", sample)
            if run.finish() != 0:
                sys.exit((run.folder / "log").read_text())
            references[sample] = (run.digests(), run.count(JOB))
        outcomes = []
        for number in range(args.runs):
            sample = list(SIZES)[number % len(SIZES)]
            run = Run(folder / f"run_{number}", folder / "raw", sample)
            outcomes.append(kill_and_resume(number, run, sample, *references[sample], args.seed))
            print(*asdict(outcomes[-1]).items(), flush=True)
            if args.output is not None:
                write(args.output, outcomes)
    report(outcomes)
    sys.exit(0 if all(o.is_equal for o in outcomes) else 1)


def write(path: Path, outcomes: list[Outcome]) -> None:
    """Write a row a run."""
    rows = [[f.name for f in fields(Outcome)], *(map(str, astuple(o)) for o in outcomes)]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def report(outcomes: list[Outcome]) -> None:
    """Print a line for each thing that was killed, and for all."""
    print("\n| killed | runs | identical, nothing left over | jobs done again |\n|---|---|---|---|")
    for victim in (*VICTIMS, "any"):
        chosen = [o for o in outcomes if victim in (o.killed, "any")]
        jobs = sum(o.jobs for o in chosen)
        again = sum(o.jobs_started for o in chosen) - jobs
        share = f"{again / jobs:.1%}" if jobs else ""
        print(f"| {victim} | {len(chosen)} | {sum(o.is_equal for o in chosen)} | {share} |")


if __name__ == "__main__":
    main()
