"""The committed pages are those the code makes."""

from pathlib import Path

import pytest

from bids_app.documentation import pages

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_page_is_current(name):
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == pages()[name], "run: python -m bids_app.documentation docs"
