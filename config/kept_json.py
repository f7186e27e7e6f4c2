"""JSON as it came, in every database."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class KeptJSONField(models.JSONField):
    """A JSONField that PostgreSQL keeps as text, as SQLite does.

    PostgreSQL's jsonb would put keys in another order, turn 1e+20 into a whole number of 21 digits and -0.0 into 0, and what people
    compare and search would differ from what they sent.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """The column's type."""
        return "text" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # Any: Django's own signature
        """The text to store."""
        if connection.vendor != "postgresql" or value is None or hasattr(value, "as_sql"):
            return super().get_db_prep_value(value, connection, prepared)
        return json.dumps(value, cls=self.encoder)
