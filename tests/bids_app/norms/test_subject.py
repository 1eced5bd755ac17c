"""``--norms``: a session's columns, its picture, and why there are none."""

from __future__ import annotations

import json

import pytest

from bids_app import boilerplate, participant, reports
from bids_app.config import Config
from bids_app.dictionary import columns
from bids_app.errors import UsageError
from bids_app.measure_files import measures_folder
from bids_app.norms import INTER_SCANNER_SD_ML, NETWORKS, TIV_NETWORKS, VOLUMES
from bids_app.norms.demographics import read_person
from bids_app.norms.file import read_norms
from bids_app.norms.subject import figure_path
from bids_app.parser import parse_args
from bids_app.query import SessionInputs
from bids_app.tables import read_morph_row, write_tsv

MEASURES = {
    "thalamus_t1w_ml": 14.5, "thalamus_t1w_left_ml": 7.2, "thalamus_flair_ml": 15.5,
    "tiv_ml": 1450.0, "qc_flair_slice_thickness_mm": 1.0,
}  # fmt: skip


def session(label="1"):
    return SessionInputs("01", label, t1w=None, flair=None, t2w=None, cord=(), notes=())


def dataset(root, age="40", sex="F", session_age=None):
    """A dataset's tables, with the ages that it gives."""
    (root / "sub-01").mkdir(parents=True, exist_ok=True)
    names = ["participant_id", "age", "sex"]
    write_tsv(root / "participants.tsv", names, [{"participant_id": "sub-01", "age": age,
                                                  "sex": sex}])  # fmt: skip
    if session_age:
        rows = [{"session_id": "ses-1", "age": session_age}]
        write_tsv(root / "sub-01" / "sub-01_sessions.tsv", ["session_id", "age"], rows)
    return root


@pytest.fixture
def config(tmp_path, norms_path):
    return Config(
        bids_dir=dataset(tmp_path / "bids"), output_dir=tmp_path / "out",
        analysis_level="participant", work_dir=tmp_path / "work", norms=norms_path,
    )  # fmt: skip


def row_of(config, **changes):
    """Write the tables of a session with these measures; return its row."""
    folder = measures_folder(config, session())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.json").write_text(json.dumps(MEASURES | changes))
    participant._write_tables(config, [session()])
    return read_morph_row(participant._table_path(config, session(), "morph"))


def test_an_ordinary_person_is_compared_with_the_controls(config):
    row = row_of(config)
    assert row["qc_norms_flag"] == "ok"
    assert row["qc_norms_file"] == read_norms(config.norms).label
    model = read_norms(config.norms).models["thalamus_t1w_ml"]
    expected = 14.5 - model.expected_ml({"age_years": 40.0, "tiv_ml": 1450.0})
    assert row["thalamus_t1w_norm_residual_ml"] == pytest.approx(float(expected), abs=1e-4)
    assert row["thalamus_t1w_norm_z"] == pytest.approx(expected / model.residual_sd_ml, abs=1e-3)
    assert row["thalamus_t1w_norm_below"] == row["thalamus_flair_norm_below"] == "no"
    # No norm of the right side in the file, and no known error between scanners of the left.
    assert row["thalamus_t1w_right_norm_z"] is None
    assert row["thalamus_t1w_left_norm_z"] is not None
    assert row["thalamus_t1w_left_norm_below"] is None


def test_a_small_thalamus_is_below_by_the_error_that_is_assumed(config):
    sd = read_norms(config.norms).models["thalamus_t1w_ml"].residual_sd_ml
    residual = row_of(config)["thalamus_t1w_norm_residual_ml"]
    volume = 14.5 - residual - 1.96 * (sd + INTER_SCANNER_SD_ML["thalamus_t1w_ml"]) - 0.01
    assert row_of(config, thalamus_t1w_ml=volume)["thalamus_t1w_norm_below"] == "yes"
    config.inter_scanner_sd = {"thalamus_t1w_ml": 0.28, "thalamus_t1w_left_ml": 0.1}
    row = row_of(config, thalamus_t1w_ml=volume)
    assert (row["thalamus_t1w_norm_below"], row["thalamus_t1w_left_norm_below"]) == ("no", "no")


@pytest.mark.parametrize(
    ("age", "session_age", "used"),
    [("40", None, 40.0), ("40", "43.5", 43.5), ("40", "n/a", 40.0), ("n/a", "43.5", 43.5),
     ("89+", None, None), ("n/a", None, None)],
)  # fmt: skip
def test_the_age_is_that_at_the_session_where_it_is_known(tmp_path, age, session_age, used):
    root = dataset(tmp_path / "bids", age, session_age=session_age)
    assert read_person(root, session()).age_years == used


@pytest.mark.parametrize(
    ("sex", "male"),
    [("F", False), ("female", False), ("M", True), ("MALE", True), ("O", None), ("n/a", None)],
)
def test_sex_is_as_bids_spells_it(tmp_path, sex, male):
    assert read_person(dataset(tmp_path / "bids", sex=sex), session(None)).male is male


@pytest.mark.parametrize(
    ("age", "changes", "flag"),
    [
        ("n/a", {}, "thalamus_t1w_ml, thalamus_t1w_left_ml, thalamus_flair_ml: the age is not"),
        ("95", {}, "the age of 95 years is outside the 20 to 70 years of the controls"),
        ("40", {"tiv_ml": None}, "thalamus_flair_ml: the intracranial volume is not known"),
        ("40", {"tiv_ml": 2100.0}, "the intracranial volume of 2100 mL is outside"),
        ("40", dict.fromkeys(VOLUMES), "no volume that the norms are of was measured"),
    ],
)
def test_without_an_answer_there_is_the_reason(config, age, changes, flag):
    dataset(config.bids_dir, age)
    row = row_of(config, **changes)
    assert flag in row["qc_norms_flag"]
    assert {row[name] for name in columns() if "_norm_" in name} == {None}
    assert not figure_path(config, session()).exists()
    page = reports.write_subject_report(config.output_dir, "01", [session()], [], config)
    assert flag in page.read_text()


