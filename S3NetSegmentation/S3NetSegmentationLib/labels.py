"""The two lungs in a label map."""

RIGHT, LEFT = 1, 2
"""Values of the patient's right and left lung; 0 is background."""

LUNG_NAMES = {RIGHT: "right lung", LEFT: "left lung"}
