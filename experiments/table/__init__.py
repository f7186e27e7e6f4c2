"""The table of a project: an address in; rows in their columns, or a whole file, out. Imports `readings` and `language`; never another page."""
