"""What every trainable network brings, and that the lesion networks train end to end."""

import json
from pathlib import Path

import pytest

from training import cli, cord, lesion_networks
from training.networks import NETWORKS, Request

TINY = {
    "deepscan": {"stem": 2, "channels": [2, 2, 2], "growth": 2, "blocks": 1, "features": 4},
    "lesion-unet": {"filters": [2, 4, 4]},
}  # fmt: skip


def test_the_command_line_knows_every_network():
    assert set(cli.NETWORKS) == set(NETWORKS)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_plan_s_network_can_be_built_from_its_card(name, pam50_folder, monkeypatch):
    from networks.architectures import build

    monkeypatch.setattr("training.cord_sampling.SCALE_SCENES", 2)
    plan = NETWORKS[name](Request(pam50=pam50_folder))
    assert sum(p.numel() for p in build(plan.architecture).parameters()) > 10_000
    assert set(plan.input) >= {"shape", "voxel_mm"}
    json.dumps([plan.architecture, plan.input])  # as the model card


@pytest.mark.parametrize("name", ["deepgrai-stage1", "deepscan"])
def test_a_network_of_one_size_has_no_patches(name):
    with pytest.raises(ValueError, match="--patch is for"):
        NETWORKS[name](Request(patch=64))


def test_samples_of_the_lesion_networks_alone_are_made_on_the_cpu():
    plans = {name: NETWORKS[name](Request()) for name in NETWORKS if not name.startswith("cord")}
    assert {name for name, plan in plans.items() if plan.on_cpu} == {"deepscan", "lesion-unet"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("deepscan", "--channels", "8", "8", "8", "8", "8"), "deepscan has no option channels"),
        (("lesion-unet", "--residual-units", "1"), "lesion-unet has no option residual_units"),
    ],
)
def test_a_width_that_a_network_has_not_is_refused(words, complaint, tmp_path):
    with pytest.raises(SystemExit, match=complaint):
        cli.main([*words, "--output", str(tmp_path)])


def test_the_three_tiers_of_a_cord_network_are_not_changed():
    options = cli.build_parser().parse_args(
        ["cord", "--output", "x", "--channels", "2", "4", "4", "4", "4"]
    )
    with pytest.raises(SystemExit, match="cord has no option channels"):
        cli._chosen_architecture(options, cord.CORD["architecture"])


def test_channels_are_the_filters_of_the_lesion_unet():
    options = cli.build_parser().parse_args(
        ["lesion-unet", "--output", "x", "--channels", "2", "4", "4", "4", "4"]
    )
    chosen = cli._chosen_architecture(options, lesion_networks.UNET["architecture"])
    assert chosen == {"filters": [2, 4, 4, 4, 4]}


def test_the_lesion_networks_are_those_the_app_runs():
    from networks.brain_classes import WEIGHTS
    from networks.lesions import CANVAS
    from training import brain_sampling

    assert set(WEIGHTS.values()) <= set(NETWORKS)
    assert brain_sampling.CANVAS == CANVAS


def test_only_masks_with_a_brain_beside_them_are_of_people(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "training.networks.read_personal_lesions", lambda paths: given.extend(paths)
    )
    Request(
        lesion_masks=[tmp_path / "a_label-lesion_mask.nii.gz", tmp_path / "b_mask.nii"]
    ).people()
    assert [path.name for path in given] == ["a_label-lesion_mask.nii.gz"]
    assert Request().shapes() is None


def test_a_brain_mask_is_not_implanted_as_a_lesion(tmp_path):
    request = Request(lesion_masks=[tmp_path / "a_label-brain_mask.nii.gz"])
    with pytest.raises(ValueError, match=r"label-brain_mask.* is a brain mask"):
        request.shapes()


@pytest.mark.parametrize(
    ("name", "settings", "patch"),
    [("deepscan", "DEEPSCAN", ()), ("lesion-unet", "UNET", ("--patch", "32"))],
)
def test_lesion_networks_train_and_load(
    name, settings, patch, small_canvas, head_file, tmp_path, monkeypatch
):
    from networks.weights import load_network

    full = getattr(lesion_networks, settings)
    tiny = full | {"architecture": full["architecture"] | TINY[name]}
    monkeypatch.setattr(lesion_networks, settings, tiny)
    out = tmp_path / "run"
    words = [
        name, "--output", str(out), "--head-labels", str(head_file), "--workers", "0",
        "--batch", "1", *patch,
    ]  # fmt: skip
    assert cli.main([*words, "--steps", "1"]) == 0
    assert cli.main([*words, "--steps", "2", "--resume"]) == 0
    network, card = load_network(name, out)
    assert card["architecture"] == tiny["architecture"]
    assert card["training"]["steps"] == 2
    assert sum(p.numel() for p in network.parameters()) > 0
    assert Path(out / "progress.png").stat().st_size > 10_000
    rows = (out / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]
