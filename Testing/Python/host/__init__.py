"""Stand-ins for the part of Slicer that only exists in the application: qt, ctk, its widgets.

What can be had is real: the MRML scene and `slicer.util` of slicer-core, Qt itself by PySide6,
VTK's interactors, and, where ``SLICER_SOURCE_DIR`` names a checkout of Slicer's sources, Slicer's
own `ScriptedLoadableModule`, `parameterNodeWrapper` and `packaging`.
"""
