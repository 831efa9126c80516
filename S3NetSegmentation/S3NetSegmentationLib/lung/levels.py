"""Hounsfield units that several steps rely on."""

AIR_HU = -1000
"""Air, by the definition of the unit."""

EMPHYSEMA_HU = -950
"""Below it lung counts as emphysematous (Gevenois et al. 1996)."""

AERATED_HU = -500
"""Below it lung counts as well aerated (Gattinoni et al. 2001)."""

LUNG_HU = -850
"""Healthy lung, breathed in."""

AIR_OR_LUNG_HU = -400
"""Midway between lung and soft tissue; what is darker is one of the two."""

SOFT_TISSUE_HU = 40
"""Muscle and blood."""

GAS_MARGIN_HU = 45
"""Hounsfield units about the air around the patient that still are air. Bowel gas is air and
nothing else; lung, however emphysematous, also holds vessels and walls."""
