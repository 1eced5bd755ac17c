"""The normative model: known coefficients, outliers, ranges, and who is below."""

from __future__ import annotations

import numpy as np
import pytest

from measures.norms import (
    AGREEMENT_SD,
    TERMS,
    Norm,
    find_outliers,
    fit_norm,
    is_reduced,
    rate,
)

TRUE = {
    "tiv_ml^2": -1.5e-6, "age_years^2": -6e-4, "tiv_ml*age_years": -2e-5, "tiv_ml": 1.1e-2,
    "age_years": 0.03, "constant": 1.4,
}  # fmt: skip


def people(n, sd_ml, seed=0, men_ml=0.0):
    """Volumes by the true model, with scatter, of people with age, TIV and sex."""
    rng = np.random.default_rng(seed)
    covariates = {
        "age_years": rng.uniform(20, 80, n),
        "tiv_ml": rng.normal(1450, 130, n),
        "male": rng.integers(0, 2, n).astype(float),
    }
    volume = sum(
        value * np.prod([covariates[name] for name in TERMS[term]], axis=0)
        for term, value in TRUE.items()
    )
    return volume + men_ml * covariates["male"] + rng.normal(0, sd_ml, n), covariates


def without_sex(covariates):
    return {name: values for name, values in covariates.items() if name != "male"}


def test_known_coefficients_and_scatter_are_recovered():
    volume, covariates = people(40_000, 0.9)
    norm, _ = fit_norm(volume, without_sex(covariates))
    assert set(norm.coefficients) == set(TRUE)
    age, tiv = np.meshgrid([25, 50, 75], [1250, 1450, 1700])
    there = {"age_years": age.ravel(), "tiv_ml": tiv.ravel()}
    truth = Norm(TRUE, 1.0, 1, 0).expected_ml(there)
    assert np.abs(norm.expected_ml(there) - truth).max() < 0.06
    # Cutting at 1.5 interquartile ranges (2.7 SD) takes 1.9 % from the SD of a normal scatter.
    assert norm.residual_sd_ml == pytest.approx(0.9 * 0.981, rel=0.01)
    assert norm.interval_ml == pytest.approx(
        (-1.96 * norm.residual_sd_ml, 1.96 * norm.residual_sd_ml)
    )


def test_without_scatter_the_coefficients_are_exact_to_the_noise():
    volume, covariates = people(200, 0.01)
    norm, _ = fit_norm(volume, without_sex(covariates))
    for name, value in TRUE.items():
        assert norm.coefficients[name] == pytest.approx(value, rel=0.15, abs=0.03), name


def test_outliers_do_not_move_the_second_fit():
    volume, covariates = people(300, 0.5, seed=2)
    clean, _ = fit_norm(volume, without_sex(covariates))
    spoilt = volume.copy()
    spoilt[:9] += 15
    norm, kept = fit_norm(spoilt, without_sex(covariates))
    assert not kept[:9].any()
    assert norm.controls == kept.sum()
    assert norm.outliers == 300 - kept.sum()
    at = {"age_years": 45.0, "tiv_ml": 1450.0}
    assert norm.expected_ml(at) == pytest.approx(clean.expected_ml(at), abs=0.05)
    assert norm.residual_sd_ml == pytest.approx(clean.residual_sd_ml, rel=0.05)


def test_outliers_lie_beyond_the_quartiles_by_one_and_a_half_ranges():
    residuals = np.array([0.0, 1, 2, 3, 4, 7.01, -3.01, 6.9])
    lower, upper = np.percentile(residuals, [25, 75])
    reach = 1.5 * (upper - lower)
    expected = (residuals < lower - reach) | (residuals > upper + reach)
    assert np.array_equal(find_outliers(residuals), expected)
    assert list(find_outliers(np.array([0.0, 1, 2, 3, 4, 20, -20]))) == [False] * 5 + [True] * 2


def test_ranges_are_of_those_in_the_final_fit():
    volume, covariates = people(300, 0.5)
    covariates["age_years"][0], volume[0] = 99.0, 60.0
    thickness = np.linspace(1, 3, 300)
    norm, kept = fit_norm(volume, without_sex(covariates), {"slice_thickness_mm": thickness})
    assert not kept[0]
    assert norm.ranges["age_years"][1] < 80
    assert norm.ranges["slice_thickness_mm"][1] == 3
    assert set(norm.ranges) == {"age_years", "tiv_ml", "slice_thickness_mm"}


