"""A Slurm cluster of this machine alone, on loopback, that the tests bring up and take down."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo")
CONF = """\
ClusterName=msmorph
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1
ReturnToService=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP MaxTime=INFINITE
"""


def missing() -> str:
    """Return why no cluster can be brought up here, or nothing."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "slurmd and munged must be started as root"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Bring Slurm up with settings, keys and ports of its own; take it down afterwards."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        environment.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
        running = []
        try:
            _start(folder, running)
            yield folder
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(30)


def _start(folder: Path, running: list[subprocess.Popen]) -> None:
    """Start munged, slurmctld and slurmd in the foreground, and wait for the node."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    conf = CONF.format(
        folder=folder, ports=_free_ports(2), cpus=os.cpu_count(), memory_mb=memory_mb
    )
    (folder / "slurm.conf").write_text(conf)
    own = [f"--{kind}-file={folder}/munge.{kind}" for kind in ("key", "pid", "log", "seed")]
    commands = [
        # --force: the socket is for root alone, as pytest's folders are
        ["munged", "--force", "--foreground", f"--socket={folder}/munge.socket", *own],
        ["slurmctld", "-D", "-f", str(folder / "slurm.conf")],
        ["slurmd", "-D", "-N", "localhost", "-f", str(folder / "slurm.conf")],
    ]
    for command in commands:
        with (folder / f"{command[0]}.out").open("w") as said:
            running.append(subprocess.Popen(command, stdout=said, stderr=said))
        if command[0] == "munged":
            _wait_until((folder / "munge.socket").exists, "munged")
    _wait_until(_node_is_idle, f"slurmd (logs in {folder})")


def _node_is_idle() -> bool:
    state = subprocess.run(
        ["sinfo", "--noheader", "--format=%t"], capture_output=True, text=True, check=False
    )
    return state.stdout.strip() == "idle"


def _wait_until(true, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come up in {seconds:.0f} s")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
