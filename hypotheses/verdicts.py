"""From a case to a judgement: comparisons, gates, the score, and the sentence that a person reads. Pure."""
