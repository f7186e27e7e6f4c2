"""Hypotheses as JSON: what scripts state, link and ask for."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access import caller
from accounts.endpoints import RecordView, SlugWarning
from accounts.models import Role
from accounts.scopes import ADMINISTERS, EDITS, READS
from accounts.slugs import about_slug, spellings
from config.errors import Fault, Invalid, NotFound
from config.limits.sizes import CLAIM_SHOWN, LISTED_MOST
from config.names import known_spelling
from config.web.names import NameField
from config.web.query import AnyOf, Searched
from config.web.rest import StableOrdering, StrictSerializer
from config.web.words import COMPARED_MOST, meant, nearest
from experiments.api import ProjectReference
from experiments.models import Experiment
from experiments.readings import beginnings
from hypotheses.claims import stating
from hypotheses.claims.stating import TARGETS_MOST, TargetTerm
from hypotheses.models import Hypothesis, HypothesisEvent, Target
from projects.api import OfProject
from projects.models import Project, ProjectMetric

TEXTS = ("claim", "rationale", "description")
CLAIM = {
    "project": "digits",
    "title": "wider is better",
    "claim": "128 hidden units raise val/accuracy by more than 0.005.",
    "targets": [{"metric": "val/accuracy", "smallest_effect": 0.005}],
    "baseline": "root",
}


class TargetRow(serializers.ModelSerializer[Target]):
    """A metric that must improve."""

    metric = serializers.CharField(source="metric.name", read_only=True)
    direction = serializers.CharField(source="metric.direction", read_only=True)
    aggregation = serializers.CharField(source="metric.aggregation", read_only=True)

    class Meta:
        model = Target
        fields = ("metric", "direction", "aggregation", "smallest_effect", "unit")


class HypothesisRow(serializers.ModelSerializer[Hypothesis]):
    """A hypothesis, with what is known of it."""

    project = ProjectReference(read_only=True)
    baseline_experiment = serializers.UUIDField(source="baseline_experiment_id", read_only=True, allow_null=True)
    targets = TargetRow(many=True, read_only=True)
    url = serializers.SerializerMethodField(help_text="The path of its page.")
    is_waiting = serializers.SerializerMethodField(help_text="Whether a judgement is due.")

    class Meta:
        model = Hypothesis
        fields: tuple[str, ...] = (
            *("id", "slug", "title", "claim", "rationale", "description", "project", "targets", "require", "baseline", "baseline_experiment", "paired"),
            *("status", "score", "sentence", "missing", "decided_at", "judged_at", "is_waiting", "failure", "epoch", "epoch_began_at", "frozen_at"),
            *("url", "created_at", "updated_at"),
        )

    def get_url(self, hypothesis: Hypothesis) -> str:
        """The path of its page."""
        project = hypothesis.project
        return reverse("hypotheses:hypothesis", args=[project.team.slug, project.slug, hypothesis.slug])

    def get_is_waiting(self, hypothesis: Hypothesis) -> bool:
        """Whether a judgement is due."""
        return hypothesis.wanted_at is not None


class ListedHypothesis(HypothesisRow):
    """A hypothesis as a row of a list: of its texts it has the beginning."""

    claim = serializers.SerializerMethodField(help_text=f"The first {CLAIM_SHOWN:,} characters.")
    rationale = serializers.SerializerMethodField(help_text="As of claim.")
    description = serializers.SerializerMethodField(help_text="As of claim.")
    cut = serializers.SerializerMethodField(help_text="The fields of which this row has a part.")
    whole = serializers.SerializerMethodField(help_text="Where all of them is read; null where nothing is cut.")

    class Meta(HypothesisRow.Meta):
        fields = (*HypothesisRow.Meta.fields, "cut", "whole")

    def get_claim(self, hypothesis: Hypothesis) -> str:
        """Its beginning."""
        return beginnings.text_of(hypothesis, "claim")

    def get_rationale(self, hypothesis: Hypothesis) -> str:
        """Its beginning."""
        return beginnings.text_of(hypothesis, "rationale")

    def get_description(self, hypothesis: Hypothesis) -> str:
        """Its beginning."""
        return beginnings.text_of(hypothesis, "description")

    def get_cut(self, hypothesis: Hypothesis) -> list[str]:
        """The fields of which the row has a part."""
        return beginnings.cut_in(hypothesis, TEXTS)

    def get_whole(self, hypothesis: Hypothesis) -> str | None:
        """The hypothesis's own address."""
        return reverse("hypotheses-api:hypothesis", args=[hypothesis.pk]) if self.get_cut(hypothesis) else None


class StatedHypothesis(HypothesisRow):
    """The same with what is said of its slug, in the schema: where there is nothing to say, `warnings` is left out."""

    warnings = SlugWarning(many=True, read_only=True, required=False)
    may_lack = ("warnings",)

    class Meta(HypothesisRow.Meta):
        fields = (*HypothesisRow.Meta.fields, "warnings")


