"""The comparison of several experiments: the page, its parts, its files, and the page that asks for more than one."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from accounts.audit.recording import record
from config.errors import Invalid, Unavailable
from config.limits.lane import heavy
from config.web import files
from config.web.htmx import HtmxHttpRequest, partial
from config.web.ignored import ignored, odd
from experiments.compare import files as comparison_tables
from experiments.compare.comparison import Comparison, version_of
from experiments.compare.grouping import PARAM, REPLICATE_GROUP, SEED, TAG, Key
from experiments.compare.outlook import WORDS as OUTLOOK_WORDS
from experiments.compare.outlook import Outlook, odd_values, outlook
from experiments.compare.side_by_side import SideBySide
from experiments.compare.tooltip_params import TooltipParams
from experiments.models import Experiment
from experiments.notation.numerals import decimals_of
from experiments.notation.params import by_name
from experiments.readings.measured import measured
from experiments.readings.numbers import Numbers
from experiments.readings.parts import UNCHANGED, is_for_metrics, metrics_part
from experiments.readings.selection import LEAST, MOST, Selection, select
from experiments.scatter.axes import WORDS as AXES_WORDS
from experiments.scatter.axes import choices_of, chosen, points_of
from experiments.scatter.section import ScatterSection
from experiments.table.filtering import param_at
from projects.opened import OpenProject, open_project

WORDS = ("e", "format", "table", *OUTLOOK_WORDS, *AXES_WORDS)
GROUPS, LIVE = "arms", "compare-live"
LIVE_CELLS = 2000  # of a table that is sent again and again
OFFERED = 30


@login_required
@require_safe
@vary_on_headers("HX-Request", "HX-Target")
@heavy
def compare(request: HtmxHttpRequest, team_slug: str, project_slug: str) -> HttpResponse | StreamingHttpResponse:
    """Two to a hundred experiments beside each other, all of the view in the address. With `format` one `table` of it as a file."""
    opened = open_project(request, team_slug, project_slug)
    look, selection = outlook(request.GET), select(opened.project, request.GET.getlist("e"))
    if request.htmx.target == LIVE and (answer := unchanged(selection, request.headers.get("X-Seen", ""))):
        return answer
    if not selection.is_enough:
        return choose(request, opened, selection, look)
    page = {"opened": opened, "tab": "compare", "selection": selection, "most": MOST, "look": look}
    comparison = Comparison(opened.project, selection, look)
    page["ignored"] = ignored(request.GET, WORDS, [*odd_values(request.GET), *odd_names(comparison)])
    if "format" in request.GET:
        return exported(opened, comparison, request.GET.get("table", ""), request.GET["format"])
    page |= {"comparison": comparison, "found": comparison.found, "is_part": bool(request.htmx)}
    if request.htmx and request.htmx.target == GROUPS:
        return render(request, "experiments/compare/_groups.html", page)
    if request.htmx and request.htmx.target == LIVE:
        side, is_grown = SideBySide(comparison), request.headers.get("X-Metrics") != str(len(comparison.measured.metrics))
        return render(request, "experiments/compare/_live.html", page | {"side": side if side.size <= LIVE_CELLS else None, "is_grown": is_grown})
    if is_for_metrics(request):
        return metrics_part(request, "experiments/compare/_metrics.html", page, comparison.found)
    side = SideBySide(comparison)
    page |= {"explored": section_of(comparison, request.GET), "side": side, "tips": TooltipParams(side)}
    return render(request, partial("experiments/compare/compare.html", "differences", request), page)


def odd_names(comparison: Comparison) -> list[str]:
    """What the address calls by names that nothing of the comparison has: a baseline, runs that are hidden, what runs are grouped by."""
    rows, look = comparison.selection.experiments, comparison.look
    metrics = {metric.name for metric in comparison.measured.metrics}
    return [
        *odd("base", [look.baseline] if look.baseline not in {str(row.pk) for row in rows} else (), {row.slug for row in rows}),
        *odd("hide", sorted(look.hidden), {row.slug for row in rows}),
        *odd("order", [look.order] if not comparison.measured.is_store_away else (), metrics),
        *odd_keys([key for key in look.grouping.keys if key.text not in (SEED, REPLICATE_GROUP)], rows),
    ]


def odd_keys(keys: Sequence[Key], rows: Sequence[Experiment]) -> list[str]:
    """The params and tags that runs are grouped by, and that none of them has."""
    if not keys:
        return []
    known = {f"{PARAM}{name}" for row in rows for name in by_name(row.params)} | {f"{TAG}{tag.name}" for row in rows for tag in row.tags.all()}
    nested = {key.text for key in keys if key.text.startswith(PARAM) and any(param_at(row.params, key.name.split(".")) is not None for row in rows)}
    return odd("group", [key.text for key in keys], known | nested)


def unchanged(selection: Selection, seen: str) -> HttpResponse | None:
    """What a page gets that saw all that there is: nothing; and one of whose experiments some are gone: to be loaded anew. None where there is news."""
    version = version_of(selection.experiments)
    if seen == version:
        return HttpResponse(status=UNCHANGED)
    return HttpResponseClientRefresh() if seen.partition(".")[0] != version.partition(".")[0] else None


def exported(opened: OpenProject, comparison: Comparison, table: str, kind: str) -> StreamingHttpResponse:
    """One of the comparison's tables as a file. Raises Invalid for one that there is not, Unavailable without the metric store."""
    if table not in comparison_tables.TABLES:
        raise Invalid(f"table is one of {', '.join(comparison_tables.TABLES)}; got {table[:40]!r}.")
    files.known_kind(kind)
    if comparison.measured.is_store_away:
        raise Unavailable(files.AWAY)
    record("export.made", on=opened.project, details={"what": f"a comparison ({table})", "format": kind})
    return files.answer(files.columns_file(comparison_tables.TABLES[table](comparison), kind), kind, f"{opened.project.slug}-{table}")


def choose(request: HtmxHttpRequest, opened: OpenProject, selection: Selection, look: Outlook) -> HttpResponse:
    """The page that asks which experiments to compare."""
    offered = list(Experiment.objects.filter(project=opened.project).current()[:OFFERED])
    offered = list(dict.fromkeys([*selection.experiments, *offered]))
    read = measured(opened.project, offered)
    leading = read.metrics[0] if read.metrics else None
    rows = [(row, read.value(row, leading) if leading else None) for row in offered]
    page = {"opened": opened, "tab": "compare", "selection": selection, "look": look, "least": LEAST, "most": MOST, "leading": leading, "rows": rows}
    page["ignored"] = ignored(request.GET, WORDS, odd_values(request.GET))
    page["decimals"] = decimals_of(value for _, value in rows)
    return render(request, "experiments/compare/choose.html", page)


def section_of(comparison: Comparison, given: QueryDict) -> ScatterSection:
    """The section of a comparison's page: its params and metrics are known without another question."""
    params = [experiment.params for experiment in comparison.selection.experiments]
    choices = choices_of(params, [metric.name for metric in comparison.measured.metrics], comparison.project.seeds)
    return ScatterSection(comparison.project, points_of(comparison.selection), Numbers(), chosen(given, choices), choices)
