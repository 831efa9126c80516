"""Slices as a volume: what belongs to it, where it lies, and in which numbers it is kept."""

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import UPRIGHT, enhanced, hounsfield, save_dicom, write_series
from pydicom.uid import generate_uid
from S3NetSegmentationLib.errors import InputError
from S3NetSegmentationLib.io.read import read_scan


def read(path):
    """Voxels, image and warnings."""
    scan = read_scan(path)
    return sitk.GetArrayFromImage(scan.image), scan.image, scan.warnings


def at(index: int, **values):
    """Change the headers of one slice."""

    def change(number, image):
        for keyword, value in values.items() if number == index else ():
            setattr(image, keyword, value)

    return change


# What belongs to the volume


@pytest.mark.parametrize(
    "values",
    [
        {"PixelSpacing": [0.7003, 0.4998]},
        {"ImageOrientationPatient": [1, 0, 0.0009, 0, 1, 0]},
        {"ImageOrientationPatient": [1, 0.0009, 0, -0.0009, 1, 0]},
    ],
)
def test_rounded_headers_are_those_of_one_volume(tmp_path, values):
    write_series(tmp_path, hounsfield(), change=at(5, **values))
    voxels, _, warnings = read(tmp_path)
    assert np.array_equal(voxels, hounsfield())
    assert warnings == ()


@pytest.mark.parametrize(
    "values",
    [
        {"PixelSpacing": [0.72, 0.5]},
        {"PixelSpacing": [0.7, 0.52]},
        {"ImageOrientationPatient": [1, 0, 0.0012, 0, 1, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0.9998, 0.02]},
        {"ImageOrientationPatient": [0.8, 0.6, 0, -0.6, 0.8, 0]},
    ],
)
@pytest.mark.parametrize("index", [0, 5])
def test_a_slice_of_another_size_or_orientation_is_left_out(tmp_path, index, values):
    write_series(tmp_path, hounsfield(), change=at(index, **values))
    voxels, _, warnings = read(tmp_path)
    assert np.array_equal(voxels, np.delete(hounsfield(), index, 0))
    assert len(warnings) == 1
    assert warnings[0].startswith("1 image of another size or orientation")
    assert "was left out" in warnings[0]


@pytest.mark.parametrize("shape", [(20, 26), (18, 24)])
def test_slices_of_another_matrix_are_left_out(tmp_path, shape):
    series = generate_uid()
    write_series(tmp_path / "a", hounsfield(2, *shape), series=series)
    write_series(tmp_path / "b", hounsfield(), series=series)
    voxels, _, warnings = read(tmp_path)
    assert np.array_equal(voxels, hounsfield())
    assert warnings[0].startswith("2 images of another size or orientation")
    assert "were left out" in warnings[0]


# Where the volume lies


def shifted(by: float):
    """Move the slice in the middle of five along the normal."""
    return at(2, ImagePositionPatient=[10, -20, 30 + 2 * 2.5 + by])


@pytest.mark.parametrize(("by", "warned"), [(0.045, 0), (-0.045, 0), (0.06, 1), (-0.23, 1)])
def test_slices_up_to_a_tenth_of_their_distance_off_are_read(tmp_path, by, warned):
    write_series(tmp_path, hounsfield(5), change=shifted(by))
    voxels, image, warnings = read(tmp_path)
    assert np.array_equal(voxels, hounsfield(5))
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))
    assert image.GetOrigin() == pytest.approx((10, -20, 30))
    assert len(warnings) == warned
    assert all("2.50 mm apart" in warning for warning in warnings)
    gaps = f"gaps of {2.5 - abs(by):.2f} to {2.5 + abs(by):.2f} mm"
    assert all(gaps in warning for warning in warnings)


@pytest.mark.parametrize("by", [0.27, -0.27])
def test_slices_farther_off_are_refused(tmp_path, by):
    write_series(tmp_path, hounsfield(5), change=shifted(by))
    with pytest.raises(InputError, match=r"not evenly spaced \(gaps of 2.23 to 2.77 mm\)"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("thickness", "spacing"), [(2.5, 2.5), (0.625, 0.625), (None, 1), (0, 1), (-2, 1)]
)
def test_a_single_slice_is_as_thick_as_its_header_says(tmp_path, thickness, spacing):
    (path,) = write_series(tmp_path, hounsfield(1), change=at(0, SliceThickness=thickness))
    _, image, warnings = read(path)
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, spacing))
    assert ["assumed to be 1 mm" in warning for warning in warnings] == [True] * (spacing == 1)


