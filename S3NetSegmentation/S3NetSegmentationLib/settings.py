"""Everything a user can set, with the presets. Plain data: no image, no torch."""

from __future__ import annotations

from dataclasses import Field, asdict, dataclass, fields, replace
from typing import Any

from .errors import InputError

MODES = ("volume", "slice")

CHOICES = ("lung", "central", "darkest", "brightest")

SEEDS = range(2**31)
"""What every generator of random numbers takes, also some thousand farther on."""


@dataclass(frozen=True)
class Settings:
    """How a scan is segmented.

    Attributes
    ----------
    mode : {"volume", "slice"}
        ``"volume"`` fits one network to slices spread over the scan and applies it to all of
        them; ``"slice"`` fits an independent network to every slice, as the paper does.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
    gpu_memory_gb : float
        How much of a CUDA GPU's memory ``slice`` mode uses, at most, in gigabytes: the more, the
        more networks are fitted at once.
    seed : int
        Same seed, same machine, CPU: the same result, bit for bit. One of `SEEDS`.
    working_size : int
        Pixels along the longer side of the body, as the network sees it.
    fitted_slices : int
        How many slices the network is fitted to in ``volume`` mode.
    channels, clusters, blocks : int
        Width C, number of clusters K and number of I-LKA blocks N (paper, 3.1 and 3.2).
    inception, deformable : bool
        Off replaces the module by a simple convolution (paper, 4.3).
    iterations : int
        SGD steps, at most.
    learning_rate, momentum : float
        Of SGD (paper, 4.1).
    offset_rate : float
        Learning rate of the predicted offsets, as a share of `learning_rate`.
    weight_cross_entropy, weight_affine, weight_spatial : float
        Weights of the three losses (paper, equation 7); 0 leaves a term out, but not all.
    refits : int
        How often a collapsed or diverged fit is repeated with another seed, at most.
    use_intensity : bool
        Decide the boundary by intensity beside the score map (paper, 4).
    remove_airways, fill_vessels : bool
        Remove the trachea and the main bronchi from the lungs; take vessels in.
    choice : {"lung", "central", "darkest", "brightest"}
        What is looked for. All but ``"lung"`` are for pictures: the region most in the middle,
        the darkest, the brightest.
    regions : int
        To how many the clusters of a picture are merged; 0 leaves them as they are.
    fits : int
        How many fits to a picture, of consecutive seeds, decide together.
    least_clusters : int
        A fit ends when no more clusters than these are left, and its last iterate is kept
        (the authors' code); 0 keeps the iterate that explains most of the intensity.
    """

    mode: str = "volume"
    device: str = "auto"
    gpu_memory_gb: float = 4.0
    seed: int = 0
    working_size: int = 128
    fitted_slices: int = 8
    channels: int = 32
    clusters: int = 32
    blocks: int = 2
    inception: bool = True
    deformable: bool = True
    iterations: int = 30
    learning_rate: float = 0.1
    momentum: float = 0.9
    offset_rate: float = 0.01
    weight_cross_entropy: float = 1.0
    weight_affine: float = 0.5
    weight_spatial: float = 0.6
    refits: int = 2
    use_intensity: bool = True
    remove_airways: bool = True
    fill_vessels: bool = True
    choice: str = "lung"
    regions: int = 0
    fits: int = 1
    least_clusters: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _plain(field, getattr(self, field.name)))
        if self.mode not in MODES:
            raise InputError(f"There is no mode '{self.mode}'; choose one of {', '.join(MODES)}.")
        if self.choice not in CHOICES:
            raise InputError(
                f"There is no choice '{self.choice}'; choose one of {', '.join(CHOICES)}."
            )
        for name, least in _MINIMA.items():
            if not getattr(self, name) >= least:  # which is so of what is no number, too
                raise InputError(f"The setting '{name}' must be at least {least}.")
        if self.seed not in SEEDS:
            raise InputError(f"The setting 'seed' must be from 0 to {SEEDS[-1]}.")
        if self.weight_cross_entropy == self.weight_affine == self.weight_spatial == 0:
            raise InputError("At least one of the weights of the losses must be more than 0.")

    @classmethod
    def from_preset(cls, name: str, **changes: Any) -> Settings:
        """Settings of a preset, with some of them changed.

        Raises
        ------
        InputError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise InputError(f"There is no preset '{name}'; choose one of {', '.join(PRESETS)}.")
        return replace(PRESETS[name], **changes)

    @classmethod
    def from_dict(cls, values: dict) -> Settings:
        """The inverse of `as_dict`.

        Raises
        ------
        InputError
            If a key is not a setting.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(f"There is no setting '{sorted(unknown)[0]}'.")
        return cls(**values)

    def as_dict(self) -> dict:
        """The settings as a flat dictionary that JSON can hold."""
        return asdict(self)


def _plain(field: Field, value: object) -> object:
    """The value of a setting as Python's own type, which JSON and torch take; numpy's they don't.

    Raises
    ------
    InputError
        If it is of another kind.
    """
    kind, called = _KINDS[str(field.type)]  # which is its name, annotations being text here
    is_nan = value != value  # equal to nothing, and refused for being no number later
    try:
        if is_nan or kind(value) == value:
            return kind(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"The setting '{field.name}' must be {called}, not {value!r}.")


_KINDS = {
    "str": (str, "text"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
}

_MINIMA = {
    "gpu_memory_gb": 0,
    "working_size": 32,
    "fitted_slices": 1,
    "channels": 1,
    "clusters": 2,
    "blocks": 0,
    "iterations": 1,
    "learning_rate": 0,
    "momentum": 0,
    "offset_rate": 0,
    "weight_cross_entropy": 0,
    "weight_affine": 0,
    "weight_spatial": 0,
    "refits": 0,
    "regions": 0,
    "fits": 1,
    "least_clusters": 0,
}

PRESETS = {
    "lung-ct": Settings(),
    "lung-ct-paper": Settings(
        mode="slice",
        working_size=256,
        channels=64,
        clusters=64,
        iterations=50,
        learning_rate=0.36,
    ),
    "skin": Settings(
        working_size=64,
        weight_cross_entropy=1.2,
        weight_affine=0.3,
        weight_spatial=0.3,
        choice="central",
        regions=2,
        fits=5,
    ),
    "skin-paper": Settings(
        working_size=256,
        channels=64,
        clusters=64,
        iterations=50,
        learning_rate=0.36,
        weight_cross_entropy=1.2,
        weight_affine=0.3,
        weight_spatial=0.3,
        use_intensity=False,
        choice="central",
        least_clusters=3,
    ),
}
"""For each subject the best default, and the formulation of the paper (section 4.1)."""

PRESET_TITLES = {
    "lung-ct": "Lung CT",
    "lung-ct-paper": "Lung CT, as in the paper",
    "skin": "Skin",
    "skin-paper": "Skin, as in the paper",
}
"""What to call the presets before a user."""
