"""SLURMGraph that waits, with a Slurm that runs each job when it is submitted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline import engine as pe

from bids_app.failures import read_crash_file
from bids_app.slurm import WaitingSLURMGraph

#: Keeps a job in the queue for one look; does nothing with the one named in the file 'kill'.
SBATCH = """#!/bin/bash
for word in "$@"; do
    case $word in
        --comment=*) echo "1 ${word#*=}" > {folder}/queue ;;
        j*) name=$word ;;
    esac
done
echo "$*" >> {folder}/submitted
echo Submitted batch job 1
grep -q "_$(cat {folder}/kill 2>/dev/null || echo none)$" <<< "$name" || bash "$word" >&2
"""
SQUEUE = """#!/bin/bash
cat {folder}/queue 2>/dev/null
rm -f {folder}/queue
echo "2 somebody-elses"
"""


def add_one(x):
    if x > 5:
        raise ValueError(f"{x} is too much")
    return x + 1


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs first -> second -> third with the plugin: the crash files."""
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text.replace("{folder}", str(tmp_path)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("bids_app.slurm._POLL_S", 0.01)

    def work(x):
        workflow = pe.Workflow("wf", base_dir=str(tmp_path / "work"))
        nodes = [pe.Node(Function(function=add_one), name=n) for n in ("first", "second", "third")]
        nodes[0].inputs.x = x
        workflow.connect(nodes[0], "out", nodes[1], "x")
        workflow.connect(nodes[1], "out", nodes[2], "x")
        workflow.config["execution"] = {
            "crashdump_dir": str(tmp_path / "crash"), "crashfile_format": "txt",
        }  # fmt: skip
        workflow.run(plugin=WaitingSLURMGraph(plugin_args={"sbatch_args": "--mem=1G"}))

    return work


def crashes(folder: Path) -> dict[str, str]:
    return dict(read_crash_file(path) for path in (folder / "crash").glob("crash-*.txt"))


def test_it_waits_and_nothing_is_wrong(run, tmp_path):
    run(1)
    assert not (tmp_path / "queue").exists()  # looked at until empty
    submitted = (tmp_path / "submitted").read_text().splitlines()
    assert len(submitted) == 3
    assert all("--mem=1G --comment=msmorph-" in line for line in submitted)
    assert all("--kill-on-invalid-dep=yes" in line for line in submitted)
    assert crashes(tmp_path) == {}


def test_a_step_that_fails_is_told_once_with_its_own_words(run, tmp_path):
    with pytest.raises(RuntimeError, match="2 steps did not finish"):
        run(5)
    assert {node: text for node, text in crashes(tmp_path).items() if node == "wf.second"} == {
        "wf.second": "6 is too much"
    }
    assert not any("Slurm" in text for text in crashes(tmp_path).values())


def test_a_job_that_slurm_ended_is_a_failure(run, tmp_path):
    (tmp_path / "kill").write_text("first")
    with pytest.raises(RuntimeError, match="3 steps did not finish"):
        run(1)
    assert crashes(tmp_path)["wf.first"].startswith("Slurm did not take this step's job")
