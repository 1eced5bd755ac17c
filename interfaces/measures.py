"""Keeps the measures of a finished branch on disk, whatever becomes of the other branches."""

from __future__ import annotations

import json
import os
from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    DynamicTraitedSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)


class _SaveMeasuresInputSpec(DynamicTraitedSpec):
    path = File(mandatory=True, desc="JSON file to write")
    measures = traits.Dict(desc="column name -> number, text or None")


class _SaveMeasuresOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="the JSON file")


class SaveMeasures(SimpleInterface):
    """Write measures as JSON: the dict ``measures``, and one input for each name in ``columns``.

    It runs every time: the file lies outside Nipype's cache.
    """

    input_spec = _SaveMeasuresInputSpec
    output_spec = _SaveMeasuresOutputSpec
    _always_run = True

    def __init__(self, columns: tuple[str, ...] = (), **inputs):
        super().__init__(**inputs)
        self._columns = tuple(columns)
        for column in self._columns:
            self.inputs.add_trait(column, traits.Any)
            if not isdefined(getattr(self.inputs, column)):
                self.inputs.trait_setq(**{column: None})

    def _run_interface(self, runtime):
        measures = dict(self.inputs.measures) if isdefined(self.inputs.measures) else {}
        measures |= {column: getattr(self.inputs, column) for column in self._columns}
        self._results["out_file"] = _write(self.inputs.path, measures)
        return runtime


class _SaveRowsInputSpec(BaseInterfaceInputSpec):
    path = File(mandatory=True, desc="JSON file to write")
    rows = traits.List(mandatory=True, desc="one dict a row: column name -> value or None")


class SaveRows(SimpleInterface):
    """Write the rows of a table as JSON; runs every time, as SaveMeasures."""

    input_spec = _SaveRowsInputSpec
    output_spec = _SaveMeasuresOutputSpec
    _always_run = True

    def _run_interface(self, runtime):
        self._results["out_file"] = _write(self.inputs.path, list(self.inputs.rows))
        return runtime


def _write(path, content) -> str:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(content), encoding="utf-8")
    os.replace(aside, path)
    return str(path)
