# firmware/native/lstm.c, where the board has it
from bms.estimate.lstm_kernel import step as step
