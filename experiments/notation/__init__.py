"""How numbers, params and colours of runs are written, everywhere alike, and which values are equal. Pure; imports nothing of the house."""
