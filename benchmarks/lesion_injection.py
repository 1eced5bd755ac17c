"""Lesions that bidsgate puts into a real T1w and FLAIR, and how many of them MSMorph finds.

    python benchmarks/lesion_injection.py inject BIDS GATE --participant openmsc07 --draws 6
    msmorph GATE OUT participant --tasks lesions
    python benchmarks/lesion_injection.py score GATE OUT SCORES [--own-lesions MASK]
        [--structures LABELS]

bidsgate (`pip install 'msmorph[benchmarks]'`, or elsewhere and named with --bidsgate before inject
or score) needs T1w and FLAIR on one grid. It draws by the image's name: draw 1 keeps the
participant's label and so has the lesions that anybody gets; further draws are copies under labels
of their own.

To bidsgate, every voxel that is none of its lesions is wrong. A person with MS has others, so the
score is given a second time without what lies on them by a rater's mask (--own-lesions).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

from measures.structures import DEEP_GRAY_MATTER, WHITE_MATTER, labels_of

LEAST_FOUND, LEAST_DICE = 10 / 12, 0.75
#: As bidsgate's own margin: what lies nearer to a lesion is no false positive.
MARGIN_MM = 2.0
TISSUES = {
    "white matter": WHITE_MATTER,
    "cortex": labels_of("cortex"),
    "deep grey matter": labels_of(*DEEP_GRAY_MATTER),
    "cerebellum": labels_of("cerebellum"),
    "brain stem": labels_of("brain_stem", "ventral_diencephalon"),
}
HEADER = f"{'participant':20} found  half covered   Dice  volume ratio  false components (mm3)"


def copy_person(bids: Path, target: Path, label: str, draws: int) -> None:
    """Copy T1w and FLAIR of a person without sessions, once a draw, with the sidecars.

    Nothing else is copied: bidsgate would also inject into an enhanced T1w, and a T2w would lack
    the lesions. Raises FileNotFoundError where one of the two is absent.
    """
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bids / "dataset_description.json", target / "dataset_description.json")
    for draw in range(1, draws + 1):
        name = f"sub-{label}" + (f"draw{draw}" if draw > 1 else "")
        (target / name / "anat").mkdir(parents=True, exist_ok=True)
        for suffix in ("T1w", "FLAIR"):
            for end in (".nii.gz", ".json"):
                source = bids / f"sub-{label}" / "anat" / f"sub-{label}_{suffix}{end}"
                if end == ".nii.gz" or source.exists():
                    shutil.copyfile(source, target / name / "anat" / f"{name}_{suffix}{end}")


def truths(gate: Path) -> dict[str, Path]:
    """Masks of the injected lesions (their numbers) by ``sub-*``."""
    found = sorted(gate.glob("sub-*/anat/*_desc-lesionTruth_mask.nii.gz"))
    return {path.name.split("_")[0]: path for path in found}


def inject(args) -> None:
    """Write the dataset with injected lesions and its truth to ``args.gate``."""
    if args.gate.exists():
        raise SystemExit(f"{args.gate} exists; name a new folder")
    with tempfile.TemporaryDirectory() as source:
        copy_person(args.bids, Path(source), args.participant, args.draws)
        subprocess.run([args.bidsgate, "inject-lesions", source, "--out", args.gate], check=True)
    if len(truths(args.gate)) != args.draws:  # bidsgate skips a person and exits with 0
        raise SystemExit("bidsgate skipped a draw; it says why above")
    (args.gate / ".bidsignore").write_text("*_truth.json\n", encoding="utf-8")


def without_own(mask, injected, own, voxel_mm) -> np.ndarray:
    """The mask (bool, X, Y, Z) less what lies within 2 mm of the person's own lesions.

    What also lies within 2 mm of an injected lesion stays.
    """

    def near(lesions):
        return distance_transform_edt(~lesions, sampling=voxel_mm) <= MARGIN_MM

    if not own.any():
        return mask.copy()
    return mask & ~(near(own) & ~near(injected))


def tissue_map(structures) -> np.ndarray:
    """Numbers (uint8) of ``TISSUES`` from 1 on, from a label map with FreeSurfer's."""
    found = np.zeros(structures.shape, np.uint8)
    for number, labels in enumerate(TISSUES.values(), start=1):
        found[np.isin(structures, labels)] = number
    return found


def _save(array, like: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), nib.load(like).affine), path)


def _tissue_options(args) -> list:
    """Write the tissues for every draw; return bidsgate's options that name them."""
    labels = tissue_map(np.asarray(nib.load(args.structures).dataobj).astype(int))
    for subject in truths(args.gate):
        _save(labels, args.structures, args.scores / f"{subject}_tissues.nii.gz")
    names = args.scores / "tissues.tsv"
    lines = [f"{number}\t{name}\n" for number, name in enumerate(TISSUES, start=1)]
    names.write_text("".join(["label\tname\n", *lines, "0\tother\n"]), encoding="utf-8")
    pattern = args.scores / "{subject}_tissues.nii.gz"
    return ["--regions", pattern, "--region-names", names]


