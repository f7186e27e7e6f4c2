"""How claims and their numbers look on pages.

{{ value|signed:decimals }}        +0.0101, with the sign always
{{ interval|interval:decimals }}   +0.0043 to +0.0160
{{ score|score }}                  +0.76, – for none
{{ value|brief }}                  0.003
{{ claim|reason }}                 its sentence, without the status
{% claim_status "supported" %}     shape and word
"""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from experiments.notation.numerals import NONE
from experiments.templatetags.readings import STATUS
from hypotheses.drawings import scales
from hypotheses.models import Hypothesis

register = template.Library()


@register.filter
def signed(value: float | None, decimals: int | None = None) -> str:
    """A number with its sign."""
    return scales.signed(value, decimals)


@register.filter
def score(value: float | None) -> str:
    """A score with its sign and two decimals."""
    return scales.score_text(value)


@register.filter
def brief(value: float | None) -> str:
    """A number without zeros at its end."""
    return scales.brief(value)


@register.filter
def interval(ends: tuple[float, float] | None, decimals: int | None = None) -> str:
    """Both ends with their signs."""
    return NONE if ends is None else f"{scales.signed(ends[0], decimals)} to {scales.signed(ends[1], decimals)}"


@register.filter
def reason(claim: Hypothesis) -> str:
    """Its sentence without the status, which stands beside it."""
    return scales.reason(claim.sentence, claim.status)


@register.simple_tag
def claim_status(word: str) -> SafeString:
    """A hypothesis's status as a shape and a word."""
    return format_html(STATUS, word, f"m-{word}", Hypothesis.Status(word).label)
