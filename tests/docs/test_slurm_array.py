"""The array script of docs/hpc.md, with a Slurm that runs the tasks at once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "slurm" / "msmorph-array.sh"
#: Runs the script for each task of --array=1-N; MSMORPH_KILLED is a task that Slurm would kill.
SBATCH = """#!/bin/bash
while [[ $1 == -* ]]; do
    [[ $1 != --array=* ]] || last=${1##*-}
    shift
done
for i in $(seq "$last"); do
    [[ $i != "${MSMORPH_KILLED:-}" ]] || continue
    SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i "$@"
done
echo 7
"""
#: Fails for the participant named in the file 'broken'; notes each call.
MSMORPH = """#!/bin/bash
echo "$*" >> calls
grep -qx -- "$5" broken && exit 1
exit 0
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A dataset, and a PATH with sbatch and msmorph."""
    for folder in ("sub-01/ses-1", "sub-01/ses-2", "sub-02/anat"):
        (tmp_path / "bids data" / folder).mkdir(parents=True)
    for name, text in (("sbatch", SBATCH), ("msmorph", MSMORPH)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "broken").write_text("sub-02\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(*arguments) -> str:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_failed_sessions_are_listed_and_run_again(site):
    listed = script("list", "bids data")
    Path("sessions.tsv").write_text(listed)
    assert listed.splitlines()[1:] == ["sub-01\tses-1", "sub-01\tses-2", "sub-02\tn/a"]
    assert script("submit", "sessions.tsv", "bids data", "out", "work", "--tasks", "cord") == "7\n"
    script("collect", "sessions.tsv", "work")
    codes = rows(site / "work" / "exit_codes.tsv")
    assert codes[0] == ["participant_id", "session_id", "exit_code", "seconds", "job"]
    assert [(*row[:3], row[4]) for row in codes[1:]] == [
        ("sub-01", "ses-1", "0", "7_1"),
        ("sub-01", "ses-2", "0", "7_2"),
        ("sub-02", "n/a", "1", "7_3"),
    ]
    assert rows(site / "work" / "failed.tsv")[1:] == [["sub-02", "n/a"]]
    calls = Path("calls").read_text().splitlines()
    assert calls[0].startswith(f"{site}/bids data {site}/out participant --participant-label")
    assert "--session-label ses-2" in calls[1]
    assert "--session-label" not in calls[2]
    assert all(call.endswith("--tasks cord") for call in calls)

    Path("broken").write_text("")
    script("submit", "work/failed.tsv", "bids data", "out", "work")
    said = script("collect", "sessions.tsv", "work")
    assert said.startswith("0 of 3 sessions failed")
    assert len(Path("calls").read_text().splitlines()) == 4


def test_a_task_that_left_no_code_counts_as_failed(site, monkeypatch):
    monkeypatch.setenv("MSMORPH_KILLED", "2")
    Path("sessions.tsv").write_text(script("list", "bids data"))
    script("submit", "sessions.tsv", "bids data", "out", "work")
    script("collect", "sessions.tsv", "work")
    assert rows(site / "work" / "exit_codes.tsv")[2] == ["sub-01", "ses-2", *["n/a"] * 3]
    assert ["sub-01", "ses-2"] in rows(site / "work" / "failed.tsv")


@pytest.mark.parametrize(
    "arguments",
    [(), ("list",), ("list", "nowhere"), ("submit", "none.tsv", "bids data", "o", "w")],
)
def test_wrong_use_is_refused(site, arguments):
    command = [str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("msmorph-array.sh: ")
