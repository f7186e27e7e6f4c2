"""What every page of runs asks: numbers of the metric store (or its absence), metrics by section, the runs that an address selects.

Experiments come in. Imports the models, the language and the metric store; never a page."""
