"""What can be set, and what can't."""

import json

import numpy as np
import pytest
from S3NetSegmentationLib import PICTURE_PRESETS, PRESETS, Settings
from S3NetSegmentationLib.errors import InputError


@pytest.mark.parametrize("settings", [*PRESETS.values(), *PICTURE_PRESETS.values()])
def test_settings_survive_a_file(settings):
    kind = type(settings)
    assert kind.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


def test_numbers_may_be_those_of_numpy():
    """As in a loop over seeds or widths; torch and JSON take none of them."""
    settings = Settings(
        seed=np.arange(3)[2],
        channels=16.0,
        learning_rate=np.float32(0.5),
        inception=np.bool_(False),
    )
    assert settings == Settings(seed=2, channels=16, learning_rate=0.5, inception=False)
    assert json.loads(json.dumps(settings.as_dict())) == settings.as_dict()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("iterations", 2.5, "a whole number, not 2.5"),
        ("iterations", "30", "a whole number, not '30'"),
        ("iterations", float("nan"), "a whole number, not nan"),
        ("clusters", float("inf"), "a whole number, not inf"),
        ("seed", None, "a whole number, not None"),
        ("seed", -1, "from 0 to 2147483647"),
        ("seed", 2**64, "from 0 to 2147483647"),
        ("learning_rate", "fast", "a number, not 'fast'"),
        ("learning_rate", float("nan"), "at least 0"),
        ("inception", "no", "true or false, not 'no'"),
        ("device", None, "text, not None"),
        ("border", 0, "more than 0 and less than 1"),
        ("border", 1, "more than 0 and less than 1"),
        ("border", float("nan"), "more than 0 and less than 1"),
    ],
)
def test_what_is_no_setting_is_refused(name, value, why):
    with pytest.raises(InputError, match=rf"^The setting '{name}' must be {why}\.$"):
        Settings(**{name: value})


def test_a_fit_needs_something_to_go_by():
    with pytest.raises(InputError, match="must be more than 0"):
        Settings(weight_cross_entropy=0, weight_affine=0, weight_spatial=0)
