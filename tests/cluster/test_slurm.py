"""MSMorph on a real Slurm, in the two ways of docs/hpc.md (``make test-slurm``)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bids_app.tables import read_tsv

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "slurm" / "msmorph-array.sh"
#: One contrast is enough here, and a third of the time.
ONLY_FLAIR = ("--ignore", "t1w", "t2w")
FLAIR = "sub-{0}/ses-01/anat/sub-{0}_ses-01_FLAIR.nii.gz"
TABLE = "sub-{0}/ses-01/anat/sub-{0}_ses-01_morph.tsv"

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, cluster):
    """The demo's first sessions, the FLAIR of sub-02 cut short, and a shell to submit from."""
    from bids_app.demo import main

    folder = tmp_path_factory.mktemp("data")
    assert main([str(folder / "bids")]) == 0
    for subject in ("01", "02"):
        shutil.rmtree(folder / "bids" / f"sub-{subject}" / "ses-02")
    flair = folder / "bids" / FLAIR.format("02")
    shutil.copy(flair, folder / "whole.nii.gz")
    flair.write_bytes(flair.read_bytes()[:20000])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("MSMORPH", f"{sys.executable} -m bids_app.cli")
        environment.setenv("SBATCH_ARGS", "--cpus-per-task=1 --mem=4G")
        yield folder


def script(*arguments) -> str:
    done = subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def msmorph(dataset: Path, out: Path, plugin: Path):
    command = [
        sys.executable, "-m", "bids_app.cli", dataset / "bids", out, "participant",
        "--participant-label", "01", "--use-plugin", plugin, "-w", out.with_suffix(".work"),
        "--omp-nthreads", "1", "--skip-bids-validation", *ONLY_FLAIR,
    ]  # fmt: skip
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def submit_and_wait(dataset: Path, sessions: Path) -> None:
    job = script(
        "submit", sessions, dataset / "bids", dataset / "out", dataset / "work", *ONLY_FLAIR
    ).strip()
    queue = ["squeue", "--noheader", "--array", "--format=%F"]
    while job in subprocess.run(queue, capture_output=True, text=True).stdout.split():
        time.sleep(1)


def exit_codes(work: Path) -> dict[str, str]:
    return {row["participant_id"]: row["exit_code"] for row in read_tsv(work / "exit_codes.tsv")[1]}


@pytest.fixture(scope="module")
def array_run(dataset):
    """Both sessions as array tasks, then the failed one again, mended: what was said and when."""
    work, sessions = dataset / "work", dataset / "sessions.tsv"
    sessions.write_text(script("list", dataset / "bids"))
    submit_and_wait(dataset, sessions)
    script("collect", sessions, work)
    first, failed = exit_codes(work), (work / "failed.tsv").read_text()
    shutil.copy(dataset / "whole.nii.gz", dataset / "bids" / FLAIR.format("02"))
    submit_and_wait(dataset, work / "failed.tsv")
    return {"first": first, "failed": failed, "said": script("collect", sessions, work)}


def test_array_tasks_leave_exit_codes_and_the_failed_one_runs_again(array_run, dataset):
    assert array_run["first"] == {"sub-01": "0", "sub-02": "1"}
    assert array_run["failed"] == "participant_id\tsession_id\nsub-02\tses-01\n"
    assert array_run["said"].startswith("0 of 2 sessions failed")
    assert exit_codes(dataset / "work") == {"sub-01": "0", "sub-02": "0"}
    for subject in ("01", "02"):
        _, (row,) = read_tsv(dataset / "out" / TABLE.format(subject))
        assert float(row["thalamus_flair_ml"]) > 5
    left = {path.name for path in (dataset / "work").iterdir()}
    assert left == {"log", "exit", "exit_codes.tsv", "failed.tsv"}  # no work folder stays


def test_plugin_gives_the_same_table(array_run, dataset):
    out = dataset / "out_plugin"
    done = msmorph(dataset, out, ROOT / "docs" / "slurm" / "slurm.yml")
    assert done.returncode == 0, done.stderr
    table = TABLE.format("01")
    assert (out / table).read_bytes() == (dataset / "out" / table).read_bytes()
    assert (out / "sub-01.html").is_file()
    jobs = out.with_suffix(".work") / "msmorph_wf" / "batch"
    assert len(list(jobs.glob("batchscript_*.sh"))) > 10


def test_plugin_reports_the_steps_that_slurm_does_not_take(dataset, tmp_path):
    plugin = tmp_path / "slurm.yml"
    plugin.write_text("plugin: SLURMGraph\nplugin_args: {sbatch_args: '--partition=nowhere'}\n")
    done = msmorph(dataset, tmp_path / "out", plugin)
    assert done.returncode == 1
    assert "sub-01 ses-01 (flair_check): Slurm did not take this step's job" in done.stderr