def test_the_distance_of_slices_is_that_of_their_positions(tmp_path):
    """Whatever their thickness: they may overlap, or have gaps between them."""
    write_series(tmp_path, hounsfield(), step=(0, 0, 1.25))
    assert read(tmp_path)[1].GetSpacing() == pytest.approx((0.5, 0.7, 1.25))


def test_the_first_slice_is_the_lowest_along_the_normal(tmp_path):
    write_series(tmp_path, hounsfield(), step=(0, 0, -2.5))
    voxels, image, _ = read(tmp_path)
    assert np.array_equal(voxels, hounsfield()[::-1])
    assert image.GetOrigin() == pytest.approx((10, -20, 30 - 5 * 2.5))


def test_axes_have_length_one_though_cosines_are_rounded(tmp_path):
    axes = ((0.8003, 0.6002, 0), (-0.48, 0.64, -0.6))
    write_series(tmp_path, hounsfield(), axes)
    columns = np.reshape(read(tmp_path)[1].GetDirection(), (3, 3)).T
    assert np.linalg.norm(columns, axis=1) == pytest.approx([1, 1, 1], abs=1e-7)
    assert columns[0] == pytest.approx([0.8, 0.6, 0], abs=1e-3)


def write_twice(folder, apart: float):
    """A series and a copy of it, so many millimeters away along the normal."""
    series = generate_uid()
    write_series(folder / "a", hounsfield(), series=series)

    def change(index, image):
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, float(z) + apart]

    write_series(folder / "b", hounsfield(), series=series, change=change)


def test_copies_are_taken_once_wherever_they_are(tmp_path):
    write_twice(tmp_path, apart=0.0009)
    voxels, _, warnings = read(tmp_path)
    assert np.array_equal(voxels, hounsfield())
    assert warnings == ("6 slices appear twice in the series; each was used once.",)


def test_what_is_more_than_a_micrometer_apart_is_no_copy(tmp_path):
    write_twice(tmp_path, apart=0.0012)
    with pytest.raises(InputError, match="not evenly spaced"):
        read_scan(tmp_path)


# In which numbers


@pytest.mark.parametrize("without", [[0], [5], [1, 3, 5]])
def test_slices_without_a_rescale_among_others_are_refused(tmp_path, without):
    """Taken as they are, they would be 1000 HU brighter than their neighbors."""

    def change(index, image):
        if index in without:
            del image.RescaleSlope, image.RescaleIntercept

    write_series(tmp_path, hounsfield(), change=change)
    with pytest.raises(InputError, match=f"^{len(without)} of 6 slices .*rescale"):
        read_scan(tmp_path)


def test_frames_without_a_rescale_among_others_are_refused(tmp_path):
    image = enhanced(hounsfield())
    del image.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence
    save_dicom(image, tmp_path / "enhanced.dcm")
    with pytest.raises(InputError, match="^1 of 6 slices .*rescale"):
        read_scan(tmp_path)


# A tilted gantry


def ramp(x, y, z):
    """Hounsfield units that rise evenly in every direction, so that interpolation is exact."""
    return 4 * x - 3 * y + 2 * z


def write_sheared(folder, step, fraction=False, depth=6):
    """A ramp in slices each of which is a step farther; also in halves of Hounsfield units."""
    k, j, i = np.indices((depth, 30, 36))
    place = np.array([10, -20, 30]) + np.stack([0.5 * i, 0.7 * j, 0 * k], -1)
    voxels = ramp(*np.moveaxis(place + k[..., None] * np.array(step), -1, 0))

    def change(index, image):
        if fraction:
            image.RescaleSlope, image.RescaleIntercept = 1 / 32, -1000
            stored = np.rint((voxels[index] + 1000) * 32)
            image.PixelData = stored.astype("<u2").tobytes()

    kept = voxels * 0 if fraction else np.rint(voxels)
    write_series(folder, kept.astype(np.int16), UPRIGHT, step, change=change)


def errors_of(voxels, image) -> np.ndarray:
    """Difference of every voxel that is not padding from the ramp at its place."""
    k, j, i = np.indices(voxels.shape)
    origin, spacing = image.GetOrigin(), image.GetSpacing()
    x, y, z = (
        start + size * index for start, size, index in zip(origin, spacing, (i, j, k), strict=True)
    )
    return np.abs(voxels - ramp(x, y, z))[voxels > -1024]


