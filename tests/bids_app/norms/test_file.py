"""A file of norms is used only where its numbers mean what this version's mean."""

from __future__ import annotations

import json
import logging

import pytest

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.norms.file import check_networks, read_norms
from measures.norms import fit_norm

CARDS = [
    {"name": "opfer-thalamus", "sha256": "aa"}, {"name": "deepgrai-stage1", "sha256": "bb"},
    {"name": "deepgrai-stage2", "sha256": "cc"},
]  # fmt: skip


def test_what_was_fitted_is_read_again(norms_path, cohort):
    import numpy as np

    rows = cohort.rows[:120]
    columns = {n: np.array([round(row[n], 4) for row in rows]) for n in
               ("thalamus_t1w_ml", "age", "tiv_ml")}  # fmt: skip
    fitted, _ = fit_norm(
        columns["thalamus_t1w_ml"], {"age_years": columns["age"], "tiv_ml": columns["tiv_ml"]}
    )
    norms = read_norms(norms_path)
    model = norms.models["thalamus_t1w_ml"]
    assert model.coefficients == pytest.approx(fitted.coefficients)
    assert model.residual_sd_ml == pytest.approx(fitted.residual_sd_ml)
    assert model.ranges == fitted.ranges
    ages, residuals = norms.clouds["thalamus_t1w_ml"]
    assert len(ages) == len(residuals) == fitted.controls
    assert norms.label == f"norms.json {norms.fingerprint}"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON"), ("[1]", "holds no norms"), ('{"a": 1}', "holds no norms"),
     ("\xff", "holds no norms|not valid JSON")],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "n.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=message) as caught:
        read_norms(path)
    assert str(path) in str(caught.value)
    with pytest.raises(UsageError, match="Cannot read the norms"):
        read_norms(tmp_path / "none.json")


def volume_of(content):
    return content["Volumes"]["thalamus_t1w_ml"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(Format=2), "format 2"),
        (lambda c: c.pop("Volumes"), "lack 'Volumes'"),
        (lambda c: c.update(Volumes={}), "Volumes names nothing"),
        (lambda c: c["Volumes"].update(brain_ml={}), "brain_ml"),
        (lambda c: volume_of(c).pop("ResidualSD_ml"), "lack 'ResidualSD_ml'"),
        (lambda c: volume_of(c).update(ResidualSD_ml=0), "must be above 0"),
        (lambda c: volume_of(c).update(ResidualSD_ml="1"), "'1' is no number"),
        (lambda c: volume_of(c)["Coefficients_ml"].update(age_years=float("nan")), "nan is no"),
        (lambda c: volume_of(c)["Coefficients_ml"].pop("age_years"), "has the terms"),
        (lambda c: volume_of(c)["Coefficients_ml"].update(height=1.0), "has the terms"),
        (lambda c: volume_of(c)["Ranges"].pop("tiv_ml"), "Ranges is of age_years"),
        (lambda c: volume_of(c)["Ranges"].update(age_years=[70, 20]), "no lowest and highest"),
        (lambda c: volume_of(c)["Cloud"]["age_years"].pop(), "not as many"),
        (lambda c: volume_of(c).update(Networks={"a": 1}), "hold texts"),
        (lambda c: volume_of(c).update(Definition=[]), "are damaged"),
        (lambda c: c.update(Volumes=[]), "are damaged"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(edited, change, message):
    path = edited(change)
    with pytest.raises(UsageError, match=message) as caught:
        read_norms(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("column", ["thalamus_t1w_ml", "tiv_ml"])
def test_another_definition_of_a_measure_is_refused(edited, column):
    def change(content):
        volume_of(content)["Definition"][column] = "as seen by eye"

    with pytest.raises(UsageError, match=f"of a {column} that this version"):
        read_norms(edited(change))


def test_the_same_networks_and_version_pass_without_a_word(norms_path, caplog):
    with caplog.at_level(logging.WARNING):
        check_networks(read_norms(norms_path), CARDS)
    assert not caplog.records


@pytest.mark.parametrize("name", ["opfer-thalamus", "deepgrai-stage2"])
def test_other_weights_are_refused(norms_path, name):
    cards = [card | ({"sha256": "zz"} if card["name"] == name else {}) for card in CARDS]
    with pytest.raises(UsageError, match=f"other weights of the network {name}"):
        check_networks(read_norms(norms_path), cards)


def test_unknown_weights_and_another_version_are_warned_of(edited, caplog):
    def change(content):
        volume_of(content)["Networks"] = None
        content["MeasuredByVersion"] = "0.0.9"

    with caplog.at_level(logging.WARNING):
        check_networks(read_norms(edited(change)), CARDS)
    assert "do not say which networks measured the controls' thalamus_t1w_ml" in caplog.text
    assert f"measured by MSMorph 0.0.9, and this is {__version__}" in caplog.text


def test_json_has_no_number_that_is_none(norms_path):
    json.loads(norms_path.read_text(), parse_constant=lambda name: pytest.fail(name))
