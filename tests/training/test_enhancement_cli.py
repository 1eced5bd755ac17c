"""``msmorph-train enhancement`` on a simulated cohort: a planted signal is found, and no other."""

import csv
import json

import numpy as np
import pytest

from networks.enhancement import ARCHITECTURE, score_slices
from networks.weights import load_network
from training import cli
from training.enhancement_crossval import KINDS, cross_validate
from training.enhancement_fit import Recipe
from training.enhancement_results import mean_spread
from training.enhancement_simulation import simulate_cohort

SMALL = ARCHITECTURE | {"width": 1 / 8, "hidden": 32, "dropout": 0.2, "scores": 8}


def areas(signal, epochs, subjects=40):
    """Mean area under the curve over five folds, by kind."""
    scans = simulate_cohort(subjects, signal, np.random.default_rng(1))
    recipe = Recipe(SMALL, epochs=epochs, fine_epochs=1, rate=3e-3, participant_rate=1e-2)
    runs = cross_validate(scans, recipe, seed=1)
    tested = [scan.name for run in runs for scan in run.scans]
    assert sorted(tested) == sorted(scan.name for scan in scans)
    return {k: mean_spread([run.predictions[k].auc for run in runs])[0] for k in KINDS}


@pytest.mark.slow
def test_a_strong_signal_is_found():
    found = areas(signal=4.0, epochs=5)
    assert min(found.values()) > 0.9, found


@pytest.mark.slow
def test_without_a_signal_there_is_nothing_to_find():
    """0.5 within two standard errors of the area (0.08 for 32 of 80 participants)."""
    found = areas(signal=0.0, epochs=2)
    assert all(0.36 < value < 0.64 for value in found.values()), found


@pytest.mark.slow
def test_the_command_writes_tables_figure_and_weights(tmp_path, capsys):
    words = ["enhancement", "--simulate", "14", "--folds", "2", "--output", str(tmp_path / "run"),
             "--width", "0.04", "--hidden", "8", "--epochs", "1", "--fine-epochs", "1",
             "--participant-epochs", "1"]  # fmt: skip
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "Slice-wise prediction" in out and "Average*" in out and "AUC, participant-wise" in out
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {"table2.txt", "roc.png", "scores.tsv", "enhancement.safetensors",
                     "enhancement.json"}  # fmt: skip
    assert "simulated cohort" in (tmp_path / "run/table2.txt").read_text()
    with (tmp_path / "run/scores.tsv").open() as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t") if r["kind"] == "participant"]
    assert len(rows) == 28
    network, card = load_network("enhancement", tmp_path / "run")
    assert set(card["thresholds"]) == set(KINDS)
    assert "no use for patients" in card["limits"]
    assert str(tmp_path) not in json.dumps(card)
    size = card["input"]["shape"][0]
    assert len(score_slices(np.zeros((2, 3, size, size)), network)) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "x"], "or --simulate"),
        (["--simulate", "9", "--data", "x"], "goes without"),
        (["--data", "x", "--labels", "y", "--lesions", "z", "--implant", "9"], "--implant needs"),
        (["--simulate", "9", "--pretrained", "vgg.pth"], "needs --width 1"),
    ],
)
def test_options_that_do_not_fit_are_said(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit):
        cli.main(["enhancement", "--output", str(tmp_path), *words])
    assert message in capsys.readouterr().err


def test_a_cohort_too_small_is_one_sentence(tmp_path, capsys):
    assert cli.main(["enhancement", "--simulate", "2", "--output", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("msmorph-train enhancement: 5-fold cross-validation needs 5 subjects")
