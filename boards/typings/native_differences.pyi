# firmware/native/differences.c, where the board has it
from bms.estimate.differences_kernel import follow as follow
