"""How numbers, params and colours of runs are written, everywhere alike. Pure: values in, words out; imports nothing of the house."""
