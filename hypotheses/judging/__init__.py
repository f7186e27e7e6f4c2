"""The method of docs/judging.md: arrays in, arrays out. Imports numpy and scipy alone."""
