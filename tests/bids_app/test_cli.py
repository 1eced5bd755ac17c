"""The command's exit codes, environment, plan and validation."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from bids_app import cli, validation
from bids_app.errors import UsageError
from bids_app.parser import parse_args

VARIABLES = (
    "ANTS_RANDOM_SEED", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NO_ET", "NIPYPE_NO_ET", "MPLBACKEND",
    "MPLCONFIGDIR", "TEMPLATEFLOW_HOME", "CUBLAS_WORKSPACE_CONFIG", "GOMP_SPINCOUNT",
    "TMPDIR",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch):
    """Keep main()'s environment and log handlers from outliving the test."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    logger = logging.getLogger("msmorph")
    logger.handlers.clear()
    logger.propagate = True


@pytest.fixture
def bids(skeleton, monkeypatch, tmp_path) -> Path:
    monkeypatch.chdir(tmp_path)
    return skeleton(["sub-01_T1w", "sub-01_FLAIR", "sub-02_acq-cspine_T2w"])


@pytest.fixture
def levels(monkeypatch):
    """Stand in for the two levels, which other tests run for real; record their calls."""
    calls = []
    participant = types.ModuleType("bids_app.participant")
    participant.run_participant = lambda config, sessions: calls.append(sessions) or 1
    participant.describe_nodes = lambda config, s, cards: ["check", "mask"] if s.has_brain else []
    participant.model_cards, participant.EXIT_WEIGHTS = lambda config: [], 3
    group = types.ModuleType("bids_app.group")
    group.run_group = lambda config: calls.append("group") or 0
    monkeypatch.setitem(sys.modules, "bids_app.participant", participant)
    monkeypatch.setitem(sys.modules, "bids_app.group", group)
    return calls


def run(bids: Path, *args: str, level: str = "participant") -> int:
    return cli.main([str(bids), "out", level, "--skip-bids-validation", *args])


def test_the_level_gives_the_exit_code(bids, levels):
    assert run(bids) == 1
    assert [s.prefix for s in levels[0]] == ["sub-01", "sub-02"]
    assert run(bids, level="group") == 0
    assert levels[1] == "group"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--mem", "lots"], "no amount of memory"),
        (["--participant-label", "9"], "the dataset has: 01, 02"),
        (["--session-label", "9"], "the dataset has: none"),
        (["--use-plugin", "nowhere"], "plugin file"),
        (["--bids-filter-file", "nowhere"], "filter file"),
        (["-w", "bids/work"], "inside the BIDS dataset"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(bids, levels, capsys, args, words):
    assert run(bids, *args) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert len(shown) == 1
    assert words in shown[0]
    assert not levels
    assert not Path("out").exists()


def test_no_arguments_help_and_version(capsys):
    assert cli.main([]) == 2
    assert cli.main(["--help"]) == 0
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip().endswith("msmorph 0.1.0")


def test_interrupt_is_130(bids, levels, monkeypatch):
    def interrupt(config, sessions):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["bids_app.participant"], "run_participant", interrupt)
    assert run(bids) == 130


def test_dry_run_says_which_weights_are_missing(bids, tmp_path, capsys):
    empty = tmp_path / "models"
    empty.mkdir()
    assert run(bids, "--dry-run", "--model-dir", str(empty)) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("msmorph: The model card")
    assert "--model-dir" in captured.err
    assert not captured.out


def test_dry_run_prints_inputs_notes_and_steps(bids, levels, capsys):
    assert run(bids, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "sub-01",
        "  T1w:   sub-01/anat/sub-01_T1w.nii.gz",
        "  FLAIR: sub-01/anat/sub-01_FLAIR.nii.gz",
        "  T2w:   n/a",
        "  note:  No T2w image.",
        "  steps: check, mask",
        "sub-02",
        "  T1w:   n/a",
        "  FLAIR: n/a",
        "  T2w:   n/a",
        "  cord:  sub-02/anat/sub-02_acq-cspine_T2w.nii.gz",
        "  note:  Only spinal-cord images: nothing is measured without --tasks cord.",
        "  steps: none",
        "2 session(s); nothing was run (--dry-run).",
    ]
    assert not levels
    assert not Path("out").exists()


