"""From a case (what is claimed, who is compared, what was measured) to a judgement with its sentences. Pure; imports `judging`."""
