"""The verbs of the record: stating, changing, linking, wanting a judgement. Imports the models and the verbs of alerts; never the metric store."""