def test_sex_is_a_term_for_men():
    volume, covariates = people(20_000, 0.5, men_ml=0.4)
    norm, _ = fit_norm(volume, covariates)
    assert norm.coefficients["male"] == pytest.approx(0.4, abs=0.03)
    assert norm.predictors == {"age_years", "tiv_ml", "male"}
    assert "male" not in norm.ranges


def test_without_head_size_age_is_left():
    volume, covariates = people(300, 0.5)
    norm, _ = fit_norm(volume, {"age_years": covariates["age_years"]})
    assert set(norm.coefficients) == {"age_years", "age_years^2", "constant"}
    assert norm.expected_ml({"age_years": 40.0}).shape == ()


@pytest.mark.parametrize(
    ("n", "force", "message"),
    [(29, False, "29 controls are too few: at least 30 it takes, unless forced"),
     (9, True, "9 controls are too few: at least 10"), (29, True, ""), (30, False, "")],
)  # fmt: skip
def test_few_controls_are_refused(n, force, message):
    volume, covariates = people(n, 0.5)
    if message:
        with pytest.raises(ValueError, match=message):
            fit_norm(volume, without_sex(covariates), force=force)
    else:
        norm, _ = fit_norm(volume, without_sex(covariates), force=force)
        assert norm.controls + norm.outliers == n


@pytest.mark.parametrize("same", ["age_years", "tiv_ml", "male"])
def test_what_does_not_vary_cannot_be_modelled(same):
    volume, covariates = people(100, 0.5)
    covariates[same] = np.full(100, 1.0 if same == "male" else 50.0)
    with pytest.raises(ValueError, match="vary too little"):
        fit_norm(volume, covariates)


def test_volumes_without_scatter_are_no_people():
    volume, covariates = people(100, 0.0)
    with pytest.raises(ValueError, match="do not scatter"):
        fit_norm(volume, without_sex(covariates))


NORM = Norm(
    {"age_years": -0.05, "tiv_ml": 0.01, "constant": 3.0}, 0.88, 500, 3,
    {"age_years": (20, 70), "tiv_ml": (1100, 1800), "slice_thickness_mm": (1, 3)},
)  # fmt: skip
PERSON = {"age_years": 40.0, "tiv_ml": 1500.0, "slice_thickness_mm": 3.05}


@pytest.mark.parametrize("beyond", [-0.01, 0.01])
def test_below_is_a_whole_interval_below_the_other(beyond):
    edge = -AGREEMENT_SD * (0.88 + 0.28)
    rating = rate(NORM, 16.0 + edge + beyond, PERSON, 0.28)
    assert rating.residual_ml == pytest.approx(edge + beyond)
    assert rating.z == pytest.approx((edge + beyond) / 0.88)
    assert rating.below == (beyond < 0)
    assert rating.reason == ""
    assert is_reduced(edge + beyond, 0.88, 0.28) == (beyond < 0)


def test_a_large_volume_is_never_below_and_an_unknown_error_gives_no_answer():
    assert rate(NORM, 30.0, PERSON, 0.28).below is False
    rating = rate(NORM, 5.0, PERSON, None)
    assert rating.below is None
    assert rating.z < -10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age_years": 71.0}, "the age of 71 years is outside the 20 to 70 years of the controls"),
        ({"age_years": 19.5}, "the age of 19.5 years"),
        ({"tiv_ml": 1801.0}, "the intracranial volume of 1801 mL"),
        ({"slice_thickness_mm": 5.0}, "the slice thickness of 5 mm"),
        ({"age_years": None}, "the age is not known"),
        ({"tiv_ml": float("nan")}, "the intracranial volume is not known"),
        ({"slice_thickness_mm": None}, "the slice thickness is not known"),
    ],
)
def test_outside_of_the_controls_there_is_no_answer(change, reason):
    rating = rate(NORM, 10.0, PERSON | change, 0.28)
    assert rating.reason.startswith(reason)
    assert (rating.residual_ml, rating.z, rating.below) == (None, None, None)


def test_sex_must_be_known_where_the_norm_needs_it():
    norm = Norm({**NORM.coefficients, "male": 0.5}, 0.88, 500, 0, NORM.ranges)
    assert rate(norm, 16.0, PERSON, 0.28).reason == "the sex (M or F) is not known"
    man, woman = (rate(norm, 16.0, PERSON | {"male": male}, 0.28) for male in (1.0, 0.0))
    assert woman.residual_ml - man.residual_ml == pytest.approx(0.5)
