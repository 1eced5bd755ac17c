"""Derivatives' names: no two outputs of a session collide, and they are what DESIGN says."""

import pytest


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
def test_no_two_outputs_collide(sink_targets, entities):
    targets = sink_targets(entities, lesion_filling=True)
    assert len(set(targets)) == len(targets)
    for contrast, extra in entities.items():
        name = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w"}[contrast]
        expected = f"sub-01/ses-02/anat/sub-01_ses-02{extra}_desc-preproc_{name}.nii.gz"
        assert expected in targets


def test_names_are_those_of_the_design(sink_targets):
    targets = sink_targets({"t1w": "", "flair": "_run-2"})
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


def test_a_label_table_waits_for_its_image(session_graph):
    import networkx as nx
    from nipype.pipeline.engine.utils import generate_expanded_graph

    workflow = session_graph({"t1w": "", "flair": ""})
    graph = generate_expanded_graph(workflow._create_flat_graph())
    for table, network in (
        ("thalamus_flair", "deepgrai"), ("thalamus_t1w", "opfer"), ("lesions", "lesions")
    ):  # fmt: skip
        sink = next(n for n in graph if n.name == f"ds_{table}_lut")
        assert network in {n.name for n in nx.ancestors(graph, sink)}


def test_label_tables_have_the_colours_of_the_figures():
    from bids_app.outputs import SEGMENTATIONS, TABLES
    from bids_app.tables import read_tsv
    from interfaces.drawing import PALETTE

    for name, count in zip(SEGMENTATIONS.values(), (2, 4), strict=True):
        _, rows = read_tsv(TABLES / f"{name}_dseg.tsv")
        assert [row["index"] for row in rows] == [str(n) for n in range(count + 1)]
        assert [row["color"] for row in rows[1:]] == list(PALETTE[:count])
