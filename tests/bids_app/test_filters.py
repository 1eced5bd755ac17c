"""Whatever a filter file holds, it is used or refused in one sentence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bids_app.errors import UsageError
from bids_app.filters import load_filters


def refused(path) -> str:
    with pytest.raises(UsageError) as error:
        load_filters(path)
    text = str(error.value)
    assert str(path) in text and text.endswith(".") and "\n" not in text
    return text


@pytest.mark.parametrize(
    "value",
    ["../../etc/passwd", "/etc/passwd", "..", "a\\b", "a\0b", ["hi", "../x"], "\udcff", "a\nb"],
)
def test_paths_are_no_labels(tmp_path, value):
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"t1w": {"session": value}}))
    assert "'session' of 't1w'" in refused(path)


@pytest.mark.parametrize("name", ["scope", "return_type", "regex_search", "target"])
def test_settings_of_the_query_are_no_entities(tmp_path, name):
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"flair": {name: "x"}}))
    assert "is no entity" in refused(path)


def test_deeply_nested_json_is_refused(tmp_path):
    path = tmp_path / "filter.json"
    path.write_text("[" * 100_000)
    assert "not valid JSON" in refused(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["t1w", "flair", "t2w", "cord"]) | st.text(max_size=5)
ENTITIES = st.sampled_from(["session", "run", "acquisition", "scope", "subject"]) | st.text(
    max_size=5
)
SHAPED = st.dictionaries(NAMES, st.dictionaries(ENTITIES, VALUES, max_size=3), max_size=3)


@settings(
    max_examples=300, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(content=st.binary(max_size=60) | (SHAPED | VALUES).map(lambda v: json.dumps(v).encode()))
def test_any_content_is_used_or_refused(tmp_path, content):
    path = tmp_path / "filter.json"
    path.write_bytes(content)
    try:
        filters = load_filters(path)
    except UsageError as error:
        assert str(path) in str(error)
    else:
        assert set(filters) <= {"t1w", "flair", "t2w", "cord"}
        text = json.dumps(filters)
        assert "/" not in text and ".." not in text
