"""What the enhancement branch of a session leaves behind, all marked as experimental."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from bids_app.measure_files import enhancement_rows_file
from bids_app.query import BRAIN
from interfaces.drawing import PALETTE
from interfaces.enhancement import CALLED, UNCALLED
from interfaces.figures import OptionalMosaic
from interfaces.measures import SaveRows


def connect_enhancement(outputs) -> None:
    """Add the sinks, the figure and the measures to a session (outputs.Outputs)."""
    branch = outputs.workflow.get_node("enhancement_wf")
    sink = outputs.sink(
        "ds_enhancement_scores", "flair", branch, "outputnode.scores", image=True, optional=True,
        space=BRAIN["flair"], label="enhancing", desc="slicescore", suffix="probseg",
        SpatialReference=outputs.uri("flair"), Sources=[outputs.uri(c) for c in outputs.images],
    )  # fmt: skip
    outputs.workflow.connect(branch, "outputnode.meta", sink, "meta_dict")
    path = enhancement_rows_file(outputs.config, outputs.session)
    rows = pe.Node(
        SaveRows(path=str(path)), name="save_enhancement_rows", run_without_submitting=True
    )
    picture = OptionalMosaic(
        labels=["slice score below the operating point", "slice score above it"],
        values=[UNCALLED, CALLED], colors=[PALETTE[0], PALETTE[3]], axial=15,
        title="EXPERIMENTAL: where the enhancement network looked, on FLAIR",
    )  # fmt: skip
    figure = outputs.figure(picture, "enhancement_flair", "flair", "enhancement", optional=True)
    outputs.workflow.connect([
        (branch, rows, [("outputnode.rows", "rows")]),
        (branch, outputs.save("enhancement"), [("outputnode.measures", "measures")]),
        (branch, figure, [("outputnode.called", "mask_files")]),
        (outputs.anatomical, figure, [
            ("outputnode.flair_preproc", "in_file"), ("outputnode.flair_mask", "zoom_mask"),
        ]),
    ])  # fmt: skip
