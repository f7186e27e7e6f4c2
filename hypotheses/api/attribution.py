"""Which change did it, as JSON: what the page of attribution shows."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.endpoints import RecordView
from accounts.scopes import READS
from accounts.slugs import spellings
from config.errors import Fault, Invalid, NotFound, Unavailable
from config.limits.lane import Heavy
from config.web.words import COMPARED_MOST, meant, nearest
from experiments.readings.numbers import Numbers
from hypotheses.attribution.effects import Attribution, Bar, Line
from projects.models import Project, ProjectMetric


class ProjectAttribution(Heavy, RecordView):
    """Effects of changes over the runs of one lineage."""

    scopes: ClassVar = {"get": READS}

    @extend_schema(
        operation_id="attribution",
        summary="Which change did it",
        parameters=[
            OpenApiParameter("metric", str, required=True, description="One of the project's metrics."),
            OpenApiParameter("root", str, description="Slug of a run of the root arm; that with most runs where it is not said."),
            OpenApiParameter("to", str, description="Slug of a run of the arm that the steps lead to; the best where it is not said."),
        ],
        responses={200: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, project: str) -> Response:
        """Steps from the root to an arm, and least-squares effects of features: association, not cause.

        At most the newest 2,000 complete runs are read: `runs` says of how many.
        """
        found = Project.objects.visible_to(self.caller).select_related("team").named(project)
        given, numbers = request.query_params, Numbers()
        metric = metric_named(found, given.get("metric", ""))
        for word in {"root", "to"} & set(given):
            found.experiments.named(given[word])
        attribution = Attribution(found, metric, numbers, root=given.get("root", ""), node=given.get("to", ""))
        body = as_json(attribution)
        if numbers.is_away:
            raise Unavailable("The metric store does not answer just now: ask again.")
        return Response(body)


def metric_named(project: Project, name: str) -> ProjectMetric:
    """The project's metric. Raises Invalid without a name, NotFound for one that the project does not have."""
    if not name:
        message = "metric is missing: name one."
        raise Invalid(message, [Fault(None, "metric", "missing", message)])
    metric = next((found for word in spellings(name) for found in project.metrics.filter(name=word)), None)
    if metric is None:
        near = nearest(name, project.metrics.values_list("name", flat=True)[:COMPARED_MOST])
        message = f"There is no metric {name!r} in {project}.{meant(near)} GET /api/v1/projects/{project.slug}/metrics lists them."
        raise NotFound(message, [Fault(None, "metric", "unknown", message, suggestion=near or None)])
    return metric


def as_json(found: Attribution) -> dict[str, Any]:  # Any: JSON
    """An attribution as JSON."""
    fit, features = found.fit, len(found.features)
    return {
        "metric": found.metric.name,
        "direction": found.metric.direction,
        "aggregation": found.metric.aggregation,
        "root": found.root.slug if found.root else None,
        "to": found.end.slug if found.end else None,
        "runs": {"complete": len(found.complete), "read": len(found.runs), "left_out": found.left_out, "with_value": len(found.values)},
        "features": {"found": features, "shown": len(found.shown_features), "are_readable": found.is_readable},
        "lack_of_fit": None if fit is None else {"f": fit.f, "p": fit.p, "df": [fit.df_model, fit.df_replicates], "is_rejected": fit.is_rejected},
        "steps": [step(bar) for bar in found.bars],
        "effects": [effect(line) for line in found.lines],
    }


def step(bar: Bar) -> dict[str, Any]:  # Any: JSON
    """One arm on the way; `change` is null for the root."""
    node = bar.node
    changed = [{"feature": change.feature, "was": change.was, "now": change.now} for change in node.changed]
    return {"slug": node.slug, "name": node.name, "n": len(node.values), "mean": node.mean, "change": bar.change, "is_unconfirmed": node.is_unconfirmed} | {
        "changed": changed
    }


def effect(line: Line) -> dict[str, Any]:  # Any: JSON
    """One bundle of features; null where the runs cannot tell it from others."""
    found = line.effect
    return {"features": found.features, "runs": line.runs, "effect": found.effect, "ci95": line.ci, "p_holm": line.p, "score": found.score}
