"""The Dockerfile and Singularity.def say the same; both leave the work to install.sh."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
SINGULARITY = (ROOT / "Singularity.def").read_text()
#: Docker alone has a home folder of its own and asks for the GPU's driver in this way.
ONLY_DOCKER = {"HOME", "LOGNAME", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def test_same_base_and_same_install():
    base = re.search(r"^ARG BASE=(\S+)$", DOCKER, re.M)[1]
    assert re.findall(r"^From: (\S+)$", SINGULARITY, re.M) == [base, base]
    steps = [
        re.findall(r"/opt/msmorph/containers/install\.sh /opt/msmorph /opt/venv", text)
        for text in (DOCKER, SINGULARITY)
    ]
    assert [len(found) for found in steps] == [1, 1]


def test_same_environment():
    docker = dict(pair.split("=", 1) for pair in re.search(r"^ENV (.*)$", DOCKER, re.M)[1].split())
    singularity = dict(re.findall(r"^ +export (\w+)=(.*)$", SINGULARITY, re.M))
    assert docker.pop("MSMORPH_CONTAINER") == "docker:msmorph"
    assert singularity.pop("MSMORPH_CONTAINER") == "singularity:msmorph"
    assert {k: v for k, v in docker.items() if k not in ONLY_DOCKER} == singularity


def test_nothing_runs_as_root_and_the_command_is_msmorph():
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKER, re.M)
    assert 'ENTRYPOINT ["msmorph"]' in DOCKER


def test_the_install_script_refuses_an_unknown_device(tmp_path):
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    command = ["sh", ROOT / "containers" / "install.sh", tmp_path, tmp_path / "venv", "tpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cpu or cuda, not tpu" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, ROOT / "Dockerfile"], check=True)
