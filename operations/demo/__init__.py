"""The recordings of the first start, and how they become runs and hypotheses: written through the same verbs as everyone's. Nobody below imports it."""