class EventRow(serializers.ModelSerializer[HypothesisEvent]):
    """A line of the history."""

    by = serializers.CharField(source="by.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = HypothesisEvent
        fields = ("kind", "sentence", "detail", "score", "epoch", "by", "at")


class AskedTarget(StrictSerializer):
    """A target as it is stated."""

    metric = serializers.CharField(max_length=250, trim_whitespace=False)
    smallest_effect = serializers.FloatField(default=0.0, help_text="The smallest improvement that matters, 0 or more.")
    unit = serializers.ChoiceField(choices=Target.Unit.choices, default=Target.Unit.METRIC)
    direction = serializers.ChoiceField(choices=("minimize", "maximize"), required=False, help_text="For a metric of which nobody has said it yet.")


class HypothesisContent(StrictSerializer):
    """What may be said of a hypothesis at any time."""

    title = NameField(max_length=255, required=False)
    claim = serializers.CharField(required=False, allow_blank=True)
    rationale = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    targets = AskedTarget(many=True, required=False, max_length=LISTED_MOST)  # type: ignore[call-arg]  # of the list that `many` makes
    require = serializers.ChoiceField(choices=Hypothesis.Require.choices, required=False, help_text="Which of several targets must improve.")
    baseline = serializers.ChoiceField(choices=Hypothesis.Baseline.choices, required=False)
    baseline_experiment = serializers.CharField(max_length=255, required=False, allow_null=True, help_text="UUID, slug or name, with `experiment`.")
    paired = serializers.BooleanField(required=False, help_text="Compare seed by seed; said before there are data.")
    status = serializers.ChoiceField(choices=("proposed", "testing"), required=False, help_text="Verdicts follow from the runs.")


class NewHypothesis(HypothesisContent):
    """A new hypothesis."""

    project = serializers.CharField(max_length=255, help_text="UUID, exact name or slug.")
    title = NameField(max_length=255)
    targets = AskedTarget(many=True, max_length=LISTED_MOST, help_text=f"1 to {TARGETS_MOST}.")  # type: ignore[call-arg]  # as above


def experiment_named(project: Project, reference: str, *, field: str) -> Experiment:
    """The project's experiment of this UUID, slug or name. Raises Invalid, or Conflict where several have the name."""
    try:
        return Experiment.objects.filter(project=project).named(reference)
    except NotFound as error:
        message = f"There is no experiment {reference!r} in {project}: give the UUID, slug or name of one in the same project."
        raise Invalid(message, [Fault(None, field, "unknown", message)]) from error


def content(asked: dict[str, Any], project: Project) -> dict[str, Any]:  # Any: values of several fields
    """What was asked, as the verbs take it. Raises Invalid for an unknown experiment."""
    given = dict(asked)
    if "targets" in given:
        names = [known_spelling(target["metric"], lambda name: project.metrics.filter(name=name).exists()) for target in given["targets"]]
        given["targets"] = [TargetTerm(**target | {"metric": name}) for target, name in zip(given["targets"], names, strict=True)]
    if given.get("baseline_experiment"):
        given["baseline_experiment"] = experiment_named(project, given["baseline_experiment"], field="baseline_experiment")
        given.setdefault("baseline", Hypothesis.Baseline.EXPERIMENT)
    elif given.get("baseline", "experiment") != Hypothesis.Baseline.EXPERIMENT:
        given["baseline_experiment"] = None
    return given


class HypothesisFilter(OfProject):
    """How a list of hypotheses is narrowed."""

    status = AnyOf(choices=Hypothesis.Status.choices, label="Repeat it for any of several.")
    metric = django_filters.CharFilter(method="of_metric", label="A target metric.")
    experiment = django_filters.CharFilter(method="of_experiment", label="A linked run, by its UUID, slug or exact name.")
    search = Searched(method="matching", label="Text in title, claim or rationale.")

    def of_metric(self, hypotheses: QuerySet[Hypothesis], name: str, metric: str) -> QuerySet[Hypothesis]:
        """Those with this target. Raises NotFound where no project of the caller, or none of those asked for, has the metric."""
        metrics = ProjectMetric.objects.filter(project__in=self.projects())
        known = set(metrics.filter(name__in=spellings(metric)).values_list("name", flat=True))
        if not known:
            near = nearest(metric, metrics.order_by("name").values_list("name", flat=True).distinct()[:COMPARED_MOST])
            message = f"There is no metric {metric!r}, or it is not yours.{meant(near)}"
            raise NotFound(message, [Fault(None, "metric", "unknown", message, suggestion=near or None)])
        return hypotheses.filter(targets__metric__name=known_spelling(metric, known.__contains__))

    def projects(self) -> list[Project]:
        """The caller's projects, those of the list's project alone where one is asked for."""
        mine = Project.objects.visible_to(caller(self.request))
        return [mine.named(self.data["project"])] if self.data.get("project") else list(mine)

    def of_experiment(self, hypotheses: QuerySet[Hypothesis], name: str, reference: str) -> QuerySet[Hypothesis]:
        """Those that one run is linked to. Raises NotFound, or Conflict where several have the name."""
        return hypotheses.filter(links__experiment=self.within(Experiment.objects.visible_to(caller(self.request))).named(reference))

    def matching(self, hypotheses: QuerySet[Hypothesis], name: str, text: str) -> QuerySet[Hypothesis]:
        """Those that hold the text."""
        return hypotheses.filter(Q(title__icontains=text) | Q(claim__icontains=text) | Q(rationale__icontains=text))


class HypothesisView(RecordView):
    """What has a hypothesis in its address."""

    def visible(self) -> QuerySet[Hypothesis]:
        """Those that the caller may read, with what their address takes."""
        found = Hypothesis.objects.visible_to(self.caller)
        return found.select_related("project__team", "baseline_experiment").prefetch_related("targets__metric")

    def hypothesis(self, *, role: Role = Role.VIEWER) -> Hypothesis:
        """The hypothesis in the address. Raises Http404 or Forbidden."""
        hypothesis = get_object_or_404(self.visible(), pk=self.kwargs["hypothesis"])
        self.require(role, hypothesis.project.team_id)
        return hypothesis


@extend_schema_view(list=extend_schema(operation_id="hypotheses", summary="Hypotheses"))
class Hypotheses(HypothesisView, mixins.ListModelMixin, GenericViewSet[Hypothesis]):
    """The hypotheses of the caller's teams."""

    scopes: ClassVar = {"list": READS, "retrieve": READS, "create": EDITS, "partial_update": EDITS, "destroy": ADMINISTERS}

    queryset = Hypothesis.objects.none()
    serializer_class = HypothesisRow
    filterset_class = HypothesisFilter
    ordering_fields = ("title", "status", "score", "created_at", "updated_at", "judged_at", "decided_at")

    def get_queryset(self) -> QuerySet[Hypothesis]:
        """Those that the caller may read."""
        rows = Hypothesis.objects.none() if self.is_schema else self.visible()
        return beginnings.with_beginnings(rows, TEXTS) if self.action == "list" else rows

    def get_serializer_class(self) -> type[HypothesisRow]:
        """What a row is."""
        return ListedHypothesis if self.action == "list" else HypothesisRow

    @extend_schema(
        operation_id="hypothesis_create",
        summary="State a hypothesis",
        request=NewHypothesis,
        responses={201: StatedHypothesis},
        examples=[OpenApiExample("a claim", CLAIM, request_only=True)],
    )
    def create(self, request: Request) -> Response:
        """State a hypothesis, before the runs that test it. Then start runs that name it, or link them."""
        asked = self.asked(NewHypothesis)
        project = Project.objects.visible_to(self.caller).select_related("team").named(asked.pop("project"))
        self.require(Role.EDITOR, project.team_id)
        made = stating.propose(project, by=self.caller.user, **content(asked, project))
        said = about_slug(made.title, made.slug, field="title")
        return Response(self.get_serializer(self.visible().get(pk=made.pk)).data | ({"warnings": said} if said else {}), status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="hypothesis", summary="One hypothesis", responses=HypothesisRow)
    def retrieve(self, request: Request, hypothesis: str) -> Response:
        """One hypothesis, by UUID."""
        return Response(self.get_serializer(self.hypothesis()).data)

    @extend_schema(operation_id="hypothesis_change", summary="Change a hypothesis", request=HypothesisContent, responses=HypothesisRow)
    def partial_update(self, request: Request, hypothesis: str) -> Response:
        """Change what is given. Other targets, effects or baselines after data begin a new epoch, in which only new runs count."""
        found = self.hypothesis(role=Role.EDITOR)
        stating.edit(found, by=self.caller.user, **content(self.asked(HypothesisContent), found.project))
        return Response(self.get_serializer(self.visible().get(pk=found.pk)).data)

    @extend_schema(operation_id="hypothesis_delete", summary="Delete a hypothesis", responses={204: None})
    def destroy(self, request: Request, hypothesis: str) -> Response:
        """Delete it with its links and its history; takes the role admin. The runs stay."""
        stating.delete(self.hypothesis(role=Role.ADMIN), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(operation_id="hypothesis_history", summary="History"))
class HypothesisHistory(HypothesisView, mixins.ListModelMixin, GenericViewSet[HypothesisEvent]):
    """Who changed what, and why: every change of status, links and terms, the oldest first."""

    scopes: ClassVar = {"list": READS}

    queryset = HypothesisEvent.objects.none()
    serializer_class = EventRow
    filter_backends = (StableOrdering,)
    ordering_fields = ("at",)

    def get_queryset(self) -> QuerySet[HypothesisEvent]:
        """The history of the hypothesis in the address."""
        return HypothesisEvent.objects.none() if self.is_schema else self.hypothesis().events.select_related("by")
