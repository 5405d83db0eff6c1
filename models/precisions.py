"""The precisions that our engines compute in, by their names in settings, tables and files."""

from typing import Final

FP32: Final = "fp32"  #: what the weights were trained in; every engine has it on every machine
BF16: Final = "bf16"  #: half the size, and faster where the hardware has it
INT8: Final = "int8"  #: faster still; it has to be calibrated on images of the archive
CASCADE: Final = "cascade"  #: int8, and the automatic one of those above for images of which int8 is not sure
