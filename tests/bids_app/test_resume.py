"""A run that is killed goes on where it stopped, and ends with the same tables.

The runs have one FLAIR of the demo and no other image: about 20 s of one core.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bids_app.tables import read_tsv
from tests.bids_app import bad_input

psutil = pytest.importorskip("psutil")
KILLS = int(os.environ.get("MSMORPH_TEST_KILLS", "5"))


class Place:
    """A dataset of one FLAIR with its output and work folders."""

    def __init__(self, root: Path, flair: Path):
        self.bids, self.out, self.work = root / "bids", root / "out", root / "work"
        bad_input.write_description(self.bids)
        (self.bids / "sub-01" / "anat").mkdir(parents=True)
        shutil.copyfile(flair, self.bids / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz")

    def start(self, *options: str) -> subprocess.Popen:
        words = [self.bids, self.out, "participant", "-w", self.work, "--skip-bids-validation",
                 "--nprocs", "2", "--omp-nthreads", "1", *options]  # fmt: skip
        with (self.bids.parent / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bids_app.cli", *map(str, words)],
                cwd=self.bids.parent, stdout=log, stderr=log,
            )  # fmt: skip

    def finish(self, *options: str) -> None:
        done = self.start(*options).wait(timeout=600)
        assert done == 0, (self.bids.parent / "log").read_text()

    def tables(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in sorted(self.out.rglob("*_morph.*"))
        }

    def finished(self) -> dict[str, int]:
        """The steps that Nipype holds for finished -> when their result was written (ns).

        Those that write measures and derivatives run every time, by design: what they write lies
        outside of Nipype's cache, and may have been removed.
        """
        found = {}
        for result in self.work.rglob("result_*.pklz"):
            hashes = list(result.parent.glob("_0x*.json"))
            if len(hashes) == 1 and "unfinished" not in hashes[0].name:
                found[result.parent.name] = result.stat().st_mtime_ns
        return {name: when for name, when in found.items() if not name.startswith(("save_", "ds_"))}

    def forget(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, demo_flair):
    """An uninterrupted run, and the seconds of CPU that it took."""
    place = Place(tmp_path_factory.mktemp("whole"), demo_flair)
    before = os.times()
    place.finish()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user
    return place, cpu - before.children_system


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(processes) -> float:
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
            total += used.user + used.system
        except psutil.NoSuchProcess:
            continue
    return total


def kill_after(process: subprocess.Popen, cpu: float) -> bool:
    """SIGKILL the run's first process once all have used so much CPU; False if it ended before.

    Its workers must end by themselves.
    """
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        everyone = family(parent)
        if cpu_seconds(everyone) >= cpu:
            process.send_signal(signal.SIGKILL)
            process.wait()
            _, alive = psutil.wait_procs(everyone[1:], timeout=30)
            assert not alive, f"these outlived their run: {alive}"
            return True
        time.sleep(0.02)
    assert process.returncode == 0
    return False


def assert_whole(folder: Path) -> None:
    """Every file under a final name can be read to its end."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith("."):
            continue
        assert path.stat().st_size > 0, path
        if path.name.endswith(".nii.gz"):
            with gzip.open(path) as stream:
                stream.read()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.name.endswith("_morph.tsv"):
            assert len(read_tsv(path)[1]) == 1
        elif path.suffix in (".html", ".svg"):
            assert path.read_text().rstrip().endswith(("</html>", "</svg>")), path


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(reference, tmp_path):
    """SIGKILL at random moments (5, or MSMORPH_TEST_KILLS), each rerun going on from the last kill.

    A moment is a random amount of CPU time between the end of the imports and that of a whole run,
    so that it does not depend on how busy the machine is. A run that gets to its end first is
    compared with the uninterrupted one, and all is removed: the next starts from nothing. After
    each kill no worker is alive and every file with a final name is whole; after each rerun the
    steps that had finished before have not been redone.
    """
    whole, cpu = reference
    rng = np.random.default_rng(7)
    place = Place(tmp_path, next(whole.bids.rglob("*_FLAIR.nii.gz")))
    kills, stages = 0, []
    while kills < KILLS:
        before = place.finished()
        killed = kill_after(place.start(), rng.uniform(0.25, 1.0) * cpu)
        after = place.finished()
        assert {name: after.get(name) for name in before} == before
        assert_whole(place.out)
        if killed:
            kills += 1
            stages.append(len(after))
        else:
            assert place.tables() == whole.tables()
            place.forget()
    print(f"steps finished at each of {kills} kills: {stages}")
    assert len(set(stages)) > 1
    before = place.finished()
    place.finish()
    after = place.finished()
    assert {name: after[name] for name in before} == before
    assert place.tables() == whole.tables()
    assert set(after) == set(whole.finished())
    assert not list(place.out.rglob(".*.tmp")) and not list(place.out.rglob("*.partial"))


@pytest.mark.slow
def test_what_does_not_change_the_numbers_redoes_nothing(reference, tmp_path):
    """Other processes, another device setting and a moved work folder leave all steps finished."""
    whole, _ = reference
    before, tables = whole.finished(), whole.tables()
    whole.work = shutil.move(whole.work, tmp_path / "moved")
    whole.finish("--nprocs", "1", "--device", "cpu")
    assert whole.finished() == before and len(before) > 5
    assert whole.tables() == tables


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_with_a_sentence(demo_flair, tmp_path):
    """The kernel kills a worker when memory runs out: the run says so, and goes on when rerun."""
    place = Place(tmp_path, demo_flair)
    run = place.start()
    parent = psutil.Process(run.pid)
    while not (workers := family(parent)[1:]) or cpu_seconds(workers) < 1:
        assert run.poll() is None
        time.sleep(0.02)
    for worker in workers:
        worker.kill()
    assert run.wait(timeout=120) == 1
    log = (tmp_path / "log").read_text()
    assert "FAILED sub-01" in log and "killed while this step ran" in log
    place.finish()
