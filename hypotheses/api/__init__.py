"""Hypotheses, their judgements and attribution for scripts. Nobody imports it but the addresses."""
