"""What radiology measures in a lung on CT: each quantity's definition, source, unit and codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..labels import LEFT, RIGHT
from .levels import AERATED_HU, AIR_HU, EMPHYSEMA_HU

Code = tuple[str, str, str]
"""Value, scheme and meaning, as in DICOM."""

Numbers = dict[str, dict[str, float]]
"""For each of `REGIONS` the value of each of `QUANTITIES`, by their keys."""

THIRDS = ("lower", "middle", "upper")
"""Parts of a lung of equal height, between its lowest and its highest slice."""

REGIONS = {
    "right": "right lung",
    "left": "left lung",
    "both": "both lungs",
    **{
        f"{side}_{third}": f"{name}, {third} third"
        for side, name in (("right", "right lung"), ("left", "left lung"), ("both", "both lungs"))
        for third in reversed(THIRDS)
    },
}
"""Where the lungs are measured: keys and names. The thirds of both lungs are those of each."""

WHOLE = ("right", "left", "both")
"""The `REGIONS` that are not thirds."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """How many voxels of a region have which intensity; all that its quantities depend on.

    Attributes
    ----------
    hounsfield : ndarray of float64, (n,)
        The intensities that occur, ascending.
    voxels : ndarray of int, (n,)
        How often each does.
    voxel_ml : float
        Volume of a voxel in milliliters.
    """

    hounsfield: np.ndarray
    voxels: np.ndarray
    voxel_ml: float

    @classmethod
    def of(cls, values: np.ndarray, voxel_ml: float) -> Distribution:
        """That of the voxels' intensities."""
        hounsfield, voxels = np.unique(values, return_counts=True)
        return cls(hounsfield.astype(np.float64), voxels, voxel_ml)

    @classmethod
    def together(cls, parts: Iterable[Distribution]) -> Distribution:
        """That of several regions as one."""
        parts = tuple(parts)
        hounsfield, where = np.unique(
            np.concatenate([part.hounsfield for part in parts]), return_inverse=True
        )
        counts = np.concatenate([part.voxels for part in parts])
        voxels = np.bincount(where, counts, len(hounsfield)).astype(np.int64)
        return cls(hounsfield, voxels, parts[0].voxel_ml)

    @property
    def grams(self) -> np.ndarray:
        """Mass of the voxels of each intensity, (n,), where air weighs nothing and water 1 g/mL."""
        return self.voxels * self.voxel_ml * (1 + self.hounsfield / 1000)


def _volume(region: Distribution) -> float:
    return float(region.voxels.sum() * region.voxel_ml)


def _mass(region: Distribution) -> float:
    return float(region.grams.sum())


def _mean(region: Distribution) -> float:
    return float(np.average(region.hounsfield, weights=region.voxels))


def _deviation(region: Distribution) -> float:
    squares = (region.hounsfield - _mean(region)) ** 2
    return float(np.sqrt(np.average(squares, weights=region.voxels)))


def _percentile_15(region: Distribution) -> float:
    reached = np.cumsum(region.voxels)
    return float(region.hounsfield[np.searchsorted(100 * reached, 15 * reached[-1])])


def _share(
    low: float, high: float, region: Distribution, by_mass: bool = False, closed: bool = False
) -> float:
    """Percentage of the volume, or of the mass, from `low` to below `high`, or including it."""
    weights = region.grams if by_mass else region.voxels
    start = np.searchsorted(region.hounsfield, low)
    stop = np.searchsorted(region.hounsfield, high, "right" if closed else "left")
    whole = weights.sum()
    return float(100 * weights[start:stop].sum() / whole) if whole else float("nan")


