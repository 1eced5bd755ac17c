"""What a branch measured is on disk, also where nothing was computed anew."""

import json
from pathlib import Path

import pytest
from nipype.pipeline import engine as pe

from interfaces.measures import SaveMeasures, SaveRows

ROWS = [{"lesion_id": 1, "lesion_mm3": 12.5, "region": None}, {"lesion_id": 2, "region": "x"}]


@pytest.mark.parametrize("rows", [ROWS, []])
def test_rows_are_kept_as_they_are(tmp_path, rows):
    path = tmp_path / "of" / "a" / "session" / "lesions.json"
    written = SaveRows(path=str(path), rows=rows).run(cwd=str(tmp_path)).outputs.out_file
    assert Path(written) == path
    assert json.loads(path.read_text()) == rows
    assert [p.name for p in path.parent.iterdir()] == ["lesions.json"]


def test_rows_must_be_given(tmp_path):
    with pytest.raises(ValueError, match="rows"):
        SaveRows(path=str(tmp_path / "a.json")).run()


def test_measures_and_columns_go_together(tmp_path):
    path = tmp_path / "brain.json"
    save = SaveMeasures(("a", "b"), path=str(path), measures={"c": 1.5})
    save.inputs.a = 2
    save.run(cwd=str(tmp_path))
    assert json.loads(path.read_text()) == {"c": 1.5, "a": 2, "b": None}


@pytest.mark.parametrize(
    "interface", [SaveRows(rows=ROWS, path="x"), SaveMeasures(measures={"a": 1}, path="x")]
)
def test_a_rerun_writes_the_file_again(tmp_path, interface):
    """The tables of an earlier run are deleted, but Nipype's cache stays."""
    path = tmp_path / "measures" / "lesions.json"
    for _ in range(2):
        node = pe.Node(interface, name="save", base_dir=str(tmp_path / "work"))
        node.inputs.path = str(path)
        node.run()
        assert path.is_file()
        path.unlink()
