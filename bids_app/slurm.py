"""Nipype's SLURMGraph plugin, which submits a job for each node and leaves, made to stay.

Tables and reports are made of what the jobs leave behind, and a job that Slurm kills for its memory
or its time leaves no word: both need somebody who waits and looks.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

from nipype.pipeline.plugins.slurmgraph import SLURMGraphPlugin
from nipype.pipeline.plugins.tools import report_crash

from bids_app.failures import read_crash_file

_POLL_S = 2.0
#: A busy controller does not always answer: how long to go on asking.
_PATIENCE_S = 600.0


class WaitingSLURMGraph(SLURMGraphPlugin):
    """SLURMGraph that returns when its jobs are done, and writes a crash file for each that died.

    Raises RuntimeError when some node did not finish, as Nipype's other plugins do.
    """

    def __init__(self, **kwargs) -> None:
        """Mark the jobs, and have Slurm take out of its queue what waits for a failed one."""
        super().__init__(**kwargs)
        self._mark = f"msmorph-{uuid.uuid4().hex}"
        self._sbatch_args += f" --comment={self._mark} --kill-on-invalid-dep=yes"

    def run(self, graph, config, updatehash=False) -> None:
        """Submit the graph's nodes, wait for them, and look at what became of each."""
        try:
            super().run(graph, config, updatehash=updatehash)
            self._wait()
        except KeyboardInterrupt:
            subprocess.run(["scancel", *self._jobs()], check=False)
            raise
        unfinished = {node for node in graph if not _finished(node)}
        for node in unfinished:
            waited = any(before in unfinished for before in graph.predecessors(node))
            if not waited and node.fullname not in _reported(node):
                report_crash(node, traceback=[
                    "RuntimeError: Slurm did not take this step's job, or ended it without a "
                    "result (memory or time limit?); what it said is in "
                    f"{Path(node.base_dir, node._hierarchy.split('.')[0], 'batch')}.\n"
                ])  # fmt: skip
        if unfinished:
            raise RuntimeError(f"{len(unfinished)} steps did not finish.")

    def _jobs(self) -> list[str]:
        """Ids of this run's jobs in Slurm's queue."""
        asked = time.monotonic()
        while True:
            found = subprocess.run(
                ["squeue", "--me", "--noheader", "--format=%i %k"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if found.returncode == 0:
                rows = (line.split() for line in found.stdout.splitlines())
                return [row[0] for row in rows if row[1:] == [self._mark]]
            if time.monotonic() - asked > _PATIENCE_S:
                raise RuntimeError(f"squeue does not answer: {found.stderr.strip()}")
            time.sleep(_POLL_S)

    def _wait(self) -> None:
        while self._jobs():
            time.sleep(_POLL_S)


def _finished(node) -> bool:
    """Whether the work folder holds a node's result for the inputs that it has now."""
    try:
        return node.is_cached()[0]
    except Exception:  # Nipype raises many kinds where an earlier node's result is missing
        return False


def _reported(node) -> set[str]:
    """Full names of the nodes that left a crash file where this node would."""
    folder = Path(node.config["execution"]["crashdump_dir"])
    return {read_crash_file(path)[0] for path in folder.glob("crash-*.txt")}
