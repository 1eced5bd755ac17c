"""The T1w network's map: classes, sides, stray parts, the edge of the canvas."""

import numpy as np
import pytest
import torch

from networks import opfer

CARD = {"input": {"shape": [160, 160, 160], "voxel_mm": [1.0, 1.0, 1.0]}}


class ByIntensity(torch.nn.Module):
    """Reads the classes off four grey levels: a network whose answer is known."""

    def forward(self, image):
        """Logits of five classes from the nearest level."""
        distance = [-(image - level).abs() * 30 for level in self.levels]
        return torch.cat(distance, dim=1)


class BySlope(torch.nn.Module):
    """Calls bright tissue left or right thalamus by the sign of its slope from left to right."""

    def forward(self, image):
        """Logits of five classes."""
        slope = torch.gradient(image, dim=2)[0]
        bright = image > 1.5
        left, right = bright & (slope > 0), bright & (slope < 0)
        brain = (image > 0.5) & ~left & ~right
        classes = [~(left | right | brain), left, right, torch.zeros_like(left), brain]
        return 30 * torch.cat(classes, dim=1).float()


@pytest.fixture(autouse=True)
def grey_levels_as_they_are(monkeypatch):
    """Normalisation would clip the levels of so simple a head."""
    monkeypatch.setattr(opfer, "normalise", lambda volume: volume)


@pytest.fixture
def head():
    """Grey levels (X, Y, Z) on 1.2 mm voxels: 0 air, 1 intracranial, 2/3 thalami, 4 deep grey."""
    levels = np.zeros((120, 130, 110), np.float32)
    levels[15:105, 15:115, 15:95] = 1
    levels[40:55, 50:70, 45:60] = 2
    levels[65:80, 50:70, 45:60] = 3
    levels[40:50, 80:90, 45:60] = 4
    levels[20:23, 20:23, 80:83] = 2  # a stray spot of left thalamus
    affine = np.diag([1.2, 1.2, 1.2, 1.0])
    affine[:3, 3] = (-70, -80, -60)
    return levels, affine


@pytest.fixture
def segment(monkeypatch):
    """Run the map with a network that knows the grey of every class, but not left from right."""
    monkeypatch.setattr(opfer, "MIRRORED_CLASSES", (0, 1, 2, 3, 4))
    network = ByIntensity()
    network.levels = [0.0, 2.0, 3.0, 4.0, 1.0]
    return lambda levels, affine, centre: opfer.segment_head(levels, affine, centre, network, CARD)


def test_classes_volumes_and_sides(head, segment):
    levels, affine = head
    centre = affine[:3, :3] @ np.array([60, 65, 55]) + affine[:3, 3]
    result = segment(levels, affine, centre)
    assert result.labels.shape == levels.shape
    assert result.probability.shape == (4, *levels.shape)
    for number, value in ((1, 2), (2, 3), (3, 4)):
        truth = levels == value
        if value == 2:
            truth[20:23, 20:23, 80:83] = False
        overlap = 2 * (truth & (result.labels == number)).sum()
        # borders between levels 1 and 3 pass through the grey of 2: partial volume, not an error
        assert overlap / (truth.sum() + (result.labels == number).sum()) > 0.75, number
    assert result.labels[21, 21, 81] == 0 or result.labels[21, 21, 81] == 4
    inside = levels > 0
    total = result.probability.sum()
    assert total == pytest.approx(inside.sum(), rel=0.03)
    assert not result.clipped


def test_a_mirrored_head_keeps_its_sides(head):
    levels, affine = head
    levels = np.minimum(levels, 1)
    ramp = np.linspace(2, 4, 15)[:, None, None]
    levels[40:55, 50:70, 45:60] = ramp
    levels[65:80, 50:70, 45:60] = ramp[::-1]
    centre = affine[:3, :3] @ np.array([60, 65, 55]) + affine[:3, 3]
    result = opfer.segment_head(levels, affine, centre, BySlope(), CARD)
    middle = result.labels[:, 60, 52]
    assert set(middle[42:53]) == {1}
    assert set(middle[67:78]) == {2}
    assert result.probability[0, 47, 60, 52] > 0.9  # both passes agree


def test_the_edge_of_the_canvas_is_noticed(head, segment):
    levels, affine = head
    centre = affine[:3, :3] @ np.array([60, 65, 55]) + affine[:3, 3] + [60, 0, 0]
    assert segment(levels, affine, centre).clipped


def test_an_empty_image_has_no_head(head):
    levels, affine = head
    network = ByIntensity()
    network.levels = [0.0, 9.0, 9.0, 9.0, 9.0]
    with pytest.raises(opfer.HeadNotFound):
        opfer.segment_head(np.zeros_like(levels), affine, np.zeros(3), network, CARD)
