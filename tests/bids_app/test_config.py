"""The run's settings and their TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_app import machine
from bids_app.config import SECTIONS, Config, _toml, load_plugin_file
from bids_app.errors import UsageError


def make(tmp_path: Path, **settings) -> Config:
    return Config(tmp_path / "bids", tmp_path / "out", "participant", **settings)


def test_toml_round_trip(tmp_path):
    config = make(
        tmp_path,
        participant_label=["01", "02"],
        derivatives={"other tool": tmp_path / 'a "quoted" name', "x": tmp_path},
        mem_gb=7.25,
        tasks=["lesions"],
        lesion_model="unet",
        lesion_filling=True,
        model_dir=tmp_path,
        dry_run=True,
        verbose=2,
    )
    file = tmp_path / "logs" / "config.toml"
    config.write_toml(file)
    assert Config.read_toml(file) == config
    assert [p.name for p in file.parent.iterdir()] == ["config.toml"]


def test_toml_sections(tmp_path):
    make(tmp_path).write_toml(tmp_path / "config.toml")
    content = tomllib.loads((tmp_path / "config.toml").read_text())
    assert list(content) == ["environment", "execution", "workflow", "nipype", "seeds"]
    assert {"msmorph", "python", "nipype", "torch"} <= content["environment"].keys()
    assert content["seeds"] == {"random_seed": 1}


def test_every_field_has_one_section():
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(f.name for f in fields(Config))


@given(
    st.recursive(
        st.text() | st.integers(-(2**62), 2**62) | st.booleans() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_toml_values_survive(value):
    assert tomllib.loads(f"x = {_toml(value)}") == {"x": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks 'bids_dir'"),
        ("[execution]\nbids_dir = 3\noutput_dir = 'o'\nanalysis_level = 'group'", "not Path"),
        ("[execution]\nbids_dir = 'b'\noutput_dir = 'o'\nanalysis_level = 'group'\n"
         "participant_label = '01'", r"not list\[str\]"),
        ("[execution]\nbids_dir = 'b'\noutput_dir = 'o'\nanalysis_level = 'group'\n"
         "[nipype]\nmem_gb = true", "not float"),
    ],
)  # fmt: skip
def test_odd_files_are_refused(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        Config.read_toml(tmp_path / "c.toml")


def test_relative_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config(Path("b"), Path("o"), "group", work_dir=Path("w"))
    assert (config.bids_dir, config.work_dir) == (tmp_path / "b", tmp_path / "w")


def test_plugin_file(tmp_path):
    (tmp_path / "p.yml").write_text("plugin: MultiProc\nplugin_args: {n_procs: 2}\n")
    assert load_plugin_file(tmp_path / "p.yml") == {
        "plugin": "MultiProc",
        "plugin_args": {"n_procs": 2},
    }


@pytest.mark.parametrize(
    ("omp", "nprocs", "expected"),
    [("", 4, 4), ("", 32, 8), ("2", 4, 2), ("64", 4, 4), ("0", 4, 4), ("2,1", 4, 4)],
)
def test_default_threads(monkeypatch, omp, nprocs, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert machine.default_omp_threads(nprocs) == expected


def test_memory_stays_within_the_container(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("2000000000\n")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (limit, tmp_path / "absent"))
    assert machine.total_memory_gb() == 2.0
    assert machine.default_memory_gb() == 1.8
    whole = tmp_path / "whole"
    whole.write_text("max\n")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (whole,))
    assert machine.total_memory_gb() > 0
