"""What the command writes, and where: full disks, read-only places, commands in names."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from bids_app.failures import with_remedy
from bids_app.participant import _write_graph
from tests.bids_app import bad_input
from tests.bids_app.test_bad_datasets import msmorph


def namespace() -> list[str]:
    """The start of a command that may mount what it likes, unseen by others; skips without."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting needs root (unshare -m)")
    return ["unshare", "-m", "sh", "-ec"]


def one_head(folder: Path, case: str | None = None) -> Path:
    root = folder / "bids"
    bad_input.write_description(root)
    path = root / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz"
    path.parent.mkdir(parents=True)
    bad_input.IMAGES[case].write(path) if case else bad_input.write_head(path)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("full", ["out", "work"])
def test_a_full_disk_is_said_in_one_sentence(tmp_path, full):
    shell = namespace()
    one_head(tmp_path)
    (tmp_path / full).mkdir()
    mount = f'mount -t tmpfs -o size=40k none "{tmp_path / full}"; exec "$@"'
    words = ["bids", "out", "participant", "--skip-bids-validation", "-w", "work"]
    run = msmorph(tmp_path, *words, prefix=[*shell, mount, "sh"])
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "No space left on device" in run.stderr and "make room there" in run.stderr


READ_ONLY = """
mount --make-rprivate /
mount --bind out out
mount --bind work work
for place in / "$(findmnt -no TARGET -T .)"; do mount -o remount,bind,ro "$place"; done
if touch bids/written 2>/dev/null; then exit 99; fi
exec "$@"
"""


@pytest.mark.slow
def test_only_output_and_work_are_written(tmp_path, demo_flair):
    """A whole run where all but the two folders is read-only, and there is no home."""
    shell = namespace()
    root = one_head(tmp_path)
    next(root.rglob("*_FLAIR.nii.gz")).write_bytes(demo_flair.read_bytes())
    for name in ("out", "work"):
        (tmp_path / name).mkdir()
    run = msmorph(
        tmp_path, "bids", "out", "participant", "-w", "work", "--skip-bids-validation",
        prefix=[*shell, READ_ONLY, "sh"], timeout=1800, HOME="/nonexistent",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "sub-01" / "anat" / "sub-01_morph.tsv").is_file()
    assert (tmp_path / "out" / "sub-01.html").is_file()


def test_what_stands_in_a_folder_s_name_is_not_run(tmp_path, monkeypatch):
    """The graph was drawn by a shell; a name of a folder is the user's, or a stranger's."""
    from nipype.interfaces.utility import IdentityInterface
    from nipype.pipeline import engine

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / '$(touch owned)"; touch owned;"'
    folder.mkdir()
    workflow = engine.Workflow(name="one")
    workflow.add_nodes([engine.Node(IdentityInterface(["x"]), name="node")])
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    _write_graph(workflow, folder / "graph.dot")
    assert (folder / "graph.dot").is_file()
    asked = Path("asked").read_text().splitlines()
    assert asked == ["-Tsvg", f"-o{folder / 'graph.svg'}", str(folder / "graph.dot")]
    assert not list(tmp_path.rglob("owned"))


def test_what_the_system_says_gets_a_remedy():
    said = "[Errno 28] No space left on device: '/out/x.nii.gz'"
    assert with_remedy(said) == f"{said}: make room there and run again."
    assert with_remedy("sub-01_T1w.nii.gz is empty.") == "sub-01_T1w.nii.gz is empty."


def test_no_code_of_ours_unpickles_or_asks_a_shell():
    """Weights are safetensors; every pickle in this project is Nipype's own, of the work folder.

    torchvision's weights, which a user may give to training, are read as tensors alone.
    """
    root = Path(__file__).parents[2]
    packages = ("bids_app", "workflows", "interfaces", "measures", "networks")
    forbidden = ("pickle", "torch.load(", "shell=True", "os.system(", "yaml.load(", " eval(")
    for path in (file for package in packages for file in (root / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"torch\.load\([^()]*, weights_only=True\)", "", text)
        assert not [word for word in forbidden if word in text], path