def test_environment_forces_what_results_depend_on(bids, monkeypatch, tmp_path):
    monkeypatch.setenv("ANTS_RANDOM_SEED", "99")
    monkeypatch.setenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "16")
    monkeypatch.setenv("MPLBACKEND", "svg")
    config = parse_args(
        [str(bids), "out", "participant", "--nprocs", "2", "--omp-nthreads", "2",
         "--random-seed", "5"]
    )  # fmt: skip
    cli.prepare_work_dir(config)
    cli.prepare_environment(config)
    found = {name: os.environ[name] for name in VARIABLES}
    assert found["ANTS_RANDOM_SEED"] == "5"
    assert found["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == "2"
    assert (found["OPENBLAS_NUM_THREADS"], found["GOMP_SPINCOUNT"]) == ("2", "3000")
    assert (found["NO_ET"], found["NIPYPE_NO_ET"], found["MPLBACKEND"]) == ("1", "1", "svg")
    assert Path(found["TEMPLATEFLOW_HOME"]).parent == Path(found["MPLCONFIGDIR"]).parent
    assert Path(found["TEMPLATEFLOW_HOME"]).parent == tmp_path / "work"
    assert len(list(Path(found["TEMPLATEFLOW_HOME"]).iterdir())) == 1
    assert tempfile.gettempdir() == found["TMPDIR"] == str(tmp_path / "work" / "tmp")


def test_only_our_own_working_directory_is_emptied(bids, levels, capsys):
    assert run(bids) == 1
    left = Path("work/left_over")
    left.mkdir()
    Path("work/link").symlink_to(bids, target_is_directory=True)
    assert run(bids) == 1
    assert left.is_dir()
    assert run(bids, "--clean-workdir") == 1
    assert not left.exists()
    assert (bids / "sub-01").is_dir()
    assert run(bids, "--clean-workdir", "-w", "work/templateflow") == 2
    assert "MSMorph did not make" in capsys.readouterr().err
    assert run(bids, "--clean-workdir", "-w", "new") == 1
    Path("new/out").mkdir()
    assert cli.main([str(bids), "new/out", "group", "-w", "new", "--clean-workdir"]) == 2
    assert "would delete" in capsys.readouterr().err
    assert Path("new/out").is_dir()


@pytest.mark.parametrize(
    ("flags", "own", "nipype"),
    [([], "INFO", "WARNING"), (["-v"], "INFO", "INFO"), (["-vvv"], "DEBUG", "DEBUG")],
)
def test_log_levels_and_format(bids, levels, capsys, flags, own, nipype):
    config = parse_args([str(bids), "out", "participant", *flags])
    cli.configure_logging(config)
    assert logging.getLevelName(logging.getLogger("msmorph").level) == own
    assert logging.getLevelName(cli.nipype_level(config)) == nipype
    logging.getLogger("msmorph.query").info("hello")
    stamp, text = capsys.readouterr().err.split(" ", 1)
    assert text == "msmorph INFO: hello\n"
    assert len(stamp) == len("261121-10:54:21")


def fake_validator(tmp_path: Path, monkeypatch, code: int, text: str) -> None:
    program = tmp_path / "validator"
    (tmp_path / "answer").write_text(text)
    program.write_text(f"#!/bin/sh\ncat {tmp_path / 'answer'}\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setattr(validation, "find_validator", lambda: str(program))


ERRORS = (
    '{"issues": {"issues": ['
    '{"code": "NOT_INCLUDED", "location": "/sub-01/anat/x.nii.gz", "severity": "error"},'
    '{"code": "JSON_KEY", "subCode": "Name", "location": "/dataset_description.json"},'
    '{"code": "README", "severity": "warning"}]}}'
)


def test_validator_errors_stop_the_run(bids, levels, tmp_path, monkeypatch, capsys):
    fake_validator(tmp_path, monkeypatch, 16, ERRORS)
    assert cli.main([str(bids), "out", "participant"]) == 2
    shown = capsys.readouterr().err
    assert "finds 2 errors" in shown
    assert "NOT_INCLUDED (/sub-01/anat/x.nii.gz); JSON_KEY: Name" in shown
    assert "--skip-bids-validation" in shown
    assert run(bids) == 1
    assert cli.main([str(bids), "out", "group"]) == 0
    assert cli.main([str(bids), "out", "participant", "--reports-only"]) == 1


def test_errors_of_other_participants_do_not_count(tmp_path, monkeypatch):
    fake_validator(tmp_path, monkeypatch, 16, ERRORS)
    with pytest.raises(UsageError, match="finds 1 error in"):
        validation.validate_dataset(tmp_path, ["02"])


def test_one_damaged_file_does_not_stop_the_run(tmp_path, monkeypatch, caplog):
    answer = ERRORS.replace("NOT_INCLUDED", "EMPTY_FILE").replace("JSON_KEY", "JSON_INVALID")
    answer = answer.replace("/dataset_description.json", "/sub-02/anat/sub-02_T1w.json")
    fake_validator(tmp_path, monkeypatch, 16, answer)
    validation.validate_dataset(tmp_path)
    assert "EMPTY_FILE (/sub-01/anat/x.nii.gz)" in caplog.text
    assert "JSON_INVALID: Name (/sub-02/anat/sub-02_T1w.json)" in caplog.text
    root = answer.replace("/sub-02/anat/sub-02_T1w.json", "/T1w.json")
    fake_validator(tmp_path, monkeypatch, 16, root)
    with pytest.raises(UsageError, match="finds 1 error in"):
        validation.validate_dataset(tmp_path)


@pytest.mark.parametrize(("code", "text"), [(1, ""), (0, "what?"), (16, "[]"), (0, '{"a": 1}')])
def test_a_validator_that_fails_is_a_warning(tmp_path, monkeypatch, caplog, code, text):
    fake_validator(tmp_path, monkeypatch, code, text)
    validation.validate_dataset(tmp_path)
    assert "did not work" in caplog.text


def test_an_absent_validator_is_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(validation.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    validation.validate_dataset(tmp_path)
    assert "not installed" in caplog.text


@pytest.mark.skipif(validation.find_validator() is None, reason="no bids-validator-deno")
def test_the_real_validator(bids, caplog):
    (bids / "sub-01" / "anat" / "nonsense.txt").touch()
    with pytest.raises(UsageError, match=r"The BIDS validator finds 1 error .*nonsense.txt"):
        validation.validate_dataset(bids)


def test_the_module_runs_as_a_command(tmp_path):
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "bids_app.cli", str(tmp_path / "nowhere"), "out", "participant"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("msmorph: The BIDS folder")
