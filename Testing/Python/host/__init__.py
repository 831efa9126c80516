"""Stand-ins for the part of Slicer that only exists in the application: qt, ctk, its widgets.

What can be had is real: the MRML scene and `slicer.util` of slicer-core, Qt itself by PySide6,
VTK's interactors.

`scripted` stands in for Slicer's `i18n`, `ScriptedLoadableModule` and `parameterNodeWrapper`, which
are plain Python but in no package: of their folder in Slicer's repository, slicer-core (5.11 to
5.13) ships `util` alone, and nothing else on PyPI, in Debian or on npm was found to have them. With
a checkout of Slicer, its own ones take their place; the panel's tests pass with those of 5.10, 5.12
and the main branch of August 2026. `statistics` does the same for Segment Statistics, whose own
volume and mean are compared with ours then:

    git clone --depth 1 --branch v5.12.3 --sparse https://github.com/Slicer/Slicer.git
    git -C Slicer sparse-checkout set Base/Python/slicer Modules/Scripted/SegmentStatistics
    SLICER_SOURCE_DIR=$PWD/Slicer .venv/bin/python -m pytest Testing/Python/widget
"""
