"""The simulated setting of the paper: its order, and few false alarms."""

import numpy as np
import pytest

from benchmarks import norms_power


@pytest.fixture(scope="module")
def shares():
    return norms_power.simulate(studies=60)


def test_less_error_between_scanners_finds_more_patients(shares):
    patients = [shares[method][:, 0].mean() for method in ("3D-CNN", "FastSurfer", "FSL")]
    assert patients == sorted(patients, reverse=True)
    assert 0.18 < patients[0] < 0.30
    assert patients[0] > 1.5 * patients[1]


def test_healthy_people_are_hardly_ever_found(shares):
    # More conservative than a one-sided test at 2.5 %
    assert all(shares[method][:, 1].mean() < 0.01 for method in norms_power.METHODS)


def test_without_atrophy_patients_are_found_as_seldom_as_healthy_people():
    shares = norms_power.simulate(studies=10, atrophy_ml=0.0)
    assert all(shares[method][:, 0].mean() < 0.03 for method in norms_power.METHODS)


def test_volumes_scatter_as_the_paper_says():
    rng = np.random.default_rng(0)
    n = 20_000
    group = norms_power.draw_group(rng, np.full(n, 40.0), np.arange(n), 0.0)
    for sd, inter_sd in norms_power.METHODS.values():
        flat = group.volume_ml(sd, inter_sd) - norms_power.TIV * group.tiv_ml
        assert np.std(flat) == pytest.approx(sd, rel=0.03)
