"""What is imported before the workers are made, and when."""

from __future__ import annotations

import sys

import pytest

from bids_app import cli, preload
from bids_app.parser import parse_args
from bids_app.query import collect_sessions


@pytest.mark.parametrize(
    ("names", "options", "needed"),
    [
        (["sub-01_T1w"], [], True),
        (["sub-01_T1w"], ["--dry-run"], False),
        (["sub-01_T1w"], ["--reports-only"], False),
        (["sub-01_T1w"], ["--boilerplate-only"], False),
        (["sub-01_acq-cspine_T2w"], [], False),
    ],
)
def test_libraries_are_imported_only_for_nodes(skeleton, tmp_path, names, options, needed):
    bids, out = skeleton(names), tmp_path / "out"
    out.mkdir()
    config = parse_args([str(bids), str(out), "participant", *options])
    assert cli.needs_libraries(config, collect_sessions(config)) is needed


def test_libraries_are_there():
    preload.import_libraries()
    if sys.platform == "linux":
        assert set(preload.LIBRARIES) <= set(sys.modules)