@pytest.mark.parametrize(
    ("step", "size"),
    [
        ((0, 0.7, 2.5), (36, 30 + 5)),
        ((0, -0.7, 2.5), (36, 30 + 5)),
        ((0.4, 0, 2.5), (36 + 4, 30)),
        ((-0.4, 0, 2.5), (36 + 4, 30)),
        ((0.25, 0.35, 2.5), (36 + 3, 30 + 3)),
    ],
)
def test_a_tilt_in_any_direction_is_taken_back(tmp_path, step, size):
    write_sheared(tmp_path, step)
    voxels, image, warnings = read(tmp_path)
    angle = np.degrees(np.arctan2(np.hypot(*step[:2]), step[2]))
    assert f"tilted by {angle:.1f} degrees" in warnings[0]
    assert image.GetPixelID() == sitk.sitkInt16
    assert image.GetSize() == (*size, 6)
    assert image.GetDirection() == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    wrong = errors_of(voxels, image)
    assert wrong.size >= 6 * 29 * 35
    # Where a slice ends, a voxel may be half of what lies beyond.
    assert np.count_nonzero(wrong <= 1.1) >= 6 * 28 * 34


def test_a_tilt_leaves_fractions_of_hounsfield_units(tmp_path):
    write_sheared(tmp_path, (0, 0.7, 2.5), fraction=True)
    voxels, image, _ = read(tmp_path)
    assert image.GetPixelID() == sitk.sitkFloat32
    assert np.percentile(errors_of(voxels, image), 95) < 0.03


@pytest.mark.parametrize("axis", [0, 1])
def test_up_to_a_pixel_is_no_tilt(tmp_path, axis):
    """From the first to the last slice."""
    pixel = (0.5, 0.7)[axis]
    for name, pixels in (("less", 0.9), ("more", 1.3)):
        step = [0, 0, 2.5]
        step[axis] = pixels * pixel / 5
        write_sheared(tmp_path / name, step)
    voxels, image, warnings = read(tmp_path / "less")
    assert (voxels.shape, warnings) == ((6, 30, 36), ())
    assert image.GetOrigin() == pytest.approx((10, -20, 30))
    assert "tilted" in read(tmp_path / "more")[2][0]


@pytest.mark.parametrize(("degrees", "is_read"), [(34.5, True), (35.5, False)])
def test_no_gantry_tilts_further_than_35_degrees(tmp_path, degrees, is_read):
    write_sheared(tmp_path, (0, 2.5 * np.tan(np.radians(degrees)), 2.5))
    if is_read:
        assert "tilted by 34.5 degrees" in read(tmp_path)[2][0]
    else:
        with pytest.raises(InputError, match="gantry tilt cannot explain"):
            read_scan(tmp_path)


@pytest.mark.parametrize(("pixels", "is_read"), [(0.8, True), (1.3, False)])
def test_a_tilted_slice_may_be_a_pixel_off(tmp_path, pixels, is_read):
    step = np.array([0, 0.7, 2.5])
    place = np.array([10, -20 + pixels * 0.7, 30]) + 3 * step
    write_series(tmp_path, hounsfield(), step=step, change=at(3, ImagePositionPatient=[*place]))
    if is_read:
        assert "tilted" in read(tmp_path)[2][0]
    else:
        with pytest.raises(InputError, match="gantry tilt cannot explain"):
            read_scan(tmp_path)


# In which numbers


@pytest.mark.parametrize(
    ("slope", "intercept", "kept"),
    [
        (1, -1000, sitk.sitkInt16),
        (2, 7, sitk.sitkInt16),
        (0.5, -1000, sitk.sitkFloat32),
        (1, -1000.5, sitk.sitkFloat32),
        (1, -32768, sitk.sitkInt16),
        (1, -32769, sitk.sitkFloat32),
        (1, 32767 - 2879, sitk.sitkInt16),
        (1, 32768 - 2879, sitk.sitkFloat32),
    ],
)
def test_whole_numbers_are_kept_in_16_bits_where_they_fit(tmp_path, slope, intercept, kept):
    def change(index, image):
        image.RescaleSlope, image.RescaleIntercept = slope, intercept

    write_series(tmp_path, hounsfield(), change=change)
    voxels, image, _ = read(tmp_path)
    assert image.GetPixelID() == kept
    assert np.array_equal(voxels, (hounsfield() + 1000.0) * slope + intercept)


