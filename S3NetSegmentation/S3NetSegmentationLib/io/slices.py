"""Implausible slices: empty, repeated, unlike both neighbors, or in other units."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

SAMPLES = 40
"""Minimum number of rows and columns that are sampled in a slice, if it has as many."""

TISSUE_HU = -300
"""Hounsfield units above which a voxel is body, and neither lung nor air."""

MIN_TISSUE_SHARE = 0.2
"""Minimum share of tissue in a slice for its level and noise to be meaningful; where the body
begins, they may change from slice to slice."""

MAX_MISFIT = 1.3
"""How many times more a slice may differ from both neighbors than they do from each other. The
ratio is 0.67 to 0.88 in 17 scans from eight sources: slices two steps apart differ more."""

MAX_LEVEL_STEP_HU = 100
"""Hounsfield units by which the tissue of a slice may differ from that of the next (median): 4 to
17 in these scans."""

MAX_NOISE_RATIO = 2.5
"""How many times noisier a slice may be than the next: 1.1 to 1.3 in these scans."""

MAX_NAMED = 5
"""Number of slices that a warning names; beyond that, it gives only the number."""


def implausible_slices(image: sitk.Image) -> tuple[str, ...]:
    """One sentence for each kind of implausible slices.

    Parameters
    ----------
    image : SimpleITK.Image
        3D, in Hounsfield units; its slices are those along the third axis, counted from 1.
    """
    slices = sitk.GetArrayViewFromImage(image)
    apart = max(1, min(slices.shape[1:]) // SAMPLES)
    sample = slices[:, ::apart, ::apart].astype(np.float32)
    empty = {i for i in np.flatnonzero(np.ptp(sample, (1, 2)) == 0) if np.ptp(slices[i]) == 0}
    step = np.abs(np.diff(sample, axis=0)).mean((1, 2))
    same = [i + 1 for i in np.flatnonzero(step == 0) if np.array_equal(slices[i], slices[i + 1])]
    two_steps = np.abs(sample[2:] - sample[:-2]).mean((1, 2))
    misfits = 1 + np.flatnonzero(np.minimum(step[1:], step[:-1]) > MAX_MISFIT * two_steps)
    beside = slices[:, ::apart, 1::apart].astype(np.float32)
    noise = np.array([_noise(*pair) for pair in zip(sample, beside, strict=True)])
    ratio = np.maximum(noise[1:] / noise[:-1], noise[:-1] / noise[1:])
    kinds = {
        "empty": empty,
        "identical to the one before": {*same} - empty,
        "unlike both neighbors": {*misfits.tolist()},
        "much brighter or darker than the one before": {
            i + 1 for i in range(len(step)) if _level_step(*sample[i : i + 2]) > MAX_LEVEL_STEP_HU
        },
        "much noisier or smoother than the one before": {
            *(1 + np.flatnonzero(ratio > MAX_NOISE_RATIO)).tolist()
        },
    }
    return tuple(_sentence(what, sorted(found)) for what, found in kinds.items() if found)


def _level_step(before: np.ndarray, after: np.ndarray) -> float:
    """How much brighter or darker the tissue of a slice is than in the previous slice."""
    body = (before > TISSUE_HU) & (after > TISSUE_HU)
    if np.count_nonzero(body) <= MIN_TISSUE_SHARE * body.size:
        return 0.0
    return abs(float(np.median((after - before)[body])))


def _noise(plane: np.ndarray, beside: np.ndarray) -> float:
    """1 plus the median difference of tissue from the neighboring voxel; NaN without tissue."""
    plane = plane[:, : beside.shape[1]]
    body = plane > TISSUE_HU
    if np.count_nonzero(body) <= MIN_TISSUE_SHARE * body.size:
        return np.nan
    return 1 + float(np.median(np.abs(plane - beside)[body]))


def _sentence(what: str, found: list[int]) -> str:
    named = ", ".join(str(i + 1) for i in found[:MAX_NAMED])
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    which = f"Slice {named} is" if len(found) == 1 else f"Slices {named}{more} are each"
    return f"{which} {what}, which is implausible; check the scan, and export it again if needed."
