"""Single pictures: photographs of skin, and CT slices without their Hounsfield units."""
