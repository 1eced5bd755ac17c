import nibabel as nib
import numpy as np
import torch
from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits
from nipype.interfaces.base.core import SimpleInterface
from nipype.pipeline import engine

from benchmarks.session_profile import image_seconds, results, run_again


class _Input(BaseInterfaceInputSpec):
    size = traits.Int(mandatory=True)
    unused = traits.Str()


class _Output(TraitedSpec):
    out = traits.Float()


class Product(SimpleInterface):
    """A step whose operations are known."""

    input_spec, output_spec = _Input, _Output

    def _run_interface(self, runtime):
        given = torch.ones(self.inputs.size, self.inputs.size)
        self._results["out"] = float((given @ given).sum())
        return runtime


def test_steps_are_found_and_their_operations_counted(tmp_path):
    workflow = engine.Workflow("w", base_dir=str(tmp_path))
    workflow.add_nodes([engine.Node(Product(size=30), name="lesions")])
    workflow.run()
    found = results(tmp_path)
    assert list(found) == ["lesions"]
    seconds, flops = run_again(found["lesions"])
    assert flops == 2 * 30**3
    assert 0 < seconds < 60


def test_images_are_read_and_written_and_links_are_not_counted_twice(tmp_path):
    for number in range(3):
        nib.Nifti1Image(np.zeros((4, 4, 4)), np.eye(4)).to_filename(tmp_path / f"{number}.nii.gz")
    (tmp_path / "again.nii.gz").symlink_to(tmp_path / "0.nii.gz")
    count, reading, writing = image_seconds(tmp_path)
    assert count == 3
    assert reading > 0
    assert writing > 0
    assert len(list(tmp_path.iterdir())) == 4