def _score(args, pattern: Path, folder: Path) -> list[dict]:
    """Let bidsgate score the masks that the pattern names; return its results."""
    command = [args.bidsgate, "score-lesions", "--truth", args.gate, "--pred", pattern]
    command += ["--pipeline", f"MSMorph {args.model}", "--out", folder]
    command += _tissue_options(args) if args.structures else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "scores_lesions.json").read_text(encoding="utf-8"))["results"]


def summarise(results: list[dict]) -> tuple[list[str], bool]:
    """Lines of a table of bidsgate's results, and whether found and mean Dice are high enough."""
    lines, lesions, scores = [HEADER], [], [result["score"] for result in results]
    for result, score in zip(results, scores, strict=True):
        own = score["per_lesion"]
        lesions += own
        half = sum(lesion["overlap_fraction"] >= 0.5 for lesion in own)
        lines.append(
            f"{result['subject']:20} {score['detected']:2} of {score['lesions']:2} {half:9}"
            f" {score['dice']:10.3f} {score['volume_ratio']:13.2f}"
            f" {score['false_positive_components']:6} ({score['false_positive_volume_mm3']:.0f})"
        )
    for what in ("bin", "height", "region"):
        for name in sorted({lesion[what] for lesion in lesions if what in lesion}):
            hits = [lesion["detected"] for lesion in lesions if lesion.get(what) == name]
            lines.append(f"  {name:18} {sum(hits):2} of {len(hits):2}")
    found, dice = sum(x["detected"] for x in lesions), np.mean([s["dice"] for s in scores])
    good = bool(found >= LEAST_FOUND * len(lesions) and dice >= LEAST_DICE)
    lines.append(f"all: {found} of {len(lesions)} found, mean Dice {dice:.3f}")
    return lines, good


def _take_out_own(args, mask_of) -> Path:
    """Write the masks less the person's own lesions; return bidsgate's pattern of them."""
    own = np.asarray(nib.load(args.own_lesions).dataobj) > 0
    for subject, truth in truths(args.gate).items():
        image = nib.load(mask_of(subject))
        mask, injected = (np.asarray(i.dataobj) > 0 for i in (image, nib.load(truth)))
        rest = without_own(mask, injected, own, image.header.get_zooms()[:3])
        _save(rest, truth, args.scores / f"{subject}_mask.nii.gz")
    return args.scores / "{subject}_mask.nii.gz"


def score(args) -> int:
    """Print bidsgate's scores; 0 when the masks as they are reach what is asked for, else 1."""

    def mask_of(subject):
        name = f"{subject}_space-T1w_label-L_desc-{args.model}_mask.nii.gz"
        return args.out / subject / "anat" / name

    lacking = [subject for subject in truths(args.gate) if not mask_of(subject).exists()]
    if lacking or not truths(args.gate):  # bidsgate would go on without them
        raise SystemExit(f"no lesion mask of {', '.join(lacking) or 'anybody'} in {args.out}")
    args.scores.mkdir(parents=True, exist_ok=True)
    lines, good = summarise(_score(args, mask_of("{subject}"), args.scores / "as_is"))
    print("The masks as they are", *lines, sep="\n")
    if args.own_lesions:
        pattern = _take_out_own(args, mask_of)
        lines, _ = summarise(_score(args, pattern, args.scores / "without_own"))
        print("\nThe masks without the person's own lesions", *lines, sep="\n")
    if not good:
        print(f"FAILED: fewer than 10 of 12 found, or mean Dice below {LEAST_DICE}")
    return 0 if good else 1


def main(argv: list[str] | None = None) -> int:
    """Read the command line, then inject or score; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    program = Path(sys.executable).with_name("bidsgate")
    parser.add_argument("--bidsgate", default=program, help="the program (default: beside Python)")
    steps = parser.add_subparsers(required=True)
    step = steps.add_parser("inject")
    step.add_argument("bids", type=Path)
    step.add_argument("gate", type=Path, help="the dataset to write")
    step.add_argument("--participant", default="openmsc07")
    step.add_argument("--draws", type=int, default=1)
    step.set_defaults(run=inject)
    step = steps.add_parser("score")
    step.add_argument("gate", type=Path)
    step.add_argument("out", type=Path, help="MSMorph's derivatives of it")
    step.add_argument("scores", type=Path, help="folder to write, replaced")
    step.add_argument("--model", default="unet", choices=["deepscan", "unet"])
    step.add_argument("--own-lesions", type=Path, help="mask on the T1w's grid")
    step.add_argument("--structures", type=Path, help="FreeSurfer's labels on the T1w's grid")
    step.set_defaults(run=score)
    args = parser.parse_args(argv)
    if shutil.which(args.bidsgate) is None:
        raise SystemExit(f"no program {args.bidsgate}: install bidsgate, name it with --bidsgate")
    return args.run(args) or 0


if __name__ == "__main__":
    sys.exit(main())
