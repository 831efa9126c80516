"""Validate records: they come from outside, like any file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from ..lung.densitometry import QUANTITIES, REGIONS

MAX_FIGURE = 1e300
"""Larger than any real figure; larger ones can't be printed."""

Check = Callable[[object], bool]


def is_record(
    content: object, name: str, statuses: Collection[str], files: Collection[str]
) -> bool:
    """Whether a record can be trusted: in the table, in the report, and to remove files.

    Parameters
    ----------
    content
        Parsed JSON.
    name : str
        Name of the scan.
    statuses : collection of str
        The statuses that a scan may have.
    files : collection of str
        Names of the outputs that this scan may have.
    """
    required: dict[str, Check] = {
        "name": lambda value: value == name,
        "status": lambda value: value in statuses,
        "error": _is_text,
        "warnings": _all(_is_text),
        "files": _all(lambda value: value in files),
        "fingerprint": _is_text,
        "formats": _all(_is_text),
    }
    optional: dict[str, Check] = {
        "hints": _all(_is_text),
        "quality": _is_figure,
        "seconds": _is_figure,
        "attempts": _is_figure,
        "numbers": _are_numbers,
        "image": lambda value: (
            isinstance(value, dict) and all(map(_all(_is_number), value.values()))
        ),
        "settings": lambda value: isinstance(value, dict),
    }
    return (
        isinstance(content, dict)
        and _is_text(json.dumps(content, ensure_ascii=False))
        and all(key in content and check(content[key]) for key, check in required.items())
        and all(check(content[key]) for key, check in optional.items() if key in content)
    )


def _are_numbers(value: object) -> bool:
    """Whether it has every quantity of every region, and all volumes are numbers."""
    return (
        isinstance(value, dict)
        and value.keys() == REGIONS.keys()
        and all(
            isinstance(numbers, dict)
            and numbers.keys() == {each.key for each in QUANTITIES}
            and _is_number(numbers["volume_ml"])
            and all(map(_is_figure, numbers.values()))
            for numbers in value.values()
        )
    )


def _all(check: Check) -> Check:
    """A check for lists whose values all pass."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_text(value: object) -> bool:
    """Whether it is text that can be encoded: JSON may contain halves of characters."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < MAX_FIGURE


def _is_figure(value: object) -> bool:
    """Whether it is a number, or None for a missing one."""
    return value is None or _is_number(value)
