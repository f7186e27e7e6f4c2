"""Where things lie in the drawings of evidence: numbers in, places out. Pure geometry; imports `weighing.cases` and `experiments.notation`."""
