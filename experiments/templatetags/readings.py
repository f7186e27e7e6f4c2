"""How a reading looks on a page: numbers, changes, times, statuses. Alike on every page.

{% load readings %}
{{ value|number }}              4 significant digits: 0.9629, 1.234e-7, 12 346, NaN, – for none
{{ value|number:decimals }}     as many decimals as the rest of its column (see `decimals_of`)
{{ value|exact }}               every digit, for a title
{{ count|grouped }}             12 346
{% delta change direction %}    arrow, sign and colour: where it went, and whether that is better
{{ seconds|duration }}          43 s, 12 min 5 s; also of a timedelta
{{ experiment|took }}           from start to end, or until now while it runs
{{ moment|ago }}                3 min ago, the full time on hover
{{ moment|ahead }}              in 5 d, the full time on hover
{{ moment|stamp }}              14:29 today, 23 Nov this year, else the date
{{ moment|full }}               2026-11-23 14:29
{{ moment|clock }}              14:29:07; `day` gives 23 Nov 2026
{{ sentence|with_times }}       a sentence whose times ("2026-11-23 14:29 UTC") are in the reader's zone
{{ experiment|run_style }}      the class of the colour that a run has on every page; {{ style|mark }} the symbol beside it
{% status experiment %}         shape and word: running, stalled, complete, diverged …
{{ experiment|state }}          the word alone
{{ experiment|seed:project }}   the seed that was given, or that its params tell of
{% icon "search" %}             one symbol of templates/_symbols.html
{{ change|changed }}            was → now of one row of features_diff
{{ name|shown }}                a name whose odd blanks can be seen: doubled, no-break or invisible ones (last in a chain of filters)
{{ value|as_param }}            a param as people read it; `param_reading` for a table's cell
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from config.names import pieces
from experiments.models import Change, Experiment
from experiments.notation.colours import mark_of, style_of
from experiments.notation.numerals import NONE, exact, grouped, number
from experiments.notation.params import written
from experiments.stalled import state_of
from projects.models import Direction, Project

register = template.Library()
register.filter(number)
register.filter(exact)
register.filter(grouped)
register.filter("mark", mark_of)

PARAM_CHARACTERS = 24
TITLE_CHARACTERS = 2000
CHANGE_CHARACTERS = 200
TIME = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) UTC\b")
BLANK = '<span class="blank" data-mark="␣" title="{}">{}</span>'
DELTA = '<span class="delta {}" title="{}"><svg viewBox="0 0 8 8" aria-hidden="true"><use href="#{}"/></svg>{}{}<span class="visually-hidden"> {}</span></span>'
STATUS = '<span class="status {}"><svg viewBox="0 0 12 12" aria-hidden="true"><use href="#{}"/></svg>{}</span>'
MARKS = {"planned": "m-planned", "running": "m-running", "stalled": "m-stalled", "complete": "m-complete"}


@register.simple_tag
def delta(change: float | None, direction: str = "", decimals: int | None = None) -> SafeString:
    """A change against a baseline. The arrow points where the number went; `direction` (minimize, maximize or empty) says what is better."""
    if change is None or not math.isfinite(change):
        return format_html('<span class="muted">{}</span>', NONE)
    sign = "+" if change > 0 else ""
    shape = "up" if change > 0 else "down" if change < 0 else "flat"
    verdict = verdict_of(change, direction)
    return format_html(DELTA, verdict, exact(change), shape, sign, number(float(change), decimals), verdict)


def verdict_of(change: float, direction: str) -> str:
    """better, worse or same (also where no direction is set)."""
    towards = Direction(direction or "").sign * change
    return "better" if towards > 0 else "worse" if towards < 0 else "same"


UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


@register.filter
def duration(value: float | timedelta | None) -> str:
    """A span of time in its two largest units. `value` is in seconds, or a timedelta."""
    if value is None:
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit, rest_size, rest_unit in UNITS:
        if seconds >= size:
            rest = int(seconds % size // rest_size)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {rest_unit}" if rest else "")
    return f"{seconds:.0f} s"


@register.filter
def run_style(experiment: Experiment) -> str:
    """The class of the colour that a run has on every page."""
    return style_of(experiment.number)


@register.filter
def took(experiment: Experiment) -> str:
    """How long the run took, or has taken so far."""
    if experiment.started_at is None:
        return NONE
    return duration((experiment.finished_at or timezone.now()) - experiment.started_at)


LARGEST = ((86_400 * 365, "y"), (86_400, "d"), (3_600, "h"), (60, "min"))


@register.filter
def ago(moment: datetime | None) -> str | SafeString:
    """How long ago, in its largest unit; the full time on hover."""
    if moment is None:
        return NONE
    seconds = (timezone.now() - moment).total_seconds()
    for size, unit in LARGEST:
        if seconds >= size:
            return timed(moment, f"{int(seconds // size)} {unit} ago", "ago")
    return timed(moment, "just now" if seconds < 10 else f"{int(seconds)} s ago", "ago")


@register.filter
def ahead(moment: datetime) -> SafeString:
    """How long it is until then, to the nearest of its largest unit; the full time on hover."""
    seconds = (moment - timezone.now()).total_seconds()
    size, unit = next((each for each in LARGEST if seconds > each[0] - 60), LARGEST[-1])
    return timed(moment, f"in {max(1, round(seconds / size))} {unit}", "ago")


@register.filter
def seed(experiment: Experiment, project: Project) -> str:
    """The seed of a run, given or among its params; a dash where nobody said one."""
    found = experiment.seed_by(project.seeds)
    return NONE if found is None else str(found)


@register.filter
def stamp(moment: datetime | None) -> str | SafeString:
    """The time where it was today, the day where it was this year, else the date. It says that it is UTC, until frame/times.js puts it in the reader's zone."""
    if moment is None:
        return NONE
    now = timezone.now()
    if moment.date() == now.date():
        return timed(moment, f"{moment:%H:%M} UTC", "stamp")
    day = f"{moment.day} {moment:%b}" if moment.year == now.year else f"{moment:%Y-%m-%d}"
    return timed(moment, f"{day} UTC", "stamp")


