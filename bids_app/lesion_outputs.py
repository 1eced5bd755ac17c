"""What the lesion branch of a session leaves behind."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from bids_app.measure_files import lesion_rows_file
from bids_app.query import BRAIN
from interfaces.drawing import PALETTE
from interfaces.figures import MaskMosaic
from interfaces.measures import SaveRows
from networks.brain_classes import NUMBERS
from workflows.branch import lesion_contrast

SHOWN = ("lateral_ventricle", "thalamus", "cerebellum", "brain_stem")


def connect_lesions(outputs) -> None:
    """Add the sinks, the figures and the measures of lesions to a session (outputs.Outputs).

    The main grid is the FLAIR's, else the T2w's; where there is a T1w, lesions are given on its
    grid too, since most tools that take lesion masks want them there.
    """
    first = lesion_contrast(outputs.images)
    branch = outputs.workflow.get_node("lesions_wf")
    model = outputs.config.lesion_model
    _masks(outputs, branch, first, model)
    _label_images(outputs, branch, first, model)
    if "t1w" in outputs.images:
        _t1w(outputs, branch, model)
    _figures(outputs, branch, first)
    _measures(outputs, branch)


def _add(outputs, branch, name: str, contrast: str, field: str, **entities) -> None:
    """One image on a contrast's grid; nothing is written where the network has no such map."""
    sink = outputs.sink(
        f"ds_lesions_{name}", contrast, branch, f"outputnode.{field}", image=True, optional=True,
        Sources=[outputs.uri(c) for c in outputs.images],
        RandomSeed=outputs.config.random_seed, **entities,
    )  # fmt: skip
    outputs.workflow.connect(branch, "outputnode.meta", sink, "meta_dict")


def _add_map(outputs, branch, name: str, contrast: str, field: str, **entities) -> None:
    """A mask, a probability or labels: what is said to lie on a contrast's grid."""
    space = {"space": BRAIN[contrast], "SpatialReference": outputs.uri(contrast)}
    _add(outputs, branch, name, contrast, field, **space, **entities)


def _masks(outputs, branch, first: str, model: str) -> None:
    lesion = {"label": "L", "desc": model}
    _add_map(outputs, branch, "mask", first, "mask", suffix="mask", Type="Lesion", **lesion)
    _add_map(outputs, branch, "probseg", first, "lesion_probseg", suffix="probseg", **lesion)
    if model == "deepscan":
        _add_map(
            outputs, branch, "uncertainty", first, "uncertainty_probseg", suffix="probseg",
            label="L", desc="uncertainty",
        )  # fmt: skip


def _label_images(outputs, branch, first: str, model: str) -> None:
    _add_map(
        outputs, branch, "instances", first, "instances", suffix="dseg", segmentation="lesions"
    )
    _add_map(outputs, branch, "dseg", first, "dseg", suffix="dseg", segmentation=model)
    entities = {"space": BRAIN[first], "segmentation": model}
    outputs.label_table("lesions", first, (branch, "outputnode.dseg"), entities, "brain_classes")


def _t1w(outputs, branch, model: str) -> None:
    lesion = {"label": "L", "desc": model}
    _add_map(outputs, branch, "t1w_mask", "t1w", "t1w_mask", suffix="mask", Type="Lesion", **lesion)
    _add_map(outputs, branch, "t1w_probseg", "t1w", "t1w_probseg", suffix="probseg", **lesion)
    if outputs.config.lesion_filling:
        _add(outputs, branch, "filled", "t1w", "filled", desc="filled")


def _figures(outputs, branch, first: str) -> None:
    lesions = MaskMosaic(
        labels=["lesions"], colors=[PALETTE[3]], title=f"Lesions on {BRAIN[first]}", axial=15
    )
    structures = MaskMosaic(
        labels=[name.replace("_", " ") for name in SHOWN],
        values=[NUMBERS[name] for name in SHOWN],
        title=f"Some structures on {BRAIN[first]}", margin_mm=15.0, axial=10,
    )  # fmt: skip
    for desc, mosaic, field in (("lesions", lesions, "mask"), ("structures", structures, "dseg")):
        figure = outputs.figure(mosaic, f"{desc}_{first}", first, desc)
        outputs.workflow.connect([
            (branch, figure, [(f"outputnode.{field}", "mask_files")]),
            (outputs.anatomical, figure, [(f"outputnode.{first}_preproc", "in_file")]),
        ])  # fmt: skip
        if desc == "lesions":  # the whole brain, since missed lesions are to be seen too
            outputs.workflow.connect(
                outputs.anatomical, f"outputnode.{first}_mask", figure, "zoom_mask"
            )


def _measures(outputs, branch) -> None:
    path = lesion_rows_file(outputs.config, outputs.session)
    rows = pe.Node(SaveRows(path=str(path)), name="save_lesion_rows", run_without_submitting=True)
    outputs.workflow.connect([
        (branch, rows, [("outputnode.rows", "rows")]),
        (branch, outputs.save("lesions"), [("outputnode.measures", "measures")]),
    ])  # fmt: skip
