"""Settings of a network and its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, fields
from typing import ClassVar, TypeVar

from ..errors import InputError

SEEDS = range(2**31)
"""What every random number generator accepts, also when increased by a few thousand."""

S = TypeVar("S", bound="NetworkSettings")


@dataclass(frozen=True)
class NetworkSettings:
    """Network, losses and optimization.

    Attributes
    ----------
    seed : int
        Same seed, same machine, CPU: the same result, bit for bit. One of `SEEDS`.
    channels, clusters : int
        Width C of the network and number of clusters K (paper, 3.1).
    inception, deformable : bool
        Off replaces the module by a simple convolution (paper, 4.3).
    iterations : int
        SGD steps, at most.
    learning_rate : float
        Of SGD (paper, 4.1).
    weight_cross_entropy, weight_affine, weight_spatial : float
        Weights of the three losses (paper, equation 7); 0 leaves a term out, but not all.
    """

    seed: int = 0
    channels: int = 32
    clusters: int = 32
    inception: bool = True
    deformable: bool = True
    iterations: int = 30
    learning_rate: float = 0.1
    weight_cross_entropy: float = 1.0
    weight_affine: float = 0.5
    weight_spatial: float = 0.6

    MINIMA: ClassVar[Mapping[str, float]] = {
        "channels": 1,
        "clusters": 2,
        "iterations": 1,
        "learning_rate": 0,
        "weight_cross_entropy": 0,
        "weight_affine": 0,
        "weight_spatial": 0,
    }
    OPTIONS: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _converted(field, getattr(self, field.name)))
        for name, options in self.OPTIONS.items():
            if getattr(self, name) not in options:
                raise InputError(
                    f"There is no {name} '{getattr(self, name)}'; choose one of "
                    f"{', '.join(options)}."
                )
        for name, minimum in self.MINIMA.items():
            if not getattr(self, name) >= minimum:  # which is so of NaN, too
                raise InputError(f"The setting '{name}' must be at least {minimum}.")
        if self.seed not in SEEDS:
            raise InputError(f"The setting 'seed' must be from 0 to {SEEDS[-1]}.")
        if self.weight_cross_entropy == self.weight_affine == self.weight_spatial == 0:
            raise InputError("At least one of the weights of the losses must be more than 0.")

    @classmethod
    def from_dict(cls: type[S], values: dict) -> S:
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


def _converted(field: Field, value: object) -> object:
    """The value of a setting as Python's own type: neither torch nor JSON takes numpy's.

    Raises
    ------
    InputError
        If it is of another kind.
    """
    kind, description = _KINDS[str(field.type)]  # annotations are text here
    is_nan = value != value
    try:
        if is_nan or kind(value) == value:
            return kind(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"The setting '{field.name}' must be {description}, not {value!r}.")


_KINDS = {
    "str": (str, "text"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
}
