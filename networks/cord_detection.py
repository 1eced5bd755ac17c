"""CNN1 over a whole image: where is the cord?  (Gros 2019, section 2.2.2)

A head is 256 mm wide and its cord 12 mm: to look at all of it in every slice takes most of the time
of the cord. So an image that is wide is searched in every third slice, and then in all slices near
the line that was found.
"""

from __future__ import annotations

import numpy as np
from nibabel.affines import apply_affine

from networks.cord import DETECTION_STEP_MM, IN_PLANE_MM, CordImage
from networks.geometry import antialias, sample_volume, tissue_scale

#: Slices from one to the next in the search of a wide image: 6 mm.
SPARSE = 3
#: Pixels of a slice up to which an image is small enough to be searched in every slice (128 mm).
NARROW = 256 * 256
#: Pixels of a window along the line. The network sees 25 mm around a pixel, so that 6 mm on either
#: side of the line are found as in the whole slice.
WINDOW = 128
#: Air beyond this distance from any tissue is not searched.
AIR_MM = 10.0
_BATCH_PIXELS = 8 * 512 * 512


class Detection:
    """CNN1's confidence in cord on one image, on the grid of 2 mm of :class:`CordImage`.

    The paper scales intensities by the mean and SD of its training patches; a network for any
    scanner scales each image by its own. Confidence is float32 (X, Y, Z) in [0, 1], zero where
    nothing was looked at, and comes with its affine (4x4, mm).
    """

    def __init__(self, image: CordImage, network, device: str = "cpu"):
        import torch

        self.grid, self.affine = image.grid(DETECTION_STEP_MM)
        whole = image.padded()
        voxel_mm = np.linalg.norm(whole.affine[:3, :3], axis=0)
        order = np.abs(np.linalg.inv(whole.affine[:3, :3]) @ self.affine[:3, :3]).argmax(axis=1)
        target_mm = np.asarray(self.grid.voxel_mm)[order]
        smooth = antialias(whole.data.astype(np.float32), voxel_mm, target_mm)
        self._data = torch.from_numpy(np.ascontiguousarray(smooth))
        self._matrix = (np.linalg.inv(whole.affine) @ self.affine).astype(np.float32)
        self._network, self._device = network, device
        columns, rows, count = self.grid.shape
        self.wide = columns * rows > NARROW
        step = SPARSE if self.wide else 1
        self._slices = np.arange(min(step // 2, count - 1), count, step)
        self._sparse = self._read(np.zeros((len(self._slices), 2), int), (columns, rows),
                                  self._slices)  # fmt: skip
        self._mean, self._sd = tissue_scale(self._sparse) or (0.0, np.inf)

    def search(self) -> tuple[np.ndarray, np.ndarray]:
        """Confidence in every slice, in a wide image in every third, wherever there is tissue."""
        box = self._tissue() if self.wide else (slice(None), slice(None))
        found = np.zeros((len(self._slices), *self.grid.shape[:2]), np.float32)
        found[(slice(None), *box)] = self._confidence(self._sparse[(slice(None), *box)])
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, 2] * self._slices[0]
        affine[:3, 2] *= self._slices[1] - self._slices[0] if len(self._slices) > 1 else 1
        return np.moveaxis(found, 0, 2), affine

    def along(self, line_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Confidence in all slices, near a line (n, 3) in world mm and as far beyond its ends as
        the search did not look."""
        line = apply_affine(np.linalg.inv(self.affine), line_mm)
        line = line[np.argsort(line[:, 2])]
        reach = (SPARSE - 1, SPARSE)
        first = max(round(line[0, 2]) - reach[0], 0)
        last = min(round(line[-1, 2]) + reach[1], self.grid.shape[2])
        slices = np.arange(first, last)
        side = np.minimum(WINDOW, self.grid.shape[:2])
        middles = np.stack([np.interp(slices, line[:, 2], line[:, a]) for a in (0, 1)], 1)
        # multiples of 4, so that the network pools the same pixels together as in whole slices
        corners = np.rint((middles - side / 2) / 4).astype(int) * 4
        corners = corners.clip(0, np.array(self.grid.shape[:2]) - side)
        confidence = self._confidence(self._read(corners, side, slices))
        found = np.zeros(self.grid.shape, np.float32)
        for (x, y), z, part in zip(corners, slices, confidence, strict=True):
            found[x : x + side[0], y : y + side[1], z] = part
        return found, self.affine

    def _read(self, corners, size, slices):
        """The image (N, X, Y, a tensor) in a window of ``size`` from a corner in each slice."""
        import torch

        x, y = (np.arange(n, dtype=np.float32) for n in size)
        read = []
        for corner, z in zip(corners, slices, strict=True):
            index = np.broadcast_arrays(x[:, None] + corner[0], y + corner[1], float(z))
            places = (
                np.stack(index, -1).astype(np.float32) @ self._matrix[:3, :3].T
                + self._matrix[:3, 3]
            )
            read.append(sample_volume(self._data, torch.from_numpy(places)))
        return torch.stack(read)

    def _tissue(self) -> tuple[slice, slice]:
        """Columns and rows that any tissue is in or near, with sides that are multiples of 4."""
        tissue = (self._sparse > 0.15 * self._mean).numpy()
        near = round(AIR_MM / IN_PLANE_MM)
        sides = []
        for axis, count in enumerate(self.grid.shape[:2]):
            # a hundredth of the slices' pixels in it: noise and ghosts do not count
            filled = np.flatnonzero(tissue.mean(axis=(0, 2 - axis)) > 0.01)
            low, high = (filled[0], filled[-1] + 1) if len(filled) else (0, count)
            sides.append(slice(max(low - near, 0) // 4 * 4, min(high + near + 3, count) // 4 * 4))
        return tuple(sides)

    def _confidence(self, images) -> np.ndarray:
        """The network's confidence (N, X, Y) on slices of any size."""
        import torch

        count = max(1, _BATCH_PIXELS // (images.shape[1] * images.shape[2]))
        scaled = ((images - self._mean) / self._sd).clamp(-4, 4)[:, None]
        with torch.inference_mode():
            found = [
                self._network(part.to(self._device)).sigmoid()[:, 0].float().cpu()
                for part in scaled.split(count)
            ]
        return torch.cat(found).numpy()
