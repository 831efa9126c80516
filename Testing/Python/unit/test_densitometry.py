"""The numbers of the lungs: exact where the truth is known, whatever the geometry."""

import itertools

import numpy as np
import phantom
import pytest
import SimpleITK as sitk
from documents import DOCS, read
from pydicom.sr.codedict import codes
from S3NetSegmentationLib.geometry import Geometry
from S3NetSegmentationLib.lung.densitometry import (
    OWN_SCHEME,
    QUANTITIES,
    REGIONS,
    UNITS,
    WHOLE,
    aeration_map,
    distributions,
    histogram,
    numbers_of,
)
from S3NetSegmentationLib.orientation import AxialOrientation

# Ten voxels at and beside every threshold.
LEVELS = [
    *(-1024, -1001, -1000, -951, -950, -911, -910, -901, -900, -857, -856),
    *(-601, -600, -501, -500, -251, -250, -249, -101, -100, 0, 100, 101),
]
VOXEL_ML = 0.5
EXPECTED = {
    "volume_ml": 23 * 10 * VOXEL_ML,
    "mass_g": 10 * VOXEL_ML * sum(1000 + level for level in LEVELS) / 1000,
    "mean_hu": sum(LEVELS) / 23,
    "perc15_hu": -951,  # 3 of 23 are 13.0%, 4 are 17.4%
    "laa950_percent": 4,
    "laa910_percent": 6,
    "laa856_percent": 10,
    "haa_percent": 5,
    "hyperinflated_volume_percent": 6,
    "normally_aerated_volume_percent": 6,
    "poorly_aerated_volume_percent": 5,
    "nonaerated_volume_percent": 3,
}
EXPECTED |= {key: 100 * n / 23 for key, n in EXPECTED.items() if key.endswith("_percent")}


@pytest.fixture(params=[np.int16, np.float32, np.float64])
def known(request):
    """A right lung with all levels in each of three slices, upside down in a larger scan."""
    hounsfield = np.full((8, 20, 30), 40, request.param)
    lungs = np.zeros(hounsfield.shape, np.uint8)
    inside = np.repeat(LEVELS, 10).reshape(10, 23)
    hounsfield[3:6, 5:15, 2:25] = inside
    lungs[3:6, 5:15, 2:25] = 1
    return lungs, hounsfield


def measured(lungs, hounsfield):
    return numbers_of(distributions(lungs, hounsfield, VOXEL_ML))


@pytest.mark.parametrize("key", EXPECTED)
def test_each_threshold_is_where_its_definition_puts_it(known, key):
    found = measured(*known)
    assert found["right_upper"][key] == pytest.approx(EXPECTED[key], rel=1e-12)
    whole = 3 if key in ("volume_ml", "mass_g") else 1
    for region in ("right", "both"):
        assert found[region][key] == pytest.approx(whole * EXPECTED[key], rel=1e-12)


def test_shares_of_the_mass(known):
    grams = 1 + np.array(LEVELS) / 1000
    found = measured(*known)["right"]
    for name, inside in {
        "hyperinflated": [-1000, -951, -950, -911, -910, -901],
        "normally_aerated": [-900, -857, -856, -601, -600, -501],
        "poorly_aerated": [-500, -251, -250, -249, -101],
        "nonaerated": [-100, 0, 100],
    }.items():
        share = 100 * grams[np.isin(LEVELS, inside)].sum() / grams.sum()
        assert found[f"{name}_mass_percent"] == pytest.approx(share, rel=1e-12)


def test_what_lies_between_whole_numbers_counts_on_its_side():
    hounsfield = np.array([[[-950.5, -949.5, -249.5, 100.5]]], np.float32)
    found = measured(np.ones(hounsfield.shape, np.uint8), hounsfield)["right"]
    assert found["laa950_percent"] == 25
    assert found["haa_percent"] == 0
    assert found["nonaerated_volume_percent"] == 0
    assert found["mean_hu"] == -512.25


def test_deviation_is_that_of_numpy(known):
    lungs, hounsfield = known
    deviation = hounsfield[lungs == 1].std(dtype=np.float64)
    assert measured(lungs, hounsfield)["right"]["sd_hu"] == pytest.approx(deviation, rel=1e-12)


def test_an_empty_lung_weighs_nothing_and_has_no_intensity(known):
    found = measured(*known)
    for region in ("left", "left_upper"):
        values = dict(found[region])
        assert (values.pop("volume_ml"), values.pop("mass_g")) == (0, 0)
        assert np.isnan(list(values.values())).all()
    assert found["both"] == found["right"]