UNITS: dict[str, Code] = {
    "mL": ("mL", "UCUM", "milliliter"),
    "g": ("g", "UCUM", "gram"),
    "HU": ("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "%": ("%", "UCUM", "Percent"),
}
"""Codes of the units."""

OWN_SCHEME = "99S3NET"
"""Coding scheme of what neither SNOMED CT nor DICOM has a code for."""


@dataclass(frozen=True)
class Quantity:
    """One number of a region of the lungs.

    Attributes
    ----------
    key : str
        In JSON and in column names; ends with the unit.
    name, unit : str
        For people; the unit is one of `UNITS`.
    definition, source : str
        What exactly is measured, and who introduced it; no source if none is needed.
    compute : callable
        Its value for a `Distribution` that is not empty.
    code : Code
        In DICOM.
    derivation, method : Code, optional
        How values per voxel become one number, and how that is measured.
    """

    key: str
    name: str
    unit: str
    definition: str
    source: str
    compute: Callable[[Distribution], float]
    code: Code
    derivation: Code | None = None
    method: Code | None = None

    @property
    def title(self) -> str:
        """Name and unit, for the head of a column."""
        return f"{self.name} ({self.unit})"

    @property
    def after(self) -> str:
        """The unit as it follows a number in a text."""
        return self.unit if self.unit == "%" else f" {self.unit}"

    def text(self, value: float | None) -> str:
        """A value with as many digits as make sense; empty if there is none."""
        if value is None or np.isnan(value):
            return ""
        return f"{value:.{1 if self.unit == '%' else 0}f}"


def _percentage(
    key: str, name: str, definition: str, source: str, compute: Callable[[Distribution], float]
) -> Quantity:
    definition = f"Percentage of the {definition}"
    return Quantity(
        f"{key}_percent", name, "%", definition, source, compute, (key, OWN_SCHEME, name)
    )


def _low_attenuation(level: int, source: str) -> Quantity:
    compute = partial(_share, -np.inf, level)
    return _percentage(f"laa{-level}", f"LAA{level}", f"volume below {level} HU", source, compute)


POOR_HU = -100
"""Below it lung holds some gas (Gattinoni 2001)."""

NONE_HU = 100
"""Above it there is more than lung without gas (Gattinoni 2001)."""

HYPERINFLATED_HU = -900
"""Below it lung holds more gas than normal (Gattinoni 2001)."""

COMPARTMENTS = {
    "hyperinflated": (AIR_HU, HYPERINFLATED_HU),
    "normally_aerated": (HYPERINFLATED_HU, AERATED_HU),
    "poorly_aerated": (AERATED_HU, POOR_HU),
    "nonaerated": (POOR_HU, NONE_HU),
}
"""Aeration: the HU from which on each compartment counts and that at which the next one begins;
the last one ends with its second."""

HAA_HU = (-600, -250)
"""From and to which HU lung counts as high attenuation area, both included (Podolanczuk 2016)."""


def _aeration(compartment: str, by_mass: bool) -> Quantity:
    low, high = COMPARTMENTS[compartment]
    closed = high == NONE_HU
    last = f"up to and including {high}" if closed else f"to below {high}"
    what = "mass" if by_mass else "volume"
    return _percentage(
        f"{compartment}_{what}",
        f"{compartment.capitalize().replace('_', ' ')}, by {what}",
        f"{what} from {low} {last} HU",
        GATTINONI,
        partial(_share, low, high, by_mass=by_mass, closed=closed),
    )


GATTINONI = "Gattinoni et al., Am J Respir Crit Care Med 2001;164:1701"
ATTENUATION = ("112031", "DCM", "Attenuation Coefficient")

QUANTITIES = (
    Quantity(
        *("volume_ml", "Volume", "mL"),
        "Number of voxels times the volume of a voxel",
        "",
        _volume,
        ("118565006", "SCT", "Volume"),
        method=("126030", "DCM", "Sum of segmented voxel volumes"),
    ),
    Quantity(
        *("mass_g", "Mass", "g"),
        "Sum over voxels of volume in mL times (1 + HU/1000)",
        f"{GATTINONI}; Cressoni et al., Crit Care 2013;17:R93",
        _mass,
        ("118538004", "SCT", "Mass"),
    ),
    Quantity(
        *("mean_hu", "Mean", "HU"),
        "Mean of the voxels' HU",
        "",
        _mean,
        ATTENUATION,
        derivation=("373098007", "SCT", "Mean"),
    ),
    Quantity(
        *("sd_hu", "SD", "HU"),
        "Standard deviation of the voxels' HU (root of the mean squared deviation)",
        "",
        _deviation,
        ATTENUATION,
        derivation=("386136009", "SCT", "Standard Deviation"),
    ),
    Quantity(
        *("perc15_hu", "Perc15", "HU"),
        "15th percentile of HU: the lowest value that at least 15% of the voxels do not exceed",
        "Dirksen et al., Am J Respir Crit Care Med 1999;160:1468",
        _percentile_15,
        ATTENUATION,
        derivation=("perc15", OWN_SCHEME, "15th percentile"),
    ),
    _low_attenuation(EMPHYSEMA_HU, "Gevenois et al., Am J Respir Crit Care Med 1996;154:187"),
    _low_attenuation(-910, "Müller et al., Chest 1988;94:782"),
    _low_attenuation(-856, "Schroeder et al., AJR Am J Roentgenol 2013;201:W460"),
    _percentage(
        *("haa", "HAA"),
        "volume from {} up to and including {} HU".format(*HAA_HU),
        "Podolanczuk et al., Eur Respir J 2016;48:1442",
        partial(_share, *HAA_HU, closed=True),
    ),
    *(_aeration(each, by_mass) for by_mass in (False, True) for each in COMPARTMENTS),
)
"""Every quantity, in the order in which they are shown."""

_FEW = ("volume_ml", "mass_g", "mean_hu", "laa950_percent", "haa_percent")
BRIEF = tuple(quantity for quantity in QUANTITIES if quantity.key in _FEW)
"""The quantities that are shown where space is limited."""


def quantities_of(region: Distribution) -> dict[str, float]:
    """Each of `QUANTITIES`; an empty region has volume and mass 0, the rest is NaN."""
    if not len(region.hounsfield):
        empty = {"volume_ml": 0.0, "mass_g": 0.0}
        return {each.key: empty.get(each.key, float("nan")) for each in QUANTITIES}
    return {each.key: each.compute(region) for each in QUANTITIES}


def by_thirds(
    inside: np.ndarray, hounsfield: np.ndarray, voxel_ml: float
) -> dict[str, Distribution]:
    """The intensities in each of `THIRDS` of a lung.

    A slice belongs to the third that its center lies in; it never lies between two.

    Parameters
    ----------
    inside : ndarray of bool, (z, y, x)
        The lung, in axial order.
    hounsfield : ndarray, same shape
    voxel_ml : float
        Volume of a voxel in milliliters.
    """
    slices = np.flatnonzero(inside.any((1, 2)))
    first, height = (slices[0], slices[-1] + 1 - slices[0]) if len(slices) else (0, 0)
    ends = [first + round(part * height / len(THIRDS)) for part in range(len(THIRDS) + 1)]
    # In the order in which the voxels lie in memory, which is ten times as fast.
    axes = np.argsort(np.abs(hounsfield.strides))[::-1]
    return {
        third: Distribution.of(
            hounsfield[start:stop].transpose(axes)[inside[start:stop].transpose(axes)], voxel_ml
        )
        for third, start, stop in zip(THIRDS, ends, ends[1:], strict=False)
    }


def distributions(
    lungs: np.ndarray, hounsfield: np.ndarray, voxel_ml: float
) -> dict[str, Distribution]:
    """The intensities in each of `REGIONS`.

    Parameters
    ----------
    lungs : ndarray of uint8, (z, y, x)
        1 right lung, 2 left lung, in axial order.
    hounsfield, voxel_ml
        As of `by_thirds`.
    """
    found: dict[str, Distribution] = {}
    for side, label in (("right", RIGHT), ("left", LEFT)):
        thirds = by_thirds(lungs == label, hounsfield, voxel_ml)
        found |= {f"{side}_{third}": part for third, part in thirds.items()}
    for third in THIRDS:
        sides = (found[f"right_{third}"], found[f"left_{third}"])
        found[f"both_{third}"] = Distribution.together(sides)
    for side in WHOLE:
        found[side] = Distribution.together(found[f"{side}_{third}"] for third in THIRDS)
    return {region: found[region] for region in REGIONS}


def numbers_of(regions: Mapping[str, Distribution]) -> Numbers:
    """Every quantity of every region, from `distributions`."""
    return {region: quantities_of(distribution) for region, distribution in regions.items()}


HISTOGRAM_HU = np.arange(-1050, 151, 10)
"""Borders of the bins of a histogram that is shown; lung lies between them."""


def histogram(region: Distribution) -> np.ndarray:
    """Milliliters in each bin of `HISTOGRAM_HU`."""
    weights = region.voxels * region.voxel_ml
    return np.histogram(region.hounsfield, HISTOGRAM_HU, weights=weights)[0]


THRESHOLDS = {
    **{low: name for name, (low, _) in COMPARTMENTS.items()},
    NONE_HU: "nonaerated",
    **{level: f"LAA{level}" for level in (EMPHYSEMA_HU, -910, -856)},
    **{level: "HAA" for level in HAA_HU},
}
"""The HU that quantities begin or end at, and of which quantity."""


def aeration_map(lungs: np.ndarray, hounsfield: np.ndarray) -> np.ndarray:
    """Which of `COMPARTMENTS` each voxel belongs to.

    Parameters
    ----------
    lungs : ndarray of uint8
        0 outside the lungs.
    hounsfield : ndarray, same shape

    Returns
    -------
    ndarray of uint8, same shape
        From 1, in the order of the compartments; 0 outside the lungs and in none of them.
    """
    found = np.zeros(lungs.shape, np.uint8)
    inside = lungs > 0
    values = hounsfield[inside]
    lowest = [low for low, _ in COMPARTMENTS.values()]
    found[inside] = sum(values >= low for low in lowest) * (values <= NONE_HU)
    return found
