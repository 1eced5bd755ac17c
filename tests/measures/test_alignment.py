import numpy as np
import pytest

from measures import alignment


def test_correlation_ratio_sees_any_dependence_and_only_that():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (20, 20, 20))
    mask = np.ones(x.shape, bool)
    assert alignment.correlation_ratio(x, x**2, mask) > 0.98
    assert alignment.correlation_ratio(x, rng.normal(size=x.shape), mask) < 0.15
    assert alignment.correlation_ratio(x, np.ones(x.shape), mask) == 0
    assert np.isnan(alignment.correlation_ratio(x, x, np.zeros(x.shape, bool)))


def test_dice_in_the_common_view():
    a, b = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    a[:2], b[1:3] = True, True
    assert alignment.dice(a, b) == pytest.approx(0.5)
    view = np.zeros_like(a)
    view[1] = True
    assert alignment.dice(a, b, view) == 1
    assert np.isnan(alignment.dice(a & False, b & False))


def test_flags():
    assert alignment.coregistration_flag(0.6, 0.97) == "ok"
    assert "Dice 0.70" in alignment.coregistration_flag(0.6, 0.7)
    assert "0.10" in alignment.coregistration_flag(0.1, 0.97)
    assert alignment.coregistration_flag(float("nan"), 0.97) != "ok"
    assert alignment.coregistration_flag(0.6, float("nan")) != "ok"
    assert alignment.template_flag(0.95) == "ok" and alignment.template_flag(0.5) != "ok"