@pytest.mark.parametrize("height", range(1, 12))
def test_thirds_are_equally_high(height):
    """As good as can be with whole slices, and alike from above and from below."""
    lungs = np.zeros((20, 2, 2), np.uint8)
    lungs[5 : 5 + height] = 2
    found = measured(lungs, np.zeros(lungs.shape, np.int16))
    upper, middle, lower = (
        found[f"left_{third}"]["volume_ml"] / VOXEL_ML / 4 for third in ("upper", "middle", "lower")
    )
    assert upper == lower
    assert upper + middle + lower == height
    assert abs(middle - upper) <= 1


@pytest.mark.parametrize("geometry", phantom.GEOMETRIES)
def test_every_geometry_has_the_same_lungs(geometry):
    """Each region against a plain count over the patient's own coordinates."""
    found = phantom.thorax(**phantom.GEOMETRIES[geometry])
    order = AxialOrientation(Geometry.of(found.image))
    hounsfield, lungs = map(sitk.GetArrayViewFromImage, (found.image, found.lungs))
    voxel_ml = Geometry.of(found.image).voxel_ml
    numbers = numbers_of(distributions(order.apply(lungs), order.apply(hounsfield), voxel_ml))
    # Positions along the stored axis that is nearest to the patient's.
    axis = np.reshape(found.image.GetDirection(), (3, 3))[2]
    nearest = int(np.abs(axis).argmax())
    positions = np.indices(lungs.shape)[2 - nearest] * np.sign(axis[nearest])
    for label, side in ((1, "right"), (2, "left")):
        heights = positions[lungs == label]
        low, high = heights.min() - 0.5, heights.max() + 0.5
        thirds = np.floor(3 * (heights - low) / (high - low)).astype(int)
        for number, third in enumerate(("lower", "middle", "upper")):
            values = hounsfield[lungs == label][thirds == number].astype(float)
            region = numbers[f"{side}_{third}"]
            assert region["volume_ml"] == pytest.approx(values.size * voxel_ml, rel=1e-12)
            assert region["mass_g"] == pytest.approx((1 + values / 1000).sum() * voxel_ml)
            assert region["mean_hu"] == pytest.approx(values.mean())
            assert region["laa856_percent"] == pytest.approx(100 * (values < -856).mean())
    for third in ("", "_upper", "_middle", "_lower"):
        both = sum(numbers[f"{side}{third}"]["mass_g"] for side in ("right", "left"))
        assert numbers[f"both{third}"]["mass_g"] == pytest.approx(both)


def test_the_map_has_the_voxels_of_the_compartments(known):
    lungs, hounsfield = known
    compartments = aeration_map(lungs, hounsfield)
    assert not compartments[lungs == 0].any()
    shares = np.bincount(compartments[lungs > 0], minlength=5)[1:] / (lungs > 0).sum()
    numbers = measured(lungs, hounsfield)["right"]
    keys = [key for key in numbers if key.endswith("_volume_percent")]
    assert 100 * shares == pytest.approx([numbers[key] for key in keys])


def test_the_histogram_has_the_volume_that_lies_in_it(known):
    lungs, hounsfield = known
    found = distributions(lungs, hounsfield, VOXEL_ML)["right"]
    assert histogram(found).sum() == pytest.approx(found.voxels.sum() * VOXEL_ML)


def test_regions_are_the_lungs_and_their_thirds():
    thirds = itertools.product(WHOLE, ("upper", "middle", "lower"))
    assert list(REGIONS) == [*WHOLE, *(f"{side}_{third}" for side, third in thirds)]


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.key)
def test_codes_are_those_of_the_dictionaries(quantity):
    """Or of an own scheme, which DICOM wants to begin with 99."""
    assert OWN_SCHEME.startswith("99")
    sct, dcm, ucum = codes.SCT, codes.DCM, codes.UCUM
    names = (
        sct.Volume,
        sct.Mean,
        sct.StandardDeviation,
        dcm.AttenuationCoefficient,
    )
    methods = (getattr(dcm, name) for name in dcm.dir("SegmentedVoxel"))
    units = (ucum.HounsfieldUnit, ucum.Percent)
    known = {(each.value, each.scheme_designator) for each in (*names, *methods, *units)}
    # pydicom's name of the mass that can be weighed changes with its version; UCUM has no end.
    known |= {("118538004", "SCT"), ("mL", "UCUM"), ("g", "UCUM")}
    used = (quantity.code, UNITS[quantity.unit], quantity.derivation, quantity.method)
    for value, scheme, meaning in filter(None, used):
        assert (value, scheme) in known or scheme == OWN_SCHEME
        assert meaning


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.key)
def test_the_documentation_defines_it_alike(quantity):
    row = (quantity.name, f"`{quantity.key}`", quantity.unit, quantity.definition)
    source = quantity.source or "–"
    assert f"| {' | '.join((*row, source))} |" in read(DOCS / "numbers.md").splitlines()
