"""Names in bodies and forms: stripped, composed (NFC), and refused where a character shows nowhere. The rule itself is `config.names`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Field
from rest_framework import serializers

from config.names import flaw_in_name, tidied

INVISIBLE = "invisible"
NAMES = frozenset({"name", "title", "replicate_group"})  # the fields of the record that tell rows apart


class Placed(str):
    """The code of an error that knows where in the text it is: DRF makes its errors anew on their way, and carries their codes along."""

    position: int

    @classmethod
    def at(cls, position: int) -> Placed:
        """The code of an invisible character."""
        code = cls(INVISIBLE)
        code.position = position
        return code


class NameField(serializers.CharField):
    """A name in a body. Its limits hold for what is kept of it."""

    def __init__(self, **options: Any) -> None:  # Any: DRF's own signature
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:  # Any: DRF's own signature
        """The name as it is kept. Raises ValidationError with the place of a character that shows nowhere."""
        if isinstance(data, str) and "\0" not in data:  # what no text can hold has an answer of its own
            flaw = flaw_in_name(data)
            if flaw:
                raise serializers.ValidationError(flaw.message, code=Placed.at(flaw.position))
            data = tidied(data)
        return super().run_validation(data)


class NameInput(forms.CharField):
    """A name in a form, a page's or the admin's. One from before names were tidied stays as it is where nobody changed it."""

    keeps_old = True  # not where what the form shows at first is only proposed
    before = ""

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """The field of a form, which shows this name now."""
        self.before = str(form.get_initial_for_field(self, field_name) or "")
        return super().get_bound_field(form, field_name)

    def to_python(self, value: Any) -> str:  # Any: Django's own signature
        """The name as it is kept. Raises ValidationError with the place of a character that shows nowhere."""
        text = "" if value is None else str(value)
        if text and self.keeps_old and text == self.before:
            return text
        flaw = flaw_in_name(text)
        if flaw:
            raise ValidationError(flaw.message, code=INVISIBLE)
        return str(super().to_python(tidied(text)))


def name_input(db_field: Field[Any, Any], options: dict[str, Any]) -> dict[str, Any]:  # Any: Django's own options
    """The options of a model's form field, for a name those of NameInput."""
    return options | ({"form_class": NameInput} if db_field.name in NAMES and db_field.get_internal_type() == "CharField" else {})
