"""Hounsfield units that several steps rely on."""

AIR_HU = -1000
"""Air, by the definition of the unit."""

EMPHYSEMA_HU = -950
"""Below it lung counts as emphysematous (Gevenois et al., Am J Respir Crit Care Med 1996)."""

AIR_TRAPPING_HU = -856
"""Below it lung that has breathed out holds trapped air (Schroeder et al., AJR 2013)."""

AERATED_HU = -500
"""Below it lung counts as normally aerated (Gattinoni et al., Am J Respir Crit Care Med 2001). On
no plateau. A brighter value takes in hazy lung, and the border of bowel gas."""

LUNG_HU = -850
"""Healthy lung, breathed in: -900 to -700, the darker, the deeper the breath."""

AIR_OR_LUNG_HU = -400
"""Midway between lung and soft tissue; what is darker is air or lung. Hu et al. (IEEE Trans Med
Imaging 2001) take the middle of both means, scan by scan. Flat from -500 to -300."""

SOFT_TISSUE_HU = 40
"""Muscle and blood without contrast agent: 30 to 60. Flat from 24 to 64."""

GAS_MARGIN_HU = 45
"""Hounsfield units above the air around the patient that still count as air. Bowel gas is nothing
but air; lung, however emphysematous, also contains vessels and walls. No effect from 27 to 72."""
