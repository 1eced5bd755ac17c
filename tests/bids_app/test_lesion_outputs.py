"""What the lesion branch leaves: names, sidecars, figures, measures; nothing that is not there."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bids_app.sinks import OptionalSink
from bids_app.tables import read_tsv

BASE = "sub-01/ses-02/anat/sub-01_ses-02"
ONE_OF_EACH = {"t1w": "", "flair": "_run-2", "t2w": "_acq-x"}
NATIVE = (
    "_space-{space}_label-L_desc-{model}_mask.nii.gz",
    "_space-{space}_label-L_desc-{model}_probseg.nii.gz",
    "_space-{space}_seg-lesions_dseg.nii.gz",
    "_space-{space}_seg-{model}_dseg.nii.gz",
    "_space-{space}_seg-{model}_dseg.tsv",
)
UNCERTAINTY = "_space-{space}_label-L_desc-uncertainty_probseg.nii.gz"
ON_T1W = NATIVE[:2]


def names(patterns, entities, **words):
    return {BASE + entities + pattern.format(**words) for pattern in patterns}


@pytest.mark.parametrize("model", ["deepscan", "unet"])
def test_names_on_the_flair_and_the_t1w(sink_targets, model):
    targets = sink_targets(
        ONE_OF_EACH, "ds_lesions", tasks=["lesions"], lesion_model=model, lesion_filling=True
    )
    wanted = names(NATIVE, "_run-2", space="FLAIR", model=model)
    wanted |= names(ON_T1W, "", space="T1w", model=model)
    wanted.add(BASE + "_desc-filled_T1w.nii.gz")
    if model == "deepscan":
        wanted |= names([UNCERTAINTY], "_run-2", space="FLAIR")
    assert set(targets) == wanted
    assert len(targets) == len(wanted)


def test_names_without_flair_and_t1w(sink_targets):
    targets = sink_targets(
        {"t2w": "_acq-x"},
        "ds_lesions",
        tasks=["lesions"],
        lesion_filling=True,
        lesion_model="deepscan",
    )
    wanted = names((*NATIVE, UNCERTAINTY), "_acq-x", space="T2w", model="deepscan")
    assert set(targets) == wanted


def test_filling_is_written_only_when_asked_for(sink_targets):
    assert not any("filled" in name for name in sink_targets(ONE_OF_EACH, "ds_lesions"))


def lesion_nodes(workflow):
    names = {n.name: n for n in workflow._get_all_nodes()}
    return {name: node for name, node in names.items() if "lesion" in name and "cord" not in name}


@pytest.mark.parametrize(
    ("entities", "settings"),
    [({"t1w": ""}, {}), ({"t1w": "", "flair": ""}, {"tasks": ["thalamus"]})],
)
def test_no_branch_no_outputs(session_graph, entities, settings):
    assert not lesion_nodes(session_graph(entities, **settings))


def test_sidecars_say_where_it_comes_from(sink_targets, tmp_path):
    targets = sink_targets(
        ONE_OF_EACH, "ds_lesions", tasks=["lesions"], random_seed=7, lesion_filling=True,
        lesion_model="deepscan",
    )  # fmt: skip
    raw = "bids:raw:sub-01/ses-02/anat/sub-01_ses-02"
    images = [name for name in targets if name.endswith(".nii.gz")]
    assert len(images) == 8
    for name in images:
        sidecar = tmp_path / "out" / name.replace(".nii.gz", ".json")
        meta = json.loads(sidecar.read_text())
        sources = {f"{raw}_T1w.nii.gz", f"{raw}_run-2_FLAIR.nii.gz", f"{raw}_acq-x_T2w.nii.gz"}
        assert set(meta["Sources"]) == sources, name
        if "filled" not in name:
            own = "_T1w" if "T1w" in name else "_run-2_FLAIR"
            assert meta["SpatialReference"] == f"{raw}{own}.nii.gz", name
        assert meta["RandomSeed"] == 7, name
        assert (meta.get("Type") == "Lesion") == name.endswith("_mask.nii.gz"), name


def test_every_file_comes_from_its_own_map(session_graph):
    workflow = session_graph(
        ONE_OF_EACH, tasks=["lesions"], lesion_model="deepscan", lesion_filling=True
    )
    maps = {
        "mask": "mask", "probseg": "lesion_probseg", "uncertainty": "uncertainty_probseg",
        "instances": "instances", "dseg": "dseg", "t1w_mask": "t1w_mask",
        "t1w_probseg": "t1w_probseg", "filled": "filled",
    }  # fmt: skip
    branch = workflow.get_node("lesions_wf")
    for name, field in maps.items():
        sink = workflow.get_node(f"ds_lesions_{name}")
        edge = dict(workflow._graph.get_edge_data(branch, sink)["connect"])
        assert edge == {f"outputnode.{field}": "in_file", "outputnode.meta": "meta_dict"}
    rows, measures = (workflow.get_node(f"save_{n}") for n in ("lesion_rows", "lesions"))
    for node, field in ((rows, "rows"), (measures, "measures")):
        edge = dict(workflow._graph.get_edge_data(branch, node)["connect"])
        assert edge == {f"outputnode.{field}": field}
    assert rows.inputs.path != measures.inputs.path


@pytest.mark.parametrize("first", ["flair", "t2w"])
def test_figures_show_the_image_that_lesions_were_drawn_on(session_graph, first):
    workflow = session_graph({"t1w": "", first: ""}, tasks=["lesions"], lesion_model="deepscan")
    anatomical = workflow.get_node("anatomical_wf")
    for desc, field in (("lesions", "mask"), ("structures", "dseg")):
        figure = workflow.get_node(f"figure_{desc}_{first}")
        fed = dict(workflow._graph.get_edge_data(anatomical, figure)["connect"])
        assert fed[f"outputnode.{first}_preproc"] == "in_file"
        branch = workflow.get_node("lesions_wf")
        drawn = dict(workflow._graph.get_edge_data(branch, figure)["connect"])
        assert drawn == {f"outputnode.{field}": "mask_files"}
        assert ("zoom_mask" in fed.values()) == (desc == "lesions")


def test_the_report_explains_the_figures():
    from bids_app.reports import FIGURES

    for desc in ("lesions", "structures"):
        title, text = FIGURES[desc]
        assert "{suffix}" in title
        assert len(text) > 80


def test_figures_of_structures_outline_the_classes_they_name(session_graph):
    from networks.brain_classes import CLASSES

    workflow = session_graph({"flair": ""}, tasks=["lesions"])
    inputs = workflow.get_node("figure_structures_flair").inputs
    for label, value in zip(inputs.labels, inputs.values, strict=True):
        assert label.replace(" ", "_").removesuffix("ventricles") in CLASSES[value][0]


def test_the_label_table_names_the_networks_classes():
    from bids_app.outputs import TABLES
    from networks.brain_classes import CLASSES

    _, rows = read_tsv(TABLES / "brain_classes_dseg.tsv")
    assert [row["index"] for row in rows] == [str(n) for n in range(len(CLASSES))]
    assert [row["name"].lower().replace(" ", "_") for row in rows] == [n for n, _ in CLASSES]
    for column in ("abbreviation", "color"):
        assert len({row[column] for row in rows}) == len(rows)


def sink(tmp_path, **inputs):
    source = tmp_path / "bids" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    source.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_filename(source)
    return OptionalSink(
        base_directory=str(tmp_path / "out"), source_file=[str(source)], check_hdr=False,
        dismiss_entities=["datatype"], compress=[True], desc="filled", **inputs,
    ), source  # fmt: skip


def test_an_output_that_is_not_there_is_not_written(tmp_path):
    (tmp_path / "out").mkdir()
    node, _ = sink(tmp_path)
    node.run(cwd=str(tmp_path))
    assert not list((tmp_path / "out").rglob("*"))


def test_an_output_that_is_there_is_written_with_its_sidecar(tmp_path):
    node, source = sink(tmp_path, meta_dict={"Device": "cpu"})
    node.inputs.in_file = [str(source)]
    node.run(cwd=str(tmp_path))
    files = sorted(p.name for p in (tmp_path / "out" / "sub-01" / "anat").iterdir())
    assert files == ["sub-01_desc-filled_T1w.json", "sub-01_desc-filled_T1w.nii.gz"]
    path = tmp_path / "out" / "sub-01" / "anat" / files[0]
    assert json.loads(path.read_text())["Device"] == "cpu"


def _no_map(there):
    """A node's outputs, one of which may be missing."""
    from nipype.interfaces.base import Undefined

    return there or Undefined


@pytest.mark.parametrize("there", [True, False])
def test_in_a_workflow_the_missing_output_stops_nobody(tmp_path, there):
    from nipype.interfaces import utility as niu
    from nipype.pipeline import engine as pe

    interface, source = sink(tmp_path)
    workflow = pe.Workflow("optional", base_dir=str(tmp_path / "work"))
    maker = pe.Node(niu.Function(function=_no_map, output_names=["image"]), name="maker")
    maker.inputs.there = str(source) if there else ""
    workflow.connect(maker, "image", pe.Node(interface, name="sink"), "in_file")
    workflow.run()
    written = list(Path(tmp_path / "out").rglob("*_desc-filled_T1w.nii.gz"))
    assert len(written) == there
