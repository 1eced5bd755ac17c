"""What the cord's branches leave: names, sidecars, figures, measures."""

import json

import pytest

BASE = "sub-01/ses-02/anat/sub-01_ses-02"
FIGURES = "sub-01/figures/sub-01_ses-02"
IMAGES = (
    "_label-SC_desc-deepseg_mask.nii.gz", "_label-SC_desc-deepseg_probseg.nii.gz",
    "_label-L_desc-deepseg_mask.nii.gz", "_label-SC_desc-centerline_mask.nii.gz",
    "_label-SC_desc-centerline_mask.csv",
)  # fmt: skip
CORD = ["_acq-c_T2w", "_acq-c_T2starw"]


def test_names_of_two_images_do_not_collide(sink_targets):
    targets = sink_targets({"cord": CORD}, "ds_cord", tasks=["cord"])
    wanted = {f"{BASE}_acq-c_space-{s}{name}" for s in ("T2w", "T2starw") for name in IMAGES}
    assert set(targets) == wanted
    assert len(targets) == len(wanted)


def test_figures_of_each_image_are_in_the_report(sink_targets, tmp_path):
    from bids_app.query import SessionInputs
    from bids_app.reports import find_figures

    targets = sink_targets({"cord": CORD}, "ds_figure_cord", tasks=["cord"])
    assert set(targets) == {
        f"{FIGURES}_acq-c_desc-{desc}_{suffix}.svg"
        for desc in ("cord", "cordoverview") for suffix in ("T2w", "T2starw")
    }  # fmt: skip
    session = SessionInputs("01", "02", None, None, None, cord=(), notes=())
    titles = [figure["title"] for figure in find_figures(tmp_path / "out", session)]
    assert titles == [
        "Spinal cord on T2starw: course", "Spinal cord on T2w: course",
        "Spinal cord on T2starw: sections", "Spinal cord on T2w: sections",
    ]  # fmt: skip


def test_a_head_scan_stands_in_for_a_cord_image(sink_targets):
    targets = sink_targets({"t1w": "_run-1", "flair": ""}, "ds_cord", tasks=["cord"])
    assert set(targets) == {f"{BASE}_run-1_space-T1w{name}" for name in IMAGES}
    assert not sink_targets({"flair": ""}, "ds_cord", tasks=["cord"])
    assert not sink_targets({"t1w": "", "cord": CORD}, "ds_cord", tasks=["thalamus"])


def test_a_session_of_cord_images_has_no_brain(session_graph):
    names = {node.name for node in session_graph({"cord": CORD}, tasks=["cord"])._get_all_nodes()}
    assert not [name for name in names if "mni" in name or "brain" in name]
    assert {"save_cord_acqc_T2w", "save_slices_acqc_T2starw"} <= names


def test_sidecars_say_where_it_comes_from(sink_targets, tmp_path):
    targets = sink_targets({"cord": CORD[:1]}, "ds_cord", tasks=["cord"])
    raw = "bids:raw:sub-01/ses-02/anat/sub-01_ses-02_acq-c_T2w.nii.gz"
    for name in targets:
        if name.endswith(".nii.gz"):
            meta = json.loads((tmp_path / "out" / name.replace(".nii.gz", ".json")).read_text())
            assert (meta["SpatialReference"], meta["Sources"]) == (raw, [raw])
            kind = "Lesion" if "label-L" in name else "ROI"
            assert meta.get("Type") == (kind if name.endswith("_mask.nii.gz") else None)


def edge(workflow, source, target):
    found = workflow._graph.get_edge_data(workflow.get_node(source), workflow.get_node(target))
    return dict(found["connect"])


def test_every_file_comes_from_its_own_output(session_graph):
    workflow = session_graph({"cord": CORD}, tasks=["cord"])
    for image in ("acqc_T2w", "acqc_T2starw"):
        branch = f"cord_{image}_wf"
        for what in ("mask", "probseg", "lesion_mask", "centreline"):
            assert edge(workflow, branch, f"ds_cord_{image}_{what}") == {
                f"outputnode.{what}": "in_file", "outputnode.meta": "meta_dict",
            }  # fmt: skip
        assert edge(workflow, branch, f"ds_cord_{image}_points") == {"outputnode.points": "in_file"}
        measures = {
            "cord": "measures", "slices": "rows", "cordlesions": "lesion_rows",
            "cordlevels": "level_rows",
        }  # fmt: skip
        for name, field in measures.items():
            (target,) = edge(workflow, branch, f"save_{name}_{image}").values()
            assert edge(workflow, branch, f"save_{name}_{image}") == {f"outputnode.{field}": target}
    paths = [n.inputs.path for n in workflow._get_all_nodes() if n.name.startswith("save_")]
    assert len(set(paths)) == len(paths) == 8


@pytest.mark.parametrize("view", ["axial", "sagittal"])
def test_figures_show_the_raw_image_with_its_cord(session_graph, view):
    workflow = session_graph({"cord": CORD}, tasks=["cord"])
    name = {"axial": "cord", "sagittal": "cordoverview"}[view]
    figure = workflow.get_node(f"figure_{name}_acqc_T2starw")
    assert figure.inputs.view == view
    assert figure.inputs.in_file.endswith("_acq-c_T2starw.nii.gz")
    assert edge(workflow, "cord_acqc_T2starw_wf", figure.name) == {
        "outputnode.mask": "cord", "outputnode.lesion_mask": "lesions",
        "outputnode.points": "points",
    }  # fmt: skip


def test_disc_labels_of_derivatives_reach_their_image(session_graph, tmp_path):
    folder = tmp_path / "labels" / "sub-01" / "ses-02" / "anat"
    folder.mkdir(parents=True)
    discs = folder / "sub-01_ses-02_acq-c_T2w_label-discs_dlabel.nii.gz"
    discs.touch()
    derivatives = {"labels": tmp_path / "labels"}
    workflow = session_graph({"cord": CORD}, tasks=["cord"], derivatives=derivatives)
    from nipype.interfaces.base import isdefined

    own = workflow.get_node("cord_acqc_T2w_wf.inputnode").inputs.disc_labels
    assert own == str(discs)
    other = workflow.get_node("cord_acqc_T2starw_wf.inputnode").inputs.disc_labels
    assert not isdefined(other)
