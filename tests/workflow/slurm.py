"""A SLURM cluster on this machine: real daemons, two simulated GPUs, its own folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
PRETENDED_GPUS = ("/dev/null", "/dev/zero")

# Memory is that of a larger machine, so that both GPUs can be busy; use above the request is
# killed by polling, since cgroups are not ours to configure.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
MinJobAge=3600
KillWait=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
Prolog={root}/record_start
Epilog={root}/record_end
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=200000 Gres=gpu:{gpus}
PartitionName=all Nodes={host} Default=YES
"""


class CannotStartError(RuntimeError):
    """A daemon ends, or never answers, on this machine."""


@dataclass(frozen=True)
class GpuUse:
    """When one job held GPUs, as the node's prolog and epilog saw it."""

    job: str
    gpus: frozenset[str]
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Slurm:
    """A running cluster; `environment` is what its users need."""

    root: Path
    environment: dict[str, str]

    def query(self, *command: str) -> str:
        """Output of one of SLURM's commands."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Records of all jobs, the ended ones as well."""
        lines = self.query("scontrol", "--oneliner", "show", "job").splitlines()
        return [
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in lines
            if line.startswith("JobId")
        ]

    def gpu_uses(self) -> list[GpuUse]:
        """Who held which GPU from when to when."""
        seen: dict[str, dict[str, tuple[float, str]]] = {}
        for line in (self.root / "gpus.tsv").read_text().splitlines():
            moment, event, job, gpus = line.split("\t")
            seen.setdefault(job, {})[event] = (float(moment), gpus)
        return [
            GpuUse(job, frozenset(at["start"][1].split(",")), at["start"][0], at["end"][0])
            for job, at in seen.items()
            if at["start"][1]
        ]


def why_not() -> str | None:
    """Why no SLURM can be started here; None if it may."""
    missing = [name for name in DAEMONS if daemon(name) is None]
    return f"SLURM is absent: no {', '.join(missing)}" if missing else None


def daemon(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


@contextlib.contextmanager
def start(root: Path) -> Iterator[Slurm]:
    """Start the daemons, wait for the node to be idle; stop them at the end.

    Raises
    ------
    CannotStartError
        A daemon can't start here; with the last lines of its log.
    """
    slurm = configure(root)
    processes: list[subprocess.Popen[bytes]] = []
    munge = ["--foreground", "--force", f"--key-file={root}/munge.key"]
    munge += [f"--{name}={root}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file")]
    munge += [f"--{name}={root}/munge.{name.split('-')[0]}" for name in ("log-file", "seed-file")]
    try:
        for name, options in (("munged", munge), ("slurmctld", ["-D", "-c"]), ("slurmd", ["-D"])):
            command = [str(daemon(name)), *options]
            with (root / f"{name}.out").open("wb") as out:
                processes.append(
                    subprocess.Popen(command, env=slurm.environment, stdout=out, stderr=out)
                )
            if name == "munged":
                wait_until((root / "munge.socket").exists, root, processes)
        wait_until(lambda: is_idle(slurm), root, processes)
        yield slurm
        # Jobs outlive their daemons.
        slurm.query("scancel", "--state=RUNNING", f"--nodelist={socket.gethostname()}")
        wait_until(lambda: "RUNNING" not in {j["JobState"] for j in slurm.jobs()}, root, processes)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def configure(root: Path) -> Slurm:
    """Write the configuration of the cluster below `root`."""
    for folder in ("state", "spool", "bin"):
        (root / folder).mkdir()
    key = root / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    ports = free_ports(2)
    text = SLURM_CONF.format(
        root=root,
        host=host,
        user=os.environ.get("USER") or Path.home().owner(),
        controller_port=ports[0],
        node_port=ports[1],
        gpus=len(PRETENDED_GPUS),
    )
    (root / "slurm.conf").write_text(text)
    (root / "gres.conf").write_text(f"NodeName={host} Name=gpu File={','.join(PRETENDED_GPUS)}\n")
    for event in ("start", "end"):
        record = f"\\t{event}\\t$SLURM_JOB_ID\\t$SLURM_JOB_GPUS\\n"
        script(
            root / f"record_{event}",
            f'printf "$(date +%s.%N){record}" >> {root}/gpus.tsv',
        )
    # Snakemake's job step drops SLURM_CONF before it calls srun; on a site it is in /etc.
    srun = shutil.which("srun")
    script(root / "bin" / "srun", f'SLURM_CONF={root}/slurm.conf exec {srun} "$@"')
    path = f"{root}/bin{os.pathsep}{os.environ['PATH']}"
    return Slurm(root, os.environ | {"SLURM_CONF": f"{root}/slurm.conf", "PATH": path})


def script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/bash\n{line}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def is_idle(slurm: Slurm) -> bool:
    try:
        return "idle" in slurm.query("sinfo", "--noheader", "--format=%T").split()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return False


def wait_until(reached, root: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait some minutes at most; a daemon that ended can't start here."""
    for _ in range(300):
        if reached():
            return
        if any(process.poll() is not None for process in processes):
            break
        time.sleep(0.5)
    said = [f.read_text(errors="replace")[-500:] for f in sorted(root.glob("*.out"))]
    raise CannotStartError("SLURM can't start here: " + " | ".join(text for text in said if text))
