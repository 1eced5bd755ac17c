"""File names of the derivatives, and the sink that writes them.

The pattern table ``data/patterns.json`` is the one home of every file name. niworkflows' own table
drops ``seg-`` and ``label-`` from dseg names, so that outputs overwrite each other; ours does not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from pathlib import Path

from nipype.interfaces.base import File, InputMultiObject, isdefined
from niworkflows.interfaces.bids import DerivativesDataSink as _DerivativesDataSink

_TABLE = json.loads(Path(__file__).with_name("data").joinpath("patterns.json").read_text())


class DerivativesDataSink(_DerivativesDataSink):
    """niworkflows' sink with our names, writing aside first and renaming.

    A run killed while it writes leaves no half-written file under a final name.
    """

    out_path_base = ""
    _config_entities_dict = [*_DerivativesDataSink._config_entities_dict, *_TABLE["entities"]]
    _config_entities = frozenset(entity["name"] for entity in _config_entities_dict)
    _file_patterns = tuple(_TABLE["patterns"])
    _default_dtypes: defaultdict = defaultdict(lambda: None)  # the interfaces choose the types

    def _run_interface(self, runtime):
        final = Path(self.inputs.base_directory).absolute()
        staged = Path(runtime.cwd) / "staged"
        shutil.rmtree(staged, ignore_errors=True)
        self.inputs.base_directory = str(staged)
        try:
            runtime = super()._run_interface(runtime)
        finally:
            self.inputs.base_directory = str(final)
        for field in ("out_file", "out_meta"):
            written = self._results.get(field)
            if written is not None and isdefined(written):
                paths = [written] if isinstance(written, str) else written
                moved = [str(_move_into_place(Path(p), staged, final)) for p in paths]
                self._results[field] = moved[0] if isinstance(written, str) else moved
        shutil.rmtree(staged, ignore_errors=True)
        return runtime


class _OptionalSinkInputSpec(_DerivativesDataSink.input_spec):
    in_file = InputMultiObject(File(exists=True), desc="what to write, if there is any")


class OptionalSink(DerivativesDataSink):
    """The same for an output that a node does not always have: without one nothing is written."""

    input_spec = _OptionalSinkInputSpec

    def _run_interface(self, runtime):
        return super()._run_interface(runtime) if isdefined(self.inputs.in_file) else runtime


def _move_into_place(path: Path, staged: Path, final: Path) -> Path:
    """Copy a staged file beside its final name (other file system, perhaps) and rename it."""
    target = final / path.relative_to(staged)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.partial")
    shutil.copyfile(path, aside)
    os.replace(aside, target)
    return target
