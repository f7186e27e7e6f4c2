"""How fast the product is on this machine, beside its own budgets and the raw engine."""
