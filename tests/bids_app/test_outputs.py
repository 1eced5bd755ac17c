"""Derivatives' names: no two outputs of a session collide, and they are what DESIGN says."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.config import Config
from bids_app.query import SessionInputs

CARDS = [
    {"name": "deepgrai-stage1", "sha256": "a"},
    {"name": "deepgrai-stage2", "sha256": "b"},
    {"name": "opfer-thalamus", "sha256": "c"},
]


def session_with(tmp_path: Path, entities: dict[str, str]) -> SessionInputs:
    """A session whose images carry these entities (contrast -> ``_acq-x_run-1`` ...)."""
    folder = tmp_path / "bids" / "sub-01" / "ses-02" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for contrast, name in (("t1w", "T1w"), ("flair", "FLAIR"), ("t2w", "T2w")):
        extra = entities.get(contrast)
        if extra is None:
            paths[contrast] = None
            continue
        paths[contrast] = folder / f"sub-01_ses-02{extra}_{name}.nii.gz"
        nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(paths[contrast])
    return SessionInputs("01", "02", **paths, cord=(), notes=())


def session_workflow(tmp_path: Path, session: SessionInputs):
    """The workflow of a session with everything it writes."""
    from bids_app.outputs import init_single_session_wf

    config = Config(
        bids_dir=tmp_path / "bids", output_dir=tmp_path / "out", analysis_level="participant",
        work_dir=tmp_path / "work",
    )  # fmt: skip
    return init_single_session_wf(config, session, CARDS)


def sink_targets(tmp_path: Path, session: SessionInputs) -> list[str]:
    """Run every sink of the session on a dummy file; the paths written, relative to OUT."""
    from bids_app.sinks import DerivativesDataSink

    workflow = session_workflow(tmp_path, session)
    image = tmp_path / "dummy.nii.gz"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(image)
    written = []
    for node in workflow._get_all_nodes():
        if not isinstance(node.interface, DerivativesDataSink):
            continue
        kinds = {"xfm_itk": ".txt", "xfm_flirt": ".mat", "mni_xfm": ".txt", "figure": ".svg"}
        kind = next((v for k, v in kinds.items() if k in node.name), ".nii.gz")
        source = image if kind == ".nii.gz" else tmp_path / f"dummy{kind}"
        if node.name.endswith("_lut"):
            source = tmp_path / "dummy.tsv"
        if source != image:
            source.write_text("x\n")
        node.inputs.in_file = str(source)
        node.base_dir = str(tmp_path / "run")
        written.append(node.run().outputs.out_file)
    return [str(Path(p).relative_to(tmp_path / "out")) for p in written]


@pytest.mark.slow
@pytest.mark.parametrize(
    "entities",
    [
        {"t1w": "", "flair": "", "t2w": ""},
        {"t1w": "_acq-a_run-1", "flair": "_acq-a_run-1", "t2w": "_acq-a_run-1"},
        {"t1w": "_rec-x", "flair": "_acq-2d_rec-x_run-02", "t2w": "_run-3"},
        {"flair": "", "t2w": "_acq-flair"},
        {"t2w": "_run-1"},
    ],
)
def test_no_two_outputs_collide(tmp_path, entities):
    targets = sink_targets(tmp_path, session_with(tmp_path, entities))
    assert len(set(targets)) == len(targets)
    for contrast, extra in entities.items():
        name = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w"}[contrast]
        expected = f"sub-01/ses-02/anat/sub-01_ses-02{extra}_desc-preproc_{name}.nii.gz"
        assert expected in targets


def test_names_are_those_of_the_design(tmp_path):
    targets = sink_targets(tmp_path, session_with(tmp_path, {"t1w": "", "flair": "_run-2"}))
    base = "sub-01/ses-02/anat/sub-01_ses-02"
    for name in (
        "_space-T1w_desc-brain_mask.nii.gz",
        "_run-2_space-FLAIR_desc-brain_mask.nii.gz",
        "_run-2_from-FLAIR_to-T1w_mode-image_xfm.txt",
        "_run-2_from-FLAIR_to-T1w_mode-image_desc-flirt_xfm.mat",
        "_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.txt",
        "_run-2_space-FLAIR_seg-deepgrai_dseg.nii.gz",
        "_run-2_space-FLAIR_seg-deepgrai_dseg.tsv",
        "_run-2_space-FLAIR_seg-deepgrai_label-thalamus_probseg.nii.gz",
        "_space-T1w_seg-opfer_dseg.nii.gz",
        "_space-T1w_seg-opfer_dseg.tsv",
        "_space-T1w_seg-opfer_label-thalamus_probseg.nii.gz",
    ):
        assert base + name in targets
    for name in ("_run-2_desc-thalamus_FLAIR", "_desc-deepgray_T1w", "_desc-intracranial_T1w"):
        assert f"sub-01/figures/sub-01_ses-02{name}.svg" in targets


def test_a_label_table_waits_for_its_image(tmp_path):
    import networkx as nx
    from nipype.pipeline.engine.utils import generate_expanded_graph

    workflow = session_workflow(tmp_path, session_with(tmp_path, {"t1w": "", "flair": ""}))
    graph = generate_expanded_graph(workflow._create_flat_graph())
    for contrast, network in (("flair", "deepgrai"), ("t1w", "opfer")):
        sink = next(n for n in graph if n.name == f"ds_thalamus_{contrast}_lut")
        assert network in {n.name for n in nx.ancestors(graph, sink)}


def test_label_tables_have_the_colours_of_the_figures():
    from bids_app.outputs import SEGMENTATIONS, TABLES
    from bids_app.tables import read_tsv
    from interfaces.drawing import PALETTE

    for name, count in zip(SEGMENTATIONS.values(), (2, 4), strict=True):
        _, rows = read_tsv(TABLES / f"{name}_dseg.tsv")
        assert [row["index"] for row in rows] == [str(n) for n in range(count + 1)]
        assert [row["color"] for row in rows[1:]] == list(PALETTE[:count])