@register.filter
def full(moment: datetime) -> SafeString:
    """The day and the time to the minute."""
    return timed(moment, f"{moment:%Y-%m-%d %H:%M} UTC", "full")


@register.filter
def clock(moment: datetime) -> SafeString:
    """The time to the second."""
    return timed(moment, f"{moment:%H:%M:%S}", "clock")


@register.simple_tag
def as_of() -> SafeString:
    """The time now, to the second."""
    now = timezone.now()
    return timed(now, f"{now:%H:%M:%S} UTC", "clock")


@register.filter
def day(moment: datetime) -> SafeString:
    """The day, and the zone that it is a day of; it stands beside `clock`."""
    return timed(moment, f"{moment.day} {moment:%b %Y}, UTC", "day")


@register.filter
def with_times(sentence: str) -> SafeString:
    """A sentence in which every time that says it is UTC is a <time>. It is escaped before, and what is put in is digits."""
    timed_sentence = TIME.sub(found_time, conditional_escape(sentence))
    return mark_safe(timed_sentence)  # noqa: S308  # nosec B308 B703


def found_time(found: re.Match[str]) -> str:
    """A time of a sentence as a <time>; as it stands where it is none."""
    try:
        return timed(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), found[0], "full")
    except ValueError:
        return found[0]


def timed(moment: datetime, text: str, how: str) -> SafeString:
    """`text` as a <time> that knows the exact moment, and `how` it is written in the reader's zone."""
    return format_html('<time datetime="{}" title="{} UTC" data-as="{}">{}</time>', moment.isoformat(), f"{moment:%Y-%m-%d %H:%M:%S}", how, text)


@register.filter
def state(experiment: Experiment) -> str:
    """The experiment's state as a word."""
    return state_of(experiment)


@register.simple_tag
def status(experiment: Experiment) -> SafeString:
    """The experiment's state as a shape and a word. A running one that fell silent is stalled."""
    word = state_of(experiment)
    style = "failed" if experiment.status == Experiment.Status.FAILED else word
    return format_html(STATUS, style, MARKS.get(style, "m-failed"), word)


@register.simple_tag
def icon(name: str) -> SafeString:
    """One 16 px symbol of templates/_symbols.html (`brand` has 20)."""
    size = 20 if name == "brand" else 12 if name.startswith("m-") else 16
    return format_html('<svg viewBox="0 0 {} {}" aria-hidden="true"><use href="#{}"/></svg>', size, size, name)


@register.filter
def changed(change: Change) -> SafeString:
    """One row of a features_diff: feature, was, now."""
    feature, now = change.feature[:CHANGE_CHARACTERS], change.now[:CHANGE_CHARACTERS]
    if change.was is None:
        return format_html('<span class="change" dir="auto">{} {}</span>', feature, now)
    return format_html('<span class="change" dir="auto">{} <span class="was">{}</span>{}</span>', feature, change.was[:CHANGE_CHARACTERS], now)


@register.filter
def shown(name: str) -> SafeString:
    """A name with a mark and a title at each blank that would not show, or would look like another; its text stays as it is."""
    return format_html_join("", "{}", ((format_html(BLANK, said, text) if said else text,) for text, said in pieces(str(name))))


@register.filter
def as_param(value: object) -> str:
    """A param's value with the digits it was given; text in quotes where it would read as something else."""
    return written(value)


@register.filter
def param_reading(value: object) -> SafeString:
    """A param in a table's cell: short, TITLE_CHARACTERS of it on hover."""
    text = as_param(value)
    short = text if len(text) <= PARAM_CHARACTERS else f"{text[: PARAM_CHARACTERS - 1]}…"
    return format_html('<span class="param{}" dir="auto" title="{}">{}</span>', " muted" if value is None else "", text[:TITLE_CHARACTERS], short)
