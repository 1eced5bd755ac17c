"""What --tasks enhancement writes, asks for and says."""

import json
import subprocess
import sys

import pytest

from bids_app import boilerplate, dictionary, participant, reports
from bids_app.config import Config
from bids_app.measure_files import enhancement_rows_file, measures_folder
from bids_app.query import SessionInputs
from bids_app.tables import read_tsv

ALL = {"t1w": "_run-1", "flair": "_acq-3D", "t2w": ""}


def test_names_of_the_scores_and_the_figure(sink_targets):
    place = "sub-01/ses-02/anat/sub-01_ses-02_acq-3D_space-FLAIR_label-enhancing_desc-slicescore"
    assert sink_targets(ALL, "ds_enhancement", tasks=["enhancement"]) == [f"{place}_probseg.nii.gz"]
    assert sink_targets(ALL, "ds_figure_enhancement", tasks=["enhancement"]) == [
        "sub-01/figures/sub-01_ses-02_acq-3D_desc-enhancement_FLAIR.svg"
    ]


def test_lesions_come_with_enhancement(tmp_path):
    config = Config(tmp_path, tmp_path / "o", "participant", tasks=["enhancement"])
    assert config.tasks == ["enhancement", "lesions"]
    assert Config(tmp_path, tmp_path / "o", "participant").tasks == ["thalamus"]


def test_a_missing_contrast_writes_nothing_of_it(sink_targets):
    some = {"t1w": "", "flair": ""}
    assert sink_targets(some, "ds_enhancement", tasks=["enhancement"]) == []


@pytest.fixture
def written(tmp_path):
    """Tables and report of a session whose branch left a probability and two slices."""
    config = Config(
        tmp_path / "bids", tmp_path / "out", "participant", tasks=["enhancement"],
        work_dir=tmp_path / "work",
    )  # fmt: skip
    session = SessionInputs("01", None, None, None, None, (), ())
    columns = {"enhancing_probability": 0.4321, "qc_enhancement_flag": "ok"}
    rows = [{"slice": n, "position_mm": 3.0 * n, "enhancing_score": 0.1 * n,
             "above_threshold": n > 3} for n in (3, 4)]  # fmt: skip
    folder = measures_folder(config, session)
    folder.mkdir(parents=True)
    (folder / "enhancement.json").write_text(json.dumps(columns))
    path = enhancement_rows_file(config, session)
    path.parent.mkdir()
    path.write_text(json.dumps(rows))
    participant._write_tables(config, [session])
    reports.write_subject_report(config.output_dir, "01", [session], [], config)
    return config.output_dir


def test_the_tables_hold_probability_and_slices(written):
    anat = written / "sub-01" / "anat"
    _, (row,) = read_tsv(anat / "sub-01_morph.tsv")
    assert (row["enhancing_probability"], row["qc_enhancement_flag"]) == ("0.4321", "ok")
    names, rows = read_tsv(anat / "sub-01_desc-enhancement_morph.tsv")
    assert names == list(dictionary.columns("enhancement"))
    assert [r["above_threshold"] for r in rows] == ["false", "true"]
    assert [r["enhancing_score"] for r in rows] == ["0.3000", "0.4000"]
    for name, column in (("morph", "enhancing_probability"),
                         ("desc-enhancement_morph", "enhancing_score")):  # fmt: skip
        sidecar = json.loads((anat / f"sub-01_{name}.json").read_text())
        assert sidecar[column]["Description"].startswith("EXPERIMENTAL")


def test_the_report_sets_it_apart(written):
    page = (written / "sub-01.html").read_text()
    experimental = page.index("<strong>EXPERIMENTAL.</strong>")
    assert page.index("0.4321") > experimental
    assert page.count("0.4321") == 1
    assert "does\nnot replace a scan with contrast agent" in page


def test_a_report_without_it_does_not_speak_of_it(tmp_path):
    config = Config(tmp_path / "bids", tmp_path / "out", "participant")
    session = SessionInputs("01", None, None, None, None, (), ())
    participant._write_tables(config, [session])
    path = reports.write_subject_report(config.output_dir, "01", [session], [], config)
    assert "experimental" not in path.read_text().lower()


def test_the_methods_cite_the_paper(tmp_path):
    config = Config(tmp_path, tmp_path / "o", "participant", tasks=["enhancement"])
    text = boilerplate.to_markdown(boilerplate.methods(config))
    assert "Narayana et al., 2020" in text and "not calibrated" in text
    config.ignore = ["t2w"]
    assert "Narayana" not in boilerplate.to_markdown(boilerplate.methods(config))


def test_missing_weights_stop_the_run_with_one_sentence(skeleton, tmp_path):
    bids = skeleton(["sub-01_T1w", "sub-01_FLAIR", "sub-01_T2w"])
    command = [sys.executable, "-m", "bids_app.cli", str(bids), str(tmp_path / "out"),
               "participant", "--tasks", "enhancement", "--skip-bids-validation"]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 3, run.stderr
    assert "does not exist; give a folder that holds it with --model-dir" in run.stderr
    assert "Traceback" not in run.stderr