def test_thick_slices_stop_the_flair_alone(config):
    row = row_of(config, qc_flair_slice_thickness_mm=5.0)
    assert row["qc_norms_flag"].startswith("thalamus_flair_ml: the slice thickness of 5 mm")
    assert row["thalamus_flair_norm_z"] is None
    assert row["thalamus_t1w_norm_z"] is not None


def test_months_and_broken_tables_are_reasons_too(config):
    (config.bids_dir / "participants.json").write_text('{"age": {"Units": "months"}}')
    assert "has age in months" in row_of(config)["qc_norms_flag"]
    (config.bids_dir / "participants.tsv").write_text("")
    row = row_of(config)
    assert "participants.tsv is empty" in row["qc_norms_flag"]
    assert row["thalamus_t1w_ml"] == 14.5


def test_without_norms_nothing_is_said(config):
    config.norms = None
    row = row_of(config)
    assert {row[name] for name in columns() if "norm" in name} == {None}
    assert not figure_path(config, session()).exists()
    page = reports.write_subject_report(config.output_dir, "01", [session()], [], config)
    assert "norm" not in page.read_text().lower()


def test_the_report_shows_numbers_picture_and_method(config):
    row_of(config)
    figure = figure_path(config, session())
    first = figure.read_bytes()
    row_of(config)
    assert figure.read_bytes() == first
    assert b"sub-" not in first
    text = reports.write_subject_report(
        config.output_dir, "01", [session()], [], config
    ).read_text()
    assert f'src="./sub-01/figures/{figure.name}"' in text
    assert "Thalamus, T1w, z-score" in text
    assert "Right thalamus, T1w, z-score" in text.split("Not measured (n/a)")[1]
    assert "Comparison with norms" in text
    assert "0.165 mL for thalamus_t1w_ml" in text


def test_a_rerun_takes_the_old_picture_away(config):
    row_of(config)
    assert figure_path(config, session()).is_file()
    assert figure_path(config, session()) in participant._table_files(config, session())


def test_other_weights_stop_the_run_before_it_starts(config, monkeypatch):
    cards = [{"name": "opfer-thalamus", "sha256": "other"}]
    monkeypatch.setattr(participant, "model_cards", lambda config: cards)
    with pytest.raises(UsageError, match="other weights of the network opfer-thalamus"):
        participant.run_participant(config, [session()])
    assert not config.output_dir.exists()


def test_methods_name_the_users_own_error(config):
    config.inter_scanner_sd = {"thalamus_t1w_ml": 0.3}
    text = boilerplate.to_markdown(boilerplate.methods(config))
    assert "as given by the user): " in text
    assert "0.3 mL for thalamus_t1w_ml, 0.667 mL for thalamus_flair_ml" in text
    assert "(Opfer et al., 2023)" in text.split("Comparison with norms")[1]


def parse(bids, *options):
    return parse_args([str(bids), str(bids.parent / "out"), "participant", *options])


def test_the_command_line_carries_norms_and_errors(skeleton, norms_path, tmp_path):
    bids = skeleton(["sub-01_T1w"])
    options = ["--norms", str(norms_path), "--inter-scanner-sd", "thalamus_t1w_ml=0.28",
               "thalamus_flair_ml=1e-1"]  # fmt: skip
    config = parse(bids, *options)
    assert config.norms == norms_path
    assert config.inter_scanner_sd == {"thalamus_t1w_ml": 0.28, "thalamus_flair_ml": 0.1}
    config.write_toml(tmp_path / "c.toml")
    assert Config.read_toml(tmp_path / "c.toml") == config
    again = parse(bids, "--config-file", str(tmp_path / "c.toml"))
    assert (again.norms, again.inter_scanner_sd) == (config.norms, config.inter_scanner_sd)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--norms", "none.json"], "Cannot read the norms"),
        (["--inter-scanner-sd", "thalamus_t1w_ml=0.2"], "needs --norms"),
        (["--inter-scanner-sd", "brain_ml=0.2"], "not of the form COLUMN=ML"),
        (["--inter-scanner-sd", "thalamus_t1w_ml"], "not of the form COLUMN=ML"),
        (["--inter-scanner-sd", "thalamus_t1w_ml=-1"], "not of the form COLUMN=ML"),
        (["--norms", "{norms}", "--tasks", "lesions"], "add thalamus to --tasks"),
    ],
)
def test_wrong_usage_is_refused(skeleton, norms_path, options, message):
    bids = skeleton(["sub-01_T1w"])
    with pytest.raises(UsageError, match=message):
        parse(bids, *(option.format(norms=norms_path) for option in options))


def test_names_agree_with_those_of_columns_and_networks():
    from networks import deepgrai, opfer

    assert NETWORKS == {"t1w": (opfer.NAME,), "flair": deepgrai.STAGES}
    assert TIV_NETWORKS == (opfer.NAME,)
    assert set(INTER_SCANNER_SD_ML) <= set(VOLUMES) <= set(columns())
    ends = ("residual_ml", "z", "below")
    assert {f"{start}_{end}" for start in VOLUMES.values() for end in ends} == {
        name for name in columns() if "_norm_" in name
    }
