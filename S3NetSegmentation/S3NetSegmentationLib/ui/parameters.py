"""What the user sets in the panel, kept in the scene, and what it means for the engine."""

import enum
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import slicer
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..settings import PRESETS, Settings

DEFAULT = Settings()


class Preset(enum.Enum):
    """A name in `PRESETS`, with the title that the panel shows."""

    LUNG_CT = "lung-ct"
    LUNG_CT_PAPER = "lung-ct-paper"

    def label(self) -> str:
        """Title for the user."""
        titles = {
            Preset.LUNG_CT: _("Lung CT"),
            Preset.LUNG_CT_PAPER: _("Lung CT, as in the paper (slow)"),
        }
        return titles[self]


class Mode(enum.Enum):
    """A mode of `Settings`, with the title that the panel shows."""

    VOLUME = "volume"
    SLICE = "slice"

    def label(self) -> str:
        """Title for the user."""
        titles = {
            Mode.VOLUME: _("One network for the whole scan"),
            Mode.SLICE: _("One network for every slice (slow)"),
        }
        return titles[self]


@parameterNodeWrapper
class S3NetSegmentationParameterNode:
    """The panel's parameters.

    Attributes
    ----------
    inputVolume
        The chest CT.
    outputSegmentation
        Updated by a run; a run without it makes one.
    roi, limitToSlab, slabBottom, slabTop
        What limits the work; the slab in mm, inferior to superior.
    preset, mode, workingSize, iterations, seed
        As of `Settings`.
    weightCrossEntropy, weightAffine, weightSpatial
        As of `Settings`.
    useIntensity, removeAirways, fillVessels
        As of `Settings`.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    roi: vtkMRMLMarkupsROINode
    limitToSlab: bool = False
    slabBottom: Annotated[float, WithinRange(-10000, 10000)] = 0
    slabTop: Annotated[float, WithinRange(-10000, 10000)] = 0
    preset: Preset = Preset.LUNG_CT
    mode: Mode = Mode(DEFAULT.mode)
    workingSize: Annotated[int, WithinRange(32, 512)] = DEFAULT.working_size
    iterations: Annotated[int, WithinRange(1, 500)] = DEFAULT.iterations
    weightCrossEntropy: Annotated[float, WithinRange(0, 100)] = DEFAULT.weight_cross_entropy
    weightAffine: Annotated[float, WithinRange(0, 100)] = DEFAULT.weight_affine
    weightSpatial: Annotated[float, WithinRange(0, 100)] = DEFAULT.weight_spatial
    seed: Annotated[int, WithinRange(0, 999999)] = DEFAULT.seed
    useIntensity: bool = DEFAULT.use_intensity
    removeAirways: bool = DEFAULT.remove_airways
    fillVessels: bool = DEFAULT.fill_vessels

    if TYPE_CHECKING:  # what the wrapper adds

        def __init__(self, parameterNode: slicer.vtkMRMLScriptedModuleNode): ...

        def default(self, name: str) -> slicer.parameterNodeWrapper.Default:
            """Holds the default `value` of a parameter."""

        def connectGui(self, ui: SimpleNamespace) -> int:
            """Keep widgets in step with the parameters; a tag to disconnect them with."""

        def disconnectGui(self, tag: int) -> None:
            """The inverse of `connectGui`."""


SETTING_OF = {
    "workingSize": "working_size",
    "iterations": "iterations",
    "weightCrossEntropy": "weight_cross_entropy",
    "weightAffine": "weight_affine",
    "weightSpatial": "weight_spatial",
    "seed": "seed",
    "useIntensity": "use_intensity",
    "removeAirways": "remove_airways",
    "fillVessels": "fill_vessels",
}
"""Parameter: the field of `Settings` that it stands for. What is not in here, such as the
network's width, comes from the preset."""


def settingsOf(parameters: S3NetSegmentationParameterNode, device: str) -> Settings:
    """The engine's settings that the panel shows, for a device such as ``"auto"``."""
    changes = {field: getattr(parameters, name) for name, field in SETTING_OF.items()}
    return replace(
        PRESETS[parameters.preset.value], mode=parameters.mode.value, device=device, **changes
    )


def showPreset(parameters: S3NetSegmentationParameterNode, preset: Preset) -> None:
    """Put the values of a preset into the panel, where the user can change them."""
    settings = PRESETS[preset.value]
    with slicer.util.NodeModify(parameters):
        parameters.preset = preset
        parameters.mode = Mode(settings.mode)
        for name, field in SETTING_OF.items():
            setattr(parameters, name, getattr(settings, field))


def slabOf(parameters: S3NetSegmentationParameterNode) -> tuple[float, float] | None:
    """Lowest and highest position in mm to which the work is limited, or None."""
    if not parameters.limitToSlab:
        return None
    return parameters.slabBottom, parameters.slabTop


def suggestSlab(parameters: S3NetSegmentationParameterNode) -> None:
    """Set a slab that is not set yet to the whole height of the volume."""
    if parameters.slabBottom == parameters.slabTop and parameters.inputVolume:
        bounds = [0.0] * 6
        parameters.inputVolume.GetRASBounds(bounds)
        parameters.slabBottom, parameters.slabTop = bounds[4:]


def resetParameters(parameters: S3NetSegmentationParameterNode) -> None:
    """Set everything in the section 'Advanced' back to its default."""
    with slicer.util.NodeModify(parameters):
        parameters.roi = None
        for name in ("limitToSlab", "slabBottom", "slabTop"):
            setattr(parameters, name, parameters.default(name).value)
        showPreset(parameters, Preset.LUNG_CT)
