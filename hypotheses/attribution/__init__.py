"""Which change did it: effects over the arms of a project, and their page. Imports `judging` and `experiments.readings`."""