@pytest.mark.parametrize(
    ("edge", "inside"),
    [((0, 9), (1, 9)), ((19, 9), (18, 9)), ((9, 0), (9, 1)), ((9, 23), (9, 22))],
)
def test_padding_begins_at_an_edge_of_the_slice(tmp_path, edge, inside):
    """The same value anywhere else is tissue."""
    for name, pixel in (("edge", edge), ("inside", inside)):

        def change(index, image, pixel=pixel):
            stored = np.frombuffer(image.PixelData, "<u2").reshape(20, 24).copy()
            stored[pixel] = 5000
            image.add_new("PixelPaddingValue", "US", 5000)
            image.PixelData = stored.tobytes()

        write_series(tmp_path / name, hounsfield(), change=change)
    expected = hounsfield()
    expected[:, edge[0], edge[1]] = -1024
    assert np.array_equal(read(tmp_path / "edge")[0], expected)
    expected = hounsfield()
    expected[:, inside[0], inside[1]] = 4000
    assert np.array_equal(read(tmp_path / "inside")[0], expected)


@pytest.mark.parametrize(("value", "limit"), [(60000, 65535), (60023, 60000)])
def test_a_range_of_padding_may_be_given_from_either_end(tmp_path, value, limit):
    def change(index, image):
        stored = np.frombuffer(image.PixelData, "<u2").reshape(20, 24).copy()
        stored[-2:] = np.arange(60000, 60024)
        image.add_new("PixelPaddingValue", "US", value)
        image.add_new("PixelPaddingRangeLimit", "US", limit)
        image.PixelData = stored.tobytes()

    write_series(tmp_path, hounsfield(), change=change)
    expected = hounsfield()
    expected[:, -2:] = -1024
    assert np.array_equal(read(tmp_path)[0], expected)


def without(*keywords):
    """Take attributes out of every header."""

    def change(index, image):
        for keyword in keywords:
            delattr(image, keyword)

    return change


def test_without_rescale_the_stored_values_are_hounsfield_units(tmp_path):
    write_series(tmp_path, hounsfield(), change=without("RescaleSlope", "RescaleIntercept"))
    assert np.array_equal(read(tmp_path)[0], hounsfield() + 1000)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_half_a_rescale_is_refused(tmp_path, keyword):
    write_series(tmp_path, hounsfield(), change=without(keyword))
    with pytest.raises(InputError, match="rescale slope and intercept"):
        read_scan(tmp_path)


@pytest.mark.parametrize(("depth", "rows", "columns"), [(6, 5000, 4000), (130, 4096, 4095)])
def test_what_is_larger_than_any_ct_is_refused(tmp_path, depth, rows, columns):
    """A slice of more than 2^24 pixels, a volume of more than 2^31 voxels."""

    def change(index, image):
        image.Rows, image.Columns = rows, columns

    write_series(tmp_path, hounsfield(depth, 2, 2), change=change)
    with pytest.raises(InputError, match=f"{columns} x {rows} x {depth} voxels"):
        read_scan(tmp_path)


# Enhanced images


def test_what_a_frame_says_goes_before_what_all_share(tmp_path):
    image = enhanced(hounsfield())
    frame = image.PerFrameFunctionalGroupsSequence[5]
    measures = type(frame)()
    measures.PixelSpacing, measures.SliceThickness = [0.9, 0.9], 2.5
    frame.PixelMeasuresSequence = [measures]
    save_dicom(image, tmp_path / "enhanced")
    voxels, read_image, warnings = read(tmp_path)
    assert np.array_equal(voxels, hounsfield()[:5])
    assert "1 image" in warnings[0]
    assert read_image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))


def test_a_single_frame_is_as_thick_as_all_of_them(tmp_path):
    save_dicom(enhanced(hounsfield(1)), tmp_path / "enhanced")
    _, image, warnings = read(tmp_path / "enhanced")
    assert image.GetSpacing() == pytest.approx((0.5, 0.7, 2.5))
    assert warnings == ()


@pytest.mark.parametrize("depth", [2, 6])
def test_frames_without_positions_are_no_volume(tmp_path, depth):
    image = enhanced(hounsfield(depth))
    del image.PerFrameFunctionalGroupsSequence
    save_dicom(image, tmp_path / "enhanced")
    with pytest.raises(InputError, match="The frames of 'enhanced' have no position"):
        read_scan(tmp_path)
