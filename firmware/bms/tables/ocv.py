"""Open-circuit voltage of a resting cell in mV at 0, 5, ... 100 % state of charge, by chemistry.

At 25 degC, hysteresis aside, as `cellkeeper identify` found it for the cell named at each row.
"""

STEP_CPCT = 500

OCV_MV = (
    # nmc: LG 18650HG2 (Kollmeyer et al., Mendeley Data, doi 10.17632/cp3473x7xv.3)
    (2800, 3145, 3288, 3420, 3480, 3525, 3563, 3607, 3647, 3684, 3731, 3781, 3830, 3869, 3909, 3962, 4018, 4062, 4086, 4109, 4180),
    # nca: Panasonic NCR18650PF (Kollmeyer, Mendeley Data, doi 10.17632/wykht8y7tg.1)
    (3184, 3317, 3362, 3405, 3478, 3515, 3546, 3581, 3607, 3638, 3675, 3716, 3763, 3814, 3851, 3903, 3948, 4005, 4065, 4108, 4167),
    # lfp: A123 ANR26650
    (2081, 2894, 3132, 3202, 3224, 3245, 3260, 3274, 3289, 3295, 3298, 3301, 3304, 3309, 3316, 3326, 3334, 3340, 3344, 3352, 3590),
)  # fmt: skip
