"""The command line: what it reads, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.machine import available_cpus
from bids_app.options import GROUPS, OPTIONS, memory_gb, options_markdown
from bids_app.parser import build_parser, parse_args

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "nipype", "ants", "monai", "pandas", "bids", "nibabel", "matplotlib", "numpy")


@pytest.fixture
def bids(skeleton, monkeypatch, tmp_path) -> Path:
    monkeypatch.chdir(tmp_path)
    return skeleton(["sub-01_T1w", "sub-01_FLAIR"])


def parse(bids: Path, *args: str, level: str = "participant"):
    return parse_args([str(bids), str(bids.parent / "out"), level, *args])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16", 16), ("16G", 16), ("16gb", 16), ("16 GB", 16), ("7.5GB", 7.5), ("7.5G", 7.5),
        ("500MB", 0.5), ("500m", 0.5), ("2T", 2000), ("3000000k", 3), (".5", 0.5), ("8GiB", 8),
    ],
)  # fmt: skip
def test_memory_is_read_in_gb(text, expected):
    assert memory_gb(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "0", "0G", "-4", "lots", "16X", "G", "1e400", "16b", "nan", "4 5"]
)
def test_memory_nonsense_is_refused_in_one_sentence(bids, text):
    with pytest.raises(UsageError, match="no amount of memory"):
        parse(bids, f"--mem={text}")


def test_defaults(bids, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    config = parse(bids)
    assert config.nprocs == available_cpus()
    assert config.omp_nthreads == min(8, config.nprocs)
    assert config.mem_gb > 0
    assert config.work_dir == bids.parent / "work"
    assert (config.tasks, config.device) == (["thalamus"], "auto")
    assert (config.lesion_model, config.lesion_filling, config.random_seed) == ("unet", False, 1)
    assert (config.participant_label, config.session_label, config.ignore) == ([], [], [])
    assert config.log_dir == bids.parent / "out" / "logs"


def test_labels_with_and_without_prefix_several_and_repeated(bids):
    config = parse(
        bids, "--participant-label", "sub-01", "02", "--participant-label", "03", "01",
        "--session-label", "ses-1", "--session-label", "2",
    )  # fmt: skip
    assert config.participant_label == ["01", "02", "03"]
    assert config.session_label == ["1", "2"]


@pytest.mark.parametrize("flag", ["--nprocs", "--nthreads", "--n-cpus"])
def test_nprocs_has_three_names_and_bounds_the_threads(bids, flag, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    config = parse(bids, flag, "3")
    assert (config.nprocs, config.omp_nthreads) == (3, 3)


def test_every_setting_reaches_the_config(bids, tmp_path):
    plugin, filters = tmp_path / "plugin.yml", tmp_path / "filter.json"
    plugin.write_text("plugin: SLURM\nplugin_args: {sbatch_args: '--mem=4000'}\n")
    filters.write_text('{"t1w": {"acquisition": null}}')
    config = parse(
        bids, "--bids-filter-file", str(filters), "-d", f"seg={tmp_path}", str(bids),
        "--bids-database-dir", "db", "--nprocs", "4", "--omp-nthreads", "2", "--mem", "7.5GB",
        "--low-mem", "--use-plugin", str(plugin), "--tasks", "thalamus", "--device", "cuda:1",
        "--model-dir", str(tmp_path), "--random-seed", "7", "--skull-strip", "force",
        "--ignore", "t2w", "flair", "-w", "scratch", "--clean-workdir", "--dry-run",
        "--reports-only", "--boilerplate-only", "--write-graph", "--resource-monitor",
        "--stop-on-first-crash", "-vv", "--skip-bids-validation",
    )  # fmt: skip
    assert config.derivatives == {"seg": tmp_path, "bids": bids}
    assert config.bids_database_dir == tmp_path / "db"
    assert (config.nprocs, config.omp_nthreads, config.mem_gb) == (4, 2, 7.5)
    assert (config.device, config.random_seed, config.skull_strip) == ("cuda:1", 7, "force")
    assert (config.ignore, config.work_dir) == (["t2w", "flair"], tmp_path / "scratch")
    switches = (
        "low_mem", "clean_workdir", "dry_run", "reports_only", "boilerplate_only", "write_graph",
        "resource_monitor", "stop_on_first_crash", "skip_bids_validation",
    )  # fmt: skip
    assert all(getattr(config, name) for name in switches)
    assert config.verbose == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--lesion-model", "samseg"], "invalid choice"),
        (["--tasks", "volume"], "invalid choice"),
        (["--device", "gpu"], "none of auto, cpu"),
        (["--ignore", "bold"], "invalid choice"),
        (["--nprocs", "0"], "at least 1"),
        (["--random-seed", "0"], "at least 1"),
        (["--participant-label", "../x"], "no BIDS label"),
        (["--participant-label", "sub-"], "no BIDS label"),
        (["--nprocs", "2", "--omp-nthreads", "3"], "more than --nprocs"),
        (["--model-dir", "nowhere"], "model folder .* does not exist"),
        (["-d", "x=nowhere"], "derivatives folder x=.* does not exist"),
        (["-d", "=x"], "NAME=PATH"),
        (["--particip", "01"], "unrecognized arguments"),
        (["--use-plugin", "nowhere.yml"], "Cannot read the plugin file"),
        (["--bids-filter-file", "nowhere.json"], "Cannot read the filter file"),
        (["--config-file", "nowhere.toml"], "Cannot read the config file"),
    ],
)
def test_bad_options_are_refused(bids, args, message):
    with pytest.raises(UsageError, match=message):
        parse(bids, *args)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "must hold a JSON object, one key per contrast"),
        ('{"bold": {}}', "unknown contrasts: bold; known: t1w, flair, t2w, cord"),
        ('{"t1w": []}', "'t1w' must hold a JSON object"),
        ('{"t1w": {"run": {"a": 1}}}', "'run' of 't1w' must be a string"),
        (b"\xff\xfe{", "not valid JSON"),
    ],
)
def test_bad_filter_files_are_refused(bids, tmp_path, text, message):
    file = tmp_path / "filter.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        parse(bids, "--bids-filter-file", str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plugin: [", "not valid YAML"),
        ("SLURM", "must hold 'plugin'"),
        ("plugin_args: {}", "must hold 'plugin'"),
        ("plugin: SLURM\nplugin_args: 3", "must hold 'plugin'"),
        ("plugin: SLURM\nargs: {}", "nothing else"),
    ],
)
def test_bad_plugin_files_are_refused(bids, tmp_path, text, message):
    file = tmp_path / "plugin.yml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        parse(bids, "--use-plugin", str(file))


@pytest.mark.parametrize(
    ("out", "work", "message"),
    [
        ("bids", "work", "is the BIDS folder itself"),
        ("bids/out", "work", "lies inside the BIDS dataset"),
        ("bids/derivatives", "work", "lies inside the BIDS dataset"),
        ("out", "bids/work", "working directory .* lies inside"),
        ("out", "bids", "working directory .* lies inside"),
        ("out", "out", "are the same"),
        ("afile/out", "work", "is not a folder"),
        ("out", "afile", "is not a folder"),
    ],
)
def test_places_that_cannot_be(bids, tmp_path, out, work, message):
    (tmp_path / "afile").touch()
    with pytest.raises(UsageError, match=message):
        parse_args([str(bids), str(tmp_path / out), "participant", "-w", str(tmp_path / work)])


def test_outputs_may_go_below_derivatives(bids):
    out = bids / "derivatives" / "msmorph"
    assert parse_args([str(bids), str(out), "group"]).output_dir == out


def test_a_folder_that_is_no_dataset(bids, tmp_path):
    with pytest.raises(UsageError, match="does not exist; in a container"):
        parse(tmp_path / "nowhere")
    (bids / "dataset_description.json").write_text("{")
    with pytest.raises(UsageError, match=r"dataset_description\.json is not valid JSON"):
        parse(bids)
    (bids / "dataset_description.json").write_text('{"Name": "x"}')
    with pytest.raises(UsageError, match="must hold 'Name' and 'BIDSVersion'"):
        parse(bids)
    (bids / "dataset_description.json").unlink()
    with pytest.raises(UsageError, match=r"has no dataset_description\.json"):
        parse(bids)


def test_the_group_level_needs_no_dataset(bids, tmp_path):
    config = parse_args([str(tmp_path / "nowhere"), str(tmp_path / "out"), "group"])
    assert config.bids_dir == tmp_path / "nowhere"
    (bids / "dataset_description.json").unlink()
    assert parse(bids, level="group").bids_dir == bids


def test_lesion_options_survive_the_config_file(bids, tmp_path):
    first = parse(bids, "--lesion-model", "deepscan", "--lesion-filling", "--tasks", "lesions")
    assert (first.lesion_model, first.lesion_filling) == ("deepscan", True)
    assert first.tasks == ["lesions"]
    file = tmp_path / "config.toml"
    first.write_toml(file)
    again = parse(bids, "--config-file", str(file))
    assert (again.lesion_model, again.lesion_filling) == ("deepscan", True)
    assert again.tasks == ["lesions"]
    assert parse(bids, "--config-file", str(file), "--lesion-model", "unet").lesion_filling


def test_config_file_gives_defaults_and_the_command_line_wins(bids, tmp_path):
    first = parse(
        bids, "--mem", "5", "--nprocs", "2", "--omp-nthreads", "2", "--ignore", "t2w", "--low-mem",
        "--participant-label", "01", "-d", f"seg={tmp_path}", "-vv", "-w", "elsewhere",
    )  # fmt: skip
    file = tmp_path / "config.toml"
    first.write_toml(file)
    again = parse_args([str(bids), str(tmp_path / "other"), "group", "--config-file", str(file)])
    assert (again.mem_gb, again.ignore, again.low_mem) == (5, ["t2w"], True)
    assert (again.derivatives, again.verbose) == ({"seg": tmp_path}, 2)
    assert again.work_dir == tmp_path / "elsewhere"
    assert (again.output_dir, again.analysis_level) == (tmp_path / "other", "group")
    assert again.run_uuid != first.run_uuid
    args = ("--mem", "3", "--ignore", "flair", "--nprocs", "1", "--participant-label", "02")
    wins = parse(bids, "--config-file", str(file), *args)
    assert (wins.mem_gb, wins.ignore, wins.participant_label) == (3, ["flair"], ["02"])
    assert (wins.nprocs, wins.omp_nthreads) == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[workflow", "not valid TOML"),
        ("[sports]\nx = 1", "unknown 'sports'"),
        ("nprocs = 3", "unknown 'nprocs'"),
        ("[nipype]\nspeed = 3", "unknown setting 'speed' in .nipype.; known there: nprocs"),
        ("[nipype]\nnprocs = 'four'", "In the config file .*argument --nprocs"),
        ("[nipype]\nnprocs = [1, 2]", "'nprocs' cannot be"),
        ("[nipype]\nlow_mem = 'yes'", "'low_mem' must be true or false"),
        ("[workflow]\nskull_strip = 'maybe'", "In the config file .*invalid choice"),
        ("[workflow]\nlesion_model = 'samseg'", "In the config file .*invalid choice"),
        ("[workflow]\nlesion_filling = 1", "'lesion_filling' must be true or false"),
    ],
)
def test_bad_config_files_are_refused(bids, tmp_path, text, message):
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        parse(bids, "--config-file", str(file))


def test_help_imports_nothing_heavy_and_is_quick():
    code = (
        "import sys, json, time; start = time.perf_counter();"
        "from bids_app.cli import main; code = main(['--help']);"
        "json.dump([code, time.perf_counter() - start, sorted(sys.modules)], sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, modules = json.loads(done.stderr)
    assert code == 0
    assert "--participant-label" in done.stdout
    assert not set(HEAVY) & set(modules)
    assert seconds < 1


def test_help_and_markdown_name_every_option():
    shown, page = build_parser().format_help(), options_markdown()
    for option in OPTIONS:
        assert option.group in GROUPS
        for flag in option.flags:
            assert flag in shown
            assert f"`{flag}`" in page or "_" in flag
    assert "--help" in shown
    assert f"msmorph {__version__}" in next(
        o.kwargs["version"] for o in OPTIONS if o.dest == "version"
    )
