"""What can be set for a scan and for a picture, and the presets."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InputError
from .s3net.settings import NetworkSettings

MODES = ("volume", "slice")

MAX_TISSUES = 32

CHOICES = ("central", "darkest", "brightest")


@dataclass(frozen=True)
class Settings(NetworkSettings):
    """How a scan is segmented; beside what is here, all of `NetworkSettings`.

    Attributes
    ----------
    mode : {"volume", "slice"}
        ``"volume"`` fits one network to slices spread over the scan and applies it to all of
        them; ``"slice"`` fits an independent network to every slice, as the paper does.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
    gpu_memory_gb : float
        In ``slice`` mode, how much of a CUDA GPU's memory to use, at most, in gigabytes: the
        more, the more networks are fitted at once.
    working_size : int
        Pixels along the longer side of the body, as the network sees it.
    fitted_slices : int
        In ``volume`` mode, how many slices the network is fitted to. From 4 to 8 the lungs of 4
        chests are the same within 0.0001 Dice.
    use_intensity : bool
        Decide the boundary by intensity beside the score map.
    remove_airways, fill_vessels : bool
        Remove the trachea and the main bronchi from the lungs; include vessels.
    border : float
        Where the border of the lungs lies, as a share of the way from lung to what surrounds it,
        more than 0 and less than 1: it is midway, and many readers draw it at 0.7.
    tissues : int
        How many tissues the clusters are merged into for a person to choose from, at most, 4 to
        32. Up to 8, there is one of each kind.
    """

    mode: str = "volume"
    device: str = "auto"
    gpu_memory_gb: float = 4.0
    working_size: int = 128
    fitted_slices: int = 4
    use_intensity: bool = True
    remove_airways: bool = True
    fill_vessels: bool = True
    border: float = 0.5
    tissues: int = 8

    OPTIONS = {"mode": MODES}
    MINIMA = {
        **NetworkSettings.MINIMA,
        "gpu_memory_gb": 0,
        "working_size": 32,
        "fitted_slices": 1,
        "tissues": 4,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tissues > MAX_TISSUES:
            raise InputError(f"The setting 'tissues' must be at most {MAX_TISSUES}.")
        if not 0 < self.border < 1:
            raise InputError("The setting 'border' must be more than 0 and less than 1.")


@dataclass(frozen=True)
class PictureSettings(NetworkSettings):
    """How a picture, such as a photograph of skin, is segmented.

    Beside what is here, all of `NetworkSettings`.

    Attributes
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
    working_size : int
        Pixels along the longer side, as the network sees it.
    use_intensity : bool
        Decide the boundary by color beside the score map.
    choice : {"central", "darkest", "brightest"}
        Which region is looked for.
    regions : int
        To how many regions the clusters are merged; 0 leaves them as they are.
    fits : int
        How many fits, of consecutive seeds, decide together.
    """

    weight_cross_entropy: float = 1.2
    weight_affine: float = 0.3
    weight_spatial: float = 0.3
    device: str = "auto"
    working_size: int = 64
    use_intensity: bool = True
    choice: str = "central"
    regions: int = 2
    fits: int = 5

    OPTIONS = {"choice": CHOICES}
    MINIMA = {**NetworkSettings.MINIMA, "working_size": 32, "regions": 0, "fits": 1}


PRESETS = {"lung-ct": Settings()}
"""For scans."""

PICTURE_PRESETS = {"skin": PictureSettings()}
"""For pictures."""
