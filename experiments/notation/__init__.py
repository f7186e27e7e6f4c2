"""How numbers, params and colours of runs are written, everywhere alike, and which params are equal. Pure: values in, words out; imports nothing of the house."""
