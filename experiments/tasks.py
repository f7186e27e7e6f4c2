"""What experiments have done in the background. Marks in the record say what is due; each task may be delivered twice or late without harm."""

from __future__ import annotations

from config.celery import app
from experiments.rekeying import REKEY, rekey_due


@app.task(name=REKEY)
def rekey() -> str:
    """Put the runs of every project into arms anew whose setting of seeds changed, or where a version from before made some."""
    return f"Moved {rekey_due()} runs."
