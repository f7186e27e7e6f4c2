"""Claims about what helps, and how they are judged again and again.

`models` and `claims` are the record; `judging` and `weighing` are the method, pure; `judgements` joins the two. In the record a hypothesis knows
experiments, metrics and alerts, and nobody below knows it."""
