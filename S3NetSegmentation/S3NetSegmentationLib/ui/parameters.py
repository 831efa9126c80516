"""What the user sets in the panel, kept in the scene, and what it means for the engine."""

import enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import slicer
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..settings import MAX_TISSUES, Settings

DEFAULT = Settings()


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
    mode, workingSize, seed, removeAirways, fillVessels, tissues
        As of `Settings`.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    roi: vtkMRMLMarkupsROINode
    limitToSlab: bool = False
    slabBottom: Annotated[float, WithinRange(-10000, 10000)] = 0
    slabTop: Annotated[float, WithinRange(-10000, 10000)] = 0
    mode: Mode = Mode(DEFAULT.mode)
    workingSize: Annotated[int, WithinRange(32, 512)] = DEFAULT.working_size
    seed: Annotated[int, WithinRange(0, 999999)] = DEFAULT.seed
    removeAirways: bool = DEFAULT.remove_airways
    fillVessels: bool = DEFAULT.fill_vessels
    tissues: Annotated[int, WithinRange(4, MAX_TISSUES)] = DEFAULT.tissues

    if TYPE_CHECKING:  # what the wrapper adds

        def __init__(self, parameterNode: slicer.vtkMRMLScriptedModuleNode): ...

        def default(self, name: str) -> slicer.parameterNodeWrapper.Default:
            """Holds the default `value` of a parameter."""

        def connectGui(self, ui: SimpleNamespace) -> int:
            """Keep widgets in step with the parameters; a tag to disconnect them with."""

        def disconnectGui(self, tag: int) -> None:
            """The inverse of `connectGui`."""


def settingsOf(parameters: S3NetSegmentationParameterNode, device: str) -> Settings:
    """The engine's settings that the panel shows, for a device such as ``"auto"``."""
    return Settings(
        mode=parameters.mode.value,
        device=device,
        working_size=parameters.workingSize,
        seed=parameters.seed,
        remove_airways=parameters.removeAirways,
        fill_vessels=parameters.fillVessels,
        tissues=parameters.tissues,
    )


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


TO_RESET = (
    *("limitToSlab", "slabBottom", "slabTop"),
    *("mode", "workingSize", "seed", "removeAirways", "fillVessels", "tissues"),
)


def resetParameters(parameters: S3NetSegmentationParameterNode) -> None:
    """Set everything but the scan and its segmentation back to its default."""
    with slicer.util.NodeModify(parameters):
        parameters.roi = None
        for name in TO_RESET:
            setattr(parameters, name, parameters.default(name).value)
