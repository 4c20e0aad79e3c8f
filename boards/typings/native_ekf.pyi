# firmware/native/ekf.c, where the board has it
from bms.estimate.ekf_sample import observe as observe
