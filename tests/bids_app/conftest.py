"""Small BIDS datasets: of empty files for command line and query, of one session for outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

CARDS = [
    {"name": name, "sha256": name[0]}
    for name in (
        "deepgrai-stage1",
        "deepgrai-stage2",
        "opfer-thalamus",
        "deepscan",
        "lesion-unet",
        "cord-detector",
        "cord",
        "cord-lesions",
        "enhancement",
    )
]
Skeleton = Callable[[Iterable[str]], Path]


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The demo dataset, made once for all tests."""
    from bids_app.demo import main

    target = tmp_path_factory.mktemp("demo") / "bids"
    assert main([str(target)]) == 0
    return target


@pytest.fixture(scope="session")
def demo_flair(demo: Path) -> Path:
    """A FLAIR of the demo, the smallest image that runs through all steps."""
    return demo / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01_FLAIR.nii.gz"


@pytest.fixture
def skeleton(tmp_path: Path) -> Skeleton:
    """Return a function that makes a dataset from file stems such as ``sub-01_ses-1_T1w``."""

    def make(stems: Iterable[str]) -> Path:
        root = tmp_path / "bids"
        root.mkdir(exist_ok=True)
        description = {"Name": "test", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
        (root / "dataset_description.json").write_text(json.dumps(description))
        for stem in stems:
            folders = [part for part in stem.split("_") if part.startswith(("sub-", "ses-"))]
            folder = root.joinpath(*folders, "anat")
            folder.mkdir(parents=True, exist_ok=True)
            name = stem if "." in stem else f"{stem}.nii.gz"
            (folder / name).touch()
        return root

    return make


def _session_with(root: Path, entities: dict[str, str]):
    """A session whose images carry these entities (contrast -> ``_acq-x_run-1`` ...).

    Those of cord images are a list of names under ``cord`` (``_acq-cspine_T2w``).
    """
    import nibabel as nib
    import numpy as np

    from bids_app.query import BRAIN, SessionInputs

    folder = root / "sub-01" / "ses-02" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    paths = dict.fromkeys(BRAIN)
    entities = dict(entities)
    cord = tuple(folder / f"sub-01_ses-02{name}.nii.gz" for name in entities.pop("cord", ()))
    for contrast, extra in entities.items():
        paths[contrast] = folder / f"sub-01_ses-02{extra}_{BRAIN[contrast]}.nii.gz"
    for path in (*cord, *filter(None, paths.values())):
        if path.exists():  # a second graph of the same images: gzip files hold the time
            continue
        nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(path)
    return SessionInputs("01", "02", **paths, cord=cord, notes=())


@pytest.fixture
def session_graph(tmp_path: Path):
    """Return a function that makes a session's workflow with everything it writes.

    It takes the images' entities by contrast and settings of Config.
    """
    from bids_app.config import ALL_TASKS, Config
    from bids_app.outputs import init_single_session_wf

    def make(entities: dict[str, str], **settings):
        settings.setdefault("tasks", list(ALL_TASKS))
        config = Config(
            tmp_path / "bids", tmp_path / "out", "participant", work_dir=tmp_path / "work",
            **settings,
        )  # fmt: skip
        return init_single_session_wf(config, _session_with(config.bids_dir, entities), CARDS)

    return make


@pytest.fixture
def sink_targets(tmp_path: Path, session_graph):
    """Return a function that runs a session's sinks on dummy files: the paths written in OUT.

    ``only`` is the start of the names of the sinks to run.
    """
    import nibabel as nib
    import numpy as np

    from bids_app.sinks import DerivativesDataSink

    image = tmp_path / "dummy.nii.gz"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(image)
    kinds = {"xfm_itk": ".txt", "xfm_flirt": ".mat", "mni_xfm": ".txt", "figure": ".svg",
             "_lut": ".tsv", "_points": ".csv"}  # fmt: skip

    def run(entities: dict[str, str], only: str = "", **settings) -> list[str]:
        written = []
        for node in session_graph(entities, **settings)._get_all_nodes():
            named = node.name.startswith(only)
            if not isinstance(node.interface, DerivativesDataSink) or not named:
                continue
            kind = next((v for k, v in kinds.items() if k in node.name), ".nii.gz")
            source = tmp_path / f"dummy{kind}"
            if source != image:
                source.write_text("x\n")
            node.inputs.in_file = str(source)
            node.base_dir = str(tmp_path / "run")
            written.append(node.run().outputs.out_file)
        return [str(Path(p).relative_to(tmp_path / "out")) for p in written]

    return run
