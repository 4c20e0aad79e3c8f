"""Open-circuit voltage of a resting cell in mV at 0, 5, ... 100 % state of charge, by chemistry.

Mean of the slow (C/20) charge and discharge curves at 25 degC of the cell named at each row.
"""

STEP_CPCT = 500

OCV_MV = (
    # nmc: LG 18650HG2 (Kollmeyer et al., Mendeley Data, doi 10.17632/cp3473x7xv.3)
    (2879, 3233, 3359, 3439, 3502, 3545, 3596, 3631, 3661, 3697, 3740, 3789, 3844, 3893, 3933, 3978, 4030, 4072, 4091, 4115, 4188),
    # nca: Panasonic NCR18650PF (Kollmeyer, Mendeley Data, doi 10.17632/wykht8y7tg.1)
    (2713, 3311, 3364, 3427, 3486, 3533, 3566, 3594, 3621, 3650, 3685, 3733, 3788, 3834, 3876, 3916, 3962, 4016, 4069, 4112, 4185),
    # lfp: A123 ANR26650
    (2161, 3037, 3183, 3219, 3245, 3264, 3280, 3292, 3302, 3306, 3308, 3312, 3317, 3323, 3330, 3341, 3346, 3348, 3352, 3366, 3590),
)  # fmt: skip
