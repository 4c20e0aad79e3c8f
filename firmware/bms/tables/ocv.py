"""Open-circuit voltage of a resting cell in mV at 0, 5, ... 100 % state of charge, by chemistry.

Mean of the C/20 charge and discharge curves at 25 degC of the cells named in each row.
"""

STEP_CPCT = 500

OCV_MV = (
    # nmc: LG 18650HG2 (Kollmeyer et al., Mendeley Data, doi 10.17632/cp3473x7xv.3)
    (2800, 3130, 3260, 3360, 3430, 3480, 3520, 3560, 3590, 3620, 3650, 3690, 3740, 3790, 3850, 3910, 3960, 4010, 4060, 4090, 4180),
    # nca: Panasonic NCR18650PF
    (2500, 3080, 3230, 3340, 3420, 3480, 3530, 3560, 3590, 3620, 3650, 3690, 3740, 3790, 3850, 3900, 3950, 4000, 4050, 4080, 4170),
    # lfp: A123 26650
    (2500, 3050, 3180, 3210, 3240, 3260, 3275, 3285, 3290, 3293, 3295, 3297, 3300, 3310, 3325, 3332, 3334, 3335, 3337, 3340, 3450),
)  # fmt: skip
