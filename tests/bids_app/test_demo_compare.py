"""The demo's comparison passes what is close and fails what is not."""

import pytest

from bids_app.demo.compare import compare

TRUTH = {
    ("sub-01", "ses-01"): {"left": 7.0, "right": 7.2},
    ("sub-01", "ses-02"): {"left": 6.3, "right": 6.9},
}


def measured(changes):
    """The truth, with some values replaced."""
    copy = {key: dict(sides) for key, sides in TRUTH.items()}
    for (session, side), value in changes.items():
        copy["sub-01", session][side] = value
    return copy


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({("ses-01", "left"): 7.4}, True),
        ({("ses-01", "left"): 7.6}, False),
        ({("ses-02", "right"): 7.25}, False),
        ({("ses-02", "right"): None}, False),
    ],
)
def test_tolerance_and_sign(changes, good):
    lines, verdict = compare(TRUTH, measured(changes))
    assert verdict is good
    assert any("sub-01 ses-01" in line for line in lines)
