"""The two lungs as segments: names, colors and terminology, the same in files and in Slicer."""

from __future__ import annotations

from dataclasses import dataclass

from ..labels import LEFT, LUNG_NAMES, RIGHT


@dataclass(frozen=True)
class LungSegment:
    """One lung as Slicer shows it.

    Attributes
    ----------
    label : int
        Value in the lung label map.
    segment_id, name : str
    color : tuple of float
        Red, green, blue, 0 to 1.
    laterality : tuple of str
        Code and meaning of the side in SNOMED CT.
    """

    label: int
    segment_id: str
    name: str
    color: tuple[float, float, float]
    laterality: tuple[str, str]

    @property
    def terminology(self) -> str:
        """The segment's terminology entry, serialized as Slicer does."""
        return "~".join(
            [
                "Segmentation category and type - 3D Slicer General Anatomy list",
                "SCT^123037004^Anatomical Structure",
                "SCT^39607008^Lung",
                "SCT^{}^{}".format(*self.laterality),
                "Anatomic codes - DICOM master list",
                "^^",
                "^^",
            ]
        )


# Slicer recommends (197, 165, 145) for both lungs; the left one is tinted to tell them apart.
LUNG_SEGMENTS = (
    LungSegment(
        RIGHT,
        "right_lung",
        LUNG_NAMES[RIGHT],
        (197 / 255, 165 / 255, 145 / 255),
        ("24028007", "Right"),
    ),
    LungSegment(
        LEFT,
        "left_lung",
        LUNG_NAMES[LEFT],
        (145 / 255, 177 / 255, 197 / 255),
        ("7771000", "Left"),
    ),
)
