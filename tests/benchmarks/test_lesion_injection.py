"""Injected lesions: what is copied, what counts as the person's own, what is reported."""

import json
import sys

import nibabel as nib
import numpy as np
import pytest

from benchmarks import lesion_injection

SHAPE = (24, 12, 12)
INJECTED, OWN = np.zeros((2, *SHAPE), bool)
INJECTED[2:5, 4:7, 4:7] = True
OWN[15:18, 4:7, 4:7] = True

# Stands in for bidsgate: copies the images, and calls a lesion found where a mask has any voxel.
PROGRAM = """#!{python}
import json, pathlib, shutil, sys
import nibabel as nib
import numpy as np
command, *args = sys.argv[1:]
if command == "inject-lesions":
    source, _, out = args
    shutil.copytree(source, out)
    for t1w in sorted(pathlib.Path(out).glob("sub-*/anat/*_T1w.nii.gz")):
        shutil.copyfile({truth!r}, str(t1w).replace("T1w", "desc-lesionTruth_mask"))
else:
    options, results = dict(zip(args[::2], args[1::2])), []
    for person in sorted(pathlib.Path(options["--truth"]).glob("sub-*")):
        name = options["--pred"].format(base=person.name, subject=person.name)
        mask = np.asarray(nib.load(name).dataobj) > 0
        hits = [bool(mask.any())] * 12
        rows = [
            dict(detected=hit, overlap_fraction=float(hit), bin="0-100mm3", height="upper")
            for hit in hits
        ]
        score = dict(detected=sum(hits), lesions=12, dice=0.8, volume_ratio=1.0, per_lesion=rows,
                     false_positive_components=int(mask.sum()), false_positive_volume_mm3=0.0)
        results.append(dict(subject=person.name, score=score))
    folder = pathlib.Path(options["--out"])
    folder.mkdir(parents=True)
    (folder / "scores_lesions.json").write_text(json.dumps(dict(results=results)))
"""


def _save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.uint8), np.eye(4)), path)


@pytest.fixture
def person(tmp_path):
    """A dataset with one person, and the stand-in program."""
    for suffix in ("T1w", "FLAIR", "T2w", "ce-gadolinium_T1w"):
        _save(np.ones(SHAPE), tmp_path / "bids" / "sub-a" / "anat" / f"sub-a_{suffix}.nii.gz")
    (tmp_path / "bids" / "sub-a" / "anat" / "sub-a_FLAIR.json").write_text("{}")
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    _save(INJECTED, tmp_path / "truth.nii.gz")
    program = tmp_path / "bidsgate"
    truth = str(tmp_path / "truth.nii.gz")
    program.write_text(PROGRAM.format(python=sys.executable, truth=truth))
    program.chmod(0o755)
    return tmp_path


def run(folder, *args):
    return lesion_injection.main(["--bidsgate", str(folder / "bidsgate"), *map(str, args)])


def test_only_the_pair_is_copied(person):
    lesion_injection.copy_person(person / "bids", person / "copy", "a", 2)
    names = sorted(p.name for p in (person / "copy").rglob("sub-*_*"))
    assert names == sorted(
        f"sub-a{draw}_{name}"
        for draw in ("", "draw2")
        for name in ("T1w.nii.gz", "FLAIR.nii.gz", "FLAIR.json")
    )
    with pytest.raises(FileNotFoundError):
        lesion_injection.copy_person(person / "bids", person / "other", "b", 1)


def test_own_lesions_go_and_injected_ones_stay():
    larger = OWN.copy()
    larger[13:20, 4:7, 4:7] = True  # 2 mm beyond the rater's on both sides
    false = np.zeros(SHAPE, bool)
    false[22, 5, 5] = True
    rest = lesion_injection.without_own(INJECTED | larger | false, INJECTED, OWN, (1, 1, 1))
    np.testing.assert_array_equal(rest, INJECTED | false)
    none = np.zeros(SHAPE, bool)
    np.testing.assert_array_equal(lesion_injection.without_own(OWN, INJECTED, none, (1, 1, 1)), OWN)
    # where both lie together, the voxels stay
    np.testing.assert_array_equal(
        lesion_injection.without_own(INJECTED, INJECTED, INJECTED, (1, 1, 1)), INJECTED
    )


def test_tissues_of_freesurfers_labels():
    labels = np.array([[[2, 77, 41], [3, 13, 47], [16, 4, 0]]])
    expected = [[[1, 1, 1], [2, 3, 4], [5, 0, 0]]]
    np.testing.assert_array_equal(lesion_injection.tissue_map(labels), expected)


@pytest.mark.parametrize(
    ("found", "dice", "good"), [(10, 0.75, True), (9, 0.9, False), (12, 0.74, False)]
)
def test_what_is_asked_for(found, dice, good):
    rows = [
        {"detected": n < found, "overlap_fraction": 0.4, "bin": "0-100mm3", "height": "upper"}
        for n in range(12)
    ]
    score = {
        "detected": found, "lesions": 12, "dice": dice, "volume_ratio": 1.1, "per_lesion": rows,
        "false_positive_components": 3, "false_positive_volume_mm3": 40.0,
    }  # fmt: skip
    lines, verdict = lesion_injection.summarise([{"subject": "sub-a", "score": score}])
    assert verdict is good
    assert f"{found:2} of 12         0" in lines[1] and lines[1].endswith("3 (40)")
    assert lines[-1] == f"all: {found} of 12 found, mean Dice {dice:.3f}"


def test_inject_and_score(person, capsys):
    gate, out = person / "gate", person / "out"
    assert run(person, "inject", person / "bids", gate, "--participant", "a", "--draws", 2) == 0
    assert (gate / ".bidsignore").read_text() == "*_truth.json\n"
    with pytest.raises(SystemExit, match="exists"):
        run(person, "inject", person / "bids", gate, "--participant", "a")
    with pytest.raises(SystemExit, match="no lesion mask of sub-a, sub-adraw2"):
        run(person, "score", gate, out, person / "scores")
    for subject in ("sub-a", "sub-adraw2"):
        name = f"{subject}_space-T1w_label-L_desc-unet_mask.nii.gz"
        _save(INJECTED | OWN, out / subject / "anat" / name)
    _save(OWN, person / "own.nii.gz")
    scores = person / "scores"
    assert run(person, "score", gate, out, scores, "--own-lesions", person / "own.nii.gz") == 0
    printed = capsys.readouterr().out
    assert printed.count("all: 24 of 24 found, mean Dice 0.800") == 2
    kept = json.loads((scores / "without_own" / "scores_lesions.json").read_text())["results"]
    assert [r["score"]["false_positive_components"] for r in kept] == [INJECTED.sum()] * 2


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(SystemExit, match="install bidsgate"):
        run(tmp_path, "inject", tmp_path, tmp_path / "gate")
