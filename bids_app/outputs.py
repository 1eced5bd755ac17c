"""What a session leaves behind: sinks for images, transforms and figures, and its measures."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from bids_app.config import Config
from bids_app.cord_outputs import connect_cord
from bids_app.enhancement_outputs import connect_enhancement
from bids_app.failures import workflow_name
from bids_app.lesion_outputs import connect_lesions
from bids_app.measure_files import measures_folder
from bids_app.query import BRAIN, SessionInputs
from bids_app.sinks import DerivativesDataSink, OptionalSink
from interfaces.drawing import PALETTE
from interfaces.figures import MaskMosaic, RegistrationMosaic
from interfaces.measures import SaveMeasures
from workflows.session import init_session_wf

TABLES = Path(__file__).with_name("data")
SEGMENTATIONS = {"flair": "deepgrai", "t1w": "opfer"}  # contrast -> seg- entity


def init_single_session_wf(config: Config, session: SessionInputs, cards: list[dict]):
    """The workflow of one session with everything it writes.

    ``cards`` are the model cards of the tasks' networks; their hashes enter the nodes' hashes.
    """
    images = {c: getattr(session, c) for c in BRAIN if getattr(session, c) is not None}
    cord = {name: path for name, path in session.cord_sources.items() if path in session.cord}
    workflow = init_session_wf(
        contrasts=tuple(images),
        cord=tuple(cord),
        tasks=tuple(config.tasks),
        weights_sha256={card["name"]: card["sha256"] for card in cards},
        model_dir=str(config.model_dir) if config.model_dir else None,
        device=config.device,
        skull_strip=config.skull_strip,
        lesion_model=config.lesion_model,
        lesion_filling=config.lesion_filling,
        omp_nthreads=config.omp_nthreads,
        random_seed=config.random_seed,
        name=workflow_name(session.subject, session.session),
    )
    inputs = workflow.get_node("inputnode").inputs
    for field, path in [*images.items(), *((f"cord_{name}", path) for name, path in cord.items())]:
        setattr(inputs, field, str(path))
    Outputs(workflow, config, session, images).connect_all()
    return workflow


def _describe_image(method: str, note: str) -> dict:
    """Sidecar of a preprocessed image (runs in a Nipype node, hence on its own)."""
    meta = {"SkullStripped": method == "given"}
    return meta | ({"HeaderNote": note} if note else {})


def _label_table(lut: str, dseg: str) -> str:
    """The table ``lut``, once there is the image ``dseg``: alone it would be no valid BIDS.

    An identity node would not wait: Nipype dissolves those before it runs.
    """
    return lut


class Outputs:
    """Adds sinks to a session's workflow."""

    def __init__(self, workflow, config, session, images):
        self.workflow, self.config, self.session, self.images = workflow, config, session, images
        self.files = images | session.cord_sources  # what outputs are named after
        self.anatomical = workflow.get_node("anatomical_wf")
        branches = {c: workflow.get_node(f"thalamus_{c}_wf") for c in SEGMENTATIONS}
        self.thalamus = {c: branch for c, branch in branches.items() if branch is not None}
        self.reference = next(iter(images), None)

    def connect_all(self) -> None:
        if self.images:
            self._connect_brain()
        if "cord" in self.config.tasks:
            for name, path in self.session.cord_sources.items():
                connect_cord(self, name, path)

    def _connect_brain(self) -> None:
        for contrast in self.images:
            self._image(contrast)
            self._brain_mask(contrast)
            if contrast != self.reference:
                self._coregistration(contrast)
        self._template()
        self._measures()
        for contrast in self.thalamus:
            self._segmentation(contrast)
        if "flair" in self.thalamus:
            self._flair_figure()
        if "t1w" in self.thalamus:
            self._t1w_figures()
        if self.workflow.get_node("lesions_wf") is not None:
            connect_lesions(self)
        if self.workflow.get_node("enhancement_wf") is not None:
            connect_enhancement(self)

    def uri(self, contrast: str) -> str:
        """BIDS URI of the raw image of a contrast, or of the cord."""
        return f"bids:raw:{self.files[contrast].relative_to(self.config.bids_dir).as_posix()}"

    def sink(
        self, name: str, contrast: str, source, field: str, *, image: bool = False,
        optional: bool = False, **entities,
    ) -> pe.Node:  # fmt: skip
        """A sink node for ``source``'s output ``field``, named after the raw image.

        An ``image`` is written as .nii.gz, whatever it was in the work folder; an ``optional``
        one is not missed where there is none.
        """
        if image:
            entities["compress"] = [True]
        sink = pe.Node(
            (OptionalSink if optional else DerivativesDataSink)(
                base_directory=str(self.config.output_dir),
                source_file=[str(self.files[contrast])],
                check_hdr=False,
                dismiss_entities=["datatype"],
                **entities,
            ),
            name=name,
            run_without_submitting=True,
        )
        self.workflow.connect(source, field, sink, "in_file")
        return sink

    def _image(self, contrast: str) -> None:
        meta = pe.Node(
            niu.Function(function=_describe_image, output_names=["meta"]),
            name=f"{contrast}_meta",
            run_without_submitting=True,
        )
        sink = self.sink(
            f"ds_{contrast}_preproc", contrast, self.anatomical, f"outputnode.{contrast}_preproc",
            image=True, desc="preproc", Sources=[self.uri(contrast)],
        )  # fmt: skip
        self.workflow.connect([
            (self.anatomical, meta, [
                (f"outputnode.{contrast}_mask_method", "method"),
                (f"outputnode.{contrast}_note", "note"),
            ]),
            (meta, sink, [("meta", "meta_dict")]),
        ])  # fmt: skip

    def _brain_mask(self, contrast: str) -> None:
        self.sink(
            f"ds_{contrast}_mask", contrast, self.anatomical, f"outputnode.{contrast}_mask",
            image=True, space=BRAIN[contrast], desc="brain", suffix="mask", Type="Brain",
            SpatialReference=self.uri(contrast), Sources=[self.uri(contrast)],
        )  # fmt: skip
        figure = self.figure(
            MaskMosaic(labels=["brain mask"], title=f"Brain mask on {BRAIN[contrast]}", axial=8),
            f"{contrast}_brainmask", contrast, "brainmask",
        )  # fmt: skip
        self.workflow.connect([(self.anatomical, figure, [
            (f"outputnode.{contrast}_preproc", "in_file"),
            (f"outputnode.{contrast}_mask", "mask_files"),
        ])])  # fmt: skip

    def figure(
        self, interface, name: str, contrast: str, desc: str, *, optional: bool = False
    ) -> pe.Node:
        figure = pe.Node(interface, name=f"figure_{name}", mem_gb=0.5)
        self.sink(
            f"ds_figure_{name}", contrast, figure, "out_report", optional=optional, desc=desc,
            datatype="figures",
        ).inputs.dismiss_entities = []  # fmt: skip
        return figure

    def _registration(self, kind: str, *contrasts: str) -> dict:
        """Sidecar of a transform."""
        return {
            "TransformType": kind,
            "Sources": [self.uri(contrast) for contrast in contrasts],
            "RandomSeed": self.config.random_seed,
        }

    def _coregistration(self, contrast: str) -> None:
        ends = {"from": BRAIN[contrast], "to": BRAIN[self.reference], "mode": "image"}
        for field, desc in (("itk", {}), ("flirt", {"desc": "flirt"})):
            self.sink(
                f"ds_{contrast}_xfm_{field}", contrast, self.anatomical,
                f"outputnode.{contrast}_to_ref_{field}", suffix="xfm", **ends, **desc,
                **self._registration("rigid", contrast, self.reference),
            )  # fmt: skip
        figure = self.figure(
            RegistrationMosaic(
                title=f"{BRAIN[contrast]} on {BRAIN[self.reference]}",
                fixed_label=BRAIN[self.reference], moving_label=BRAIN[contrast],
            ),
            f"{contrast}_coreg", contrast, "coreg",
        )  # fmt: skip
        self.workflow.connect([(self.anatomical, figure, [
            (f"outputnode.{self.reference}_preproc", "fixed"),
            (f"outputnode.{contrast}_on_ref", "moving"),
            (f"outputnode.{self.reference}_mask", "contour_mask"),
        ])])  # fmt: skip

    def _template(self) -> None:
        ends = {"from": BRAIN[self.reference], "to": "MNI152NLin2009aSym", "mode": "image"}
        self.sink(
            "ds_mni_xfm", self.reference, self.anatomical, "outputnode.ref_to_mni_itk",
            suffix="xfm", **ends, **self._registration("affine", self.reference),
        )  # fmt: skip
        figure = self.figure(
            RegistrationMosaic(
                title=f"{BRAIN[self.reference]} on MNI152NLin2009aSym (affine)",
                fixed_label="MNI152", moving_label=BRAIN[self.reference],
            ),
            "mni", self.reference, "mni",
        )  # fmt: skip
        self.workflow.connect([(self.anatomical, figure, [
            ("outputnode.mni_template", "fixed"),
            ("outputnode.mni_template", "contour_mask"),
            ("outputnode.ref_on_mni", "moving"),
        ])])  # fmt: skip

    def _measures(self) -> None:
        """One file for each group of measures that stands or falls together."""
        groups = {
            "brain": {
                "brain_mask_ml": f"{self.reference}_mask_volume_ml",
                "qc_brain_mask_flag": f"{self.reference}_mask_flag",
            },
            "mni": {"qc_mni_flag": "ref_to_mni_flag"},
        }
        if "flair" in self.images:
            groups["flair"] = {"qc_flair_slice_thickness_mm": "flair_slice_thickness_mm"}
            if self.reference != "flair":
                groups["coreg"] = {
                    "qc_flair_coreg_correlation": "flair_coreg_correlation",
                    "qc_flair_coreg_flag": "flair_coreg_flag",
                }
        for name, columns in groups.items():
            save = self.save(name, tuple(columns))
            self.workflow.connect([(self.anatomical, save, [
                (f"outputnode.{field}", column) for column, field in columns.items()
            ])])  # fmt: skip

    def save(self, name: str, columns: tuple[str, ...] = ()) -> pe.Node:
        path = measures_folder(self.config, self.session) / f"{name}.json"
        return pe.Node(
            SaveMeasures(columns, path=str(path)), name=f"save_{name}", run_without_submitting=True
        )

    def _segmentation(self, contrast: str) -> None:
        """Labels, their table, the probability of thalamus and the measures of one branch."""
        branch, name = self.thalamus[contrast], f"thalamus_{contrast}"
        origin = {
            "SpatialReference": self.uri(contrast),
            "Sources": [self.uri(contrast)],
            "RandomSeed": self.config.random_seed,
        }
        common = {"space": BRAIN[contrast], "segmentation": SEGMENTATIONS[contrast]}
        outputs = {
            "probseg": ("thalamus_probseg", {"label": "thalamus"}),
            "dseg": ("dseg", {}),
        }
        for suffix, (field, entities) in outputs.items():
            sink = self.sink(
                f"ds_{name}_{suffix}", contrast, branch, f"outputnode.{field}",
                image=True, suffix=suffix, **common, **entities, **origin,
            )  # fmt: skip
            self.workflow.connect(branch, "outputnode.meta", sink, "meta_dict")
        dseg = (branch, "outputnode.dseg")
        self.label_table(name, contrast, dseg, common, common["segmentation"])
        self.workflow.connect(branch, "outputnode.measures", self.save(name), "measures")

    def label_table(self, name: str, contrast: str, dseg: tuple, entities: dict, lut: str) -> None:
        """Write ``data/LUT_dseg.tsv`` beside a label image; ``dseg`` is its node and field."""
        table = pe.Node(
            niu.Function(function=_label_table, output_names=["lut"]),
            name=f"{name}_lut",
            run_without_submitting=True,
        )
        table.inputs.lut = str(TABLES / f"{lut}_dseg.tsv")
        self.workflow.connect(*dseg, table, "dseg")
        self.sink(f"ds_{name}_lut", contrast, table, "lut", suffix="dseg", **entities)

    def _flair_figure(self) -> None:
        self._label_figure(
            MaskMosaic(
                labels=["left thalamus", "right thalamus"], values=[1, 2],
                title="Thalamus on FLAIR (DeepGRAI)", margin_mm=25.0, axial=10,
            ),
            "flair", "thalamus",
        )  # fmt: skip

    def _t1w_figures(self) -> None:
        names = ["left thalamus", "right thalamus", "other deep grey matter"]
        self._label_figure(
            MaskMosaic(
                labels=names, values=[1, 2, 3],
                title="Thalamus and deep grey matter on T1w (Opfer's 3D-CNN)",
                margin_mm=20.0, axial=10,
            ),
            "t1w", "deepgray",
        )  # fmt: skip
        self._label_figure(
            MaskMosaic(
                labels=["intracranial space"], colors=[PALETTE[3]],
                title="Intracranial space on T1w (Opfer's 3D-CNN)", margin_mm=15.0, axial=8,
            ),
            "t1w", "intracranial",
        )  # fmt: skip

    def _label_figure(self, mosaic: MaskMosaic, contrast: str, desc: str) -> None:
        """Outlines of a branch's labels on its image."""
        figure = self.figure(mosaic, f"{desc}_{contrast}", contrast, desc)
        self.workflow.connect([
            (self.thalamus[contrast], figure, [("outputnode.dseg", "mask_files")]),
            (self.anatomical, figure, [(f"outputnode.{contrast}_preproc", "in_file")]),
        ])  # fmt: skip
