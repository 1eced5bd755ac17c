"""What the cord branches of a session leave behind."""

from __future__ import annotations

from pathlib import Path

from nipype.pipeline import engine as pe

from bids_app.dictionary import CORD_LESIONS, CORD_LEVELS, SLICES
from bids_app.discs import find_disc_labels
from bids_app.measure_files import cord_measures_file, cord_rows_file
from bids_app.sidecars import suffix_of
from interfaces.cord_figures import CordPicture
from interfaces.measures import SaveMeasures, SaveRows

METHOD = "deepseg"
#: desc- of a figure -> the view that CordPicture draws.
VIEWS = {"cordoverview": "sagittal", "cord": "axial"}


def connect_cord(outputs, name: str, image: Path) -> None:
    """Add the sinks, figures and measures of the cord on one image to a session (outputs.Outputs).

    ``name`` is that of ``session.cord_sources``; the image must be in ``outputs.files`` by it.
    """
    branch = outputs.workflow.get_node(f"cord_{name}_wf")
    discs = find_disc_labels(image, outputs.config.bids_dir, outputs.config.derivatives.values())
    if discs is not None:
        branch.get_node("inputnode").inputs.disc_labels = str(discs)
    _images(outputs, branch, name)
    _figures(outputs, branch, name, image)
    _measures(outputs, branch, name)


def _images(outputs, branch, name: str) -> None:
    space = suffix_of(outputs.files[name].name)
    cord, lesion = {"label": "SC", "desc": METHOD}, {"label": "L", "desc": METHOD}
    line = {"label": "SC", "desc": "centerline"}
    images = {
        "mask": ("mask", {"suffix": "mask", "Type": "ROI", **cord}),
        "probseg": ("probseg", {"suffix": "probseg", **cord}),
        "lesion_mask": ("lesion_mask", {"suffix": "mask", "Type": "Lesion", **lesion}),
        "centreline": ("centreline", {"suffix": "mask", "Type": "ROI", **line}),
    }
    for what, (field, entities) in images.items():
        sink = outputs.sink(
            f"ds_cord_{name}_{what}", name, branch, f"outputnode.{field}", image=True,
            optional=True, space=space, SpatialReference=outputs.uri(name),
            Sources=[outputs.uri(name)], **entities,
        )  # fmt: skip
        outputs.workflow.connect(branch, "outputnode.meta", sink, "meta_dict")
    outputs.sink(
        f"ds_cord_{name}_points", name, branch, "outputnode.points", optional=True,
        space=space, suffix="mask", **line,
    )  # fmt: skip


def _figures(outputs, branch, name: str, image: Path) -> None:
    for desc, view in VIEWS.items():
        picture = CordPicture(
            in_file=str(image), view=view, title=f"Spinal cord on {suffix_of(image.name)}"
        )
        figure = outputs.figure(picture, f"{desc}_{name}", name, desc, optional=True)
        outputs.workflow.connect([(branch, figure, [
            ("outputnode.mask", "cord"),
            ("outputnode.lesion_mask", "lesions"),
            ("outputnode.points", "points"),
        ])])  # fmt: skip


def _measures(outputs, branch, name: str) -> None:
    config, session = outputs.config, outputs.session
    columns = pe.Node(
        SaveMeasures(path=str(cord_measures_file(config, session, name))),
        name=f"save_cord_{name}", run_without_submitting=True,
    )  # fmt: skip
    outputs.workflow.connect(branch, "outputnode.measures", columns, "measures")
    tables = {SLICES: "rows", CORD_LESIONS: "lesion_rows", CORD_LEVELS: "level_rows"}
    for table, field in tables.items():
        path = cord_rows_file(config, session, table, name)
        rows = pe.Node(
            SaveRows(path=str(path)), name=f"save_{table}_{name}", run_without_submitting=True
        )
        outputs.workflow.connect(branch, f"outputnode.{field}", rows, "rows")
