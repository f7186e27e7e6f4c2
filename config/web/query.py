"""What stands behind the question mark of an API address: every word is one that the address describes in its schema, has a value, and comes once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import django_filters
from django.forms import CharField, ValidationError
from django.forms.widgets import TextInput
from django_filters import fields as filter_fields
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from config.errors import Fault, Invalid
from config.limits.sizes import REPEATED_MOST, SEARCH_MOST
from config.web.words import meant, nearest

FAULTS_MOST = 20
SHOWN_MOST = 100
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
Words = Mapping[str, bool]  # each word, and whether it may come several times


class Endpoint(APIView):
    """An address of the API. A word in the query that the address does not describe is refused, never ignored: it may have been all that narrowed an answer."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who asks is known first, then what is asked is looked at. Raises Invalid."""
        super().initial(request, *args, **kwargs)
        action = getattr(self, "action", None) or str(request.method).lower()
        handler = getattr(self, action, None)
        if handler is not None and action != "options" and request.query_params:
            refuse_unknown(dict(request.query_params.lists()), words_of(self, handler, is_list=action == "list"))


def words_of(view: APIView, handler: Callable[..., Any], *, is_list: bool) -> Words:
    """The words that an operation describes: its own parameters and, for a list, those of its filters, order and pages."""
    words = {each.name: bool(each.many) for each in parameters_of(view, handler) if each.location == OpenApiParameter.QUERY}
    return words | (dict(list_words(view)) if is_list else {})


def parameters_of(view: APIView, handler: Callable[..., Any]) -> Sequence[OpenApiParameter]:
    """What `extend_schema` says of an operation, as the schema reads it."""
    described: type[AutoSchema] | None = getattr(handler, "kwargs", {}).get("schema")
    if described is None:
        return []
    schema = described()
    schema.view = view
    return [each for each in schema.get_override_parameters() if isinstance(each, OpenApiParameter)]


def list_words(view: Any) -> Iterator[tuple[str, bool]]:  # Any: a DRF list view
    """The words of a list's filters, order and pages."""
    for name, each in getattr(getattr(view, "filterset_class", None), "base_filters", {}).items():
        yield name, isinstance(each, django_filters.MultipleChoiceFilter | Repeated)
    for backend in view.filter_backends:
        if issubclass(backend, OrderingFilter):
            yield backend.ordering_param, False
    if view.paginator is not None:
        yield from ((parameter["name"], False) for parameter in view.paginator.get_schema_operation_parameters(view))


def refuse_unknown(given: Mapping[str, Sequence[str]], words: Words) -> None:
    """Raise Invalid for words that are not known, have no value, or come twice where one counts."""
    faults = list(islice((fault for word, values in given.items() if (fault := fault_of(word, values, words))), FAULTS_MOST))
    if faults:
        raise Invalid(faults[0].message, faults)


def fault_of(word: str, values: Sequence[str], words: Words) -> Fault | None:
    """What is wrong with one word of a query; None where nothing is."""
    shown = word[:SHOWN_MOST]
    if word not in words:
        return unknown_word(shown, words)
    if not all(value.strip() for value in values):
        return Fault(None, shown, "empty", f"{shown} is empty: give it a value, or leave it out.")
    if len(values) > 1 and not words[word]:
        return Fault(None, shown, "repeated", f"{shown} comes {len(values)} times, and one would count: give it once.")
    if len(values) > REPEATED_MOST:
        return Fault(None, shown, "too_many", f"{shown} comes {len(values):,} times: {REPEATED_MOST} at most.")
    return None


def unknown_word(word: str, words: Words) -> Fault:
    """A word that the address does not know, with the nearest that it does."""
    near, names = nearest(word, words), ", ".join(sorted(words))
    known = f"This address takes {names}." if words else "This address takes none."
    return Fault(None, word, "unknown_word", f"There is no query word {word!r}.{meant(near)} {known}", suggestion=near or None)


class Repeated(django_filters.CharFilter):  # type: ignore[misc]  # comes without types
    """A filter whose word may come several times."""


class Searched(django_filters.CharFilter):  # type: ignore[misc]  # comes without types
    """A filter by a text to search for."""

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own signature
        super().__init__(*args, max_length=SEARCH_MOST, **options)


class OneOf:
    """What a field of choices says of a word that is none: the nearest, and all there are."""

    choices: Any  # Any: Django's own type

    def refuse_word(self, word: str) -> None:
        """Raise ValidationError where the word is no choice."""
        words = [str(value) for value, _ in self.choices if str(value)]
        if word not in words:
            near = nearest(word, words)
            raise ValidationError(f"There is no {word[:SHOWN_MOST]!r}.{meant(near)} There are {', '.join(words)}.", code="unknown_word")


class ManyWords(OneOf, filter_fields.MultipleChoiceField):  # type: ignore[misc]  # comes without types
    """Several of some words."""

    def validate(self, value: Sequence[str]) -> None:
        """Raise ValidationError for a word that is none of them."""
        for word in value:
            self.refuse_word(word)


class OneWord(OneOf, filter_fields.ChoiceField):  # type: ignore[misc]  # comes without types
    """One of some words."""

    def validate(self, value: str) -> None:
        """Raise ValidationError for a word that is none of them."""
        if value:
            self.refuse_word(value)


class AnyOf(django_filters.MultipleChoiceFilter):  # type: ignore[misc]  # comes without types
    """A filter by any of some words."""

    field_class = ManyWords


class ChosenFrom(django_filters.ChoiceFilter):  # type: ignore[misc]  # comes without types
    """A filter by one of some words."""

    field_class = OneWord


class Truth(CharField):
    """true or false; anything else is refused, not taken for nothing."""

    widget = TextInput

    def clean(self, value: Any) -> bool | None:  # Any: Django's own signature
        """The truth, None where the word is not there. Raises ValidationError."""
        text = str(value or "").strip().lower()
        if text and text not in TRUTHS:
            raise ValidationError(f"This is true or false; got {text[:40]!r}.", code="invalid")
        return TRUTHS.get(text)


class TrueOrFalse(django_filters.BooleanFilter):  # type: ignore[misc]  # comes without types
    """A filter by a boolean field."""

    field_class = Truth
