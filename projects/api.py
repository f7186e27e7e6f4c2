"""Projects and their metrics as JSON."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, TypeVar

import django_filters
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access import Caller, caller
from accounts.endpoints import RecordView, SlugWarning
from accounts.models import Role, Team
from accounts.scopes import ADMINISTERS, EDITS, READS, READS_BACK
from accounts.services import default_team, team_named
from accounts.slugs import about_slug
from config.errors import Conflict, Fault, Invalid, NotFound
from config.limits.fields import ShortList
from config.names import known_spelling
from config.web.names import NameField
from config.web.query import Searched, TrueOrFalse
from config.web.rest import StableOrdering, StrictSerializer
from config.web.words import COMPARED_MOST, meant, nearest
from experiments.models import Experiment
from metrics.points.valid import NAME_BYTES, is_name
from projects import services
from projects.models import RETENTION_DAYS, Aggregation, Direction, Project, ProjectMetric, ProjectQuerySet
from projects.seeds import CHARACTERS_MOST, ENTRIES_MOST


class TeamReference(serializers.ModelSerializer[Team]):
    """A team by its names."""

    class Meta:
        model = Team
        fields = ("id", "slug", "name")


class ProjectRow(serializers.ModelSerializer[Project]):
    """A project."""

    team = TeamReference(read_only=True)
    seed_params = serializers.ListField(
        child=serializers.CharField(), source="seeds.entries", read_only=True, help_text="The params that are seeds: what tells replicates apart."
    )
    url = serializers.SerializerMethodField(help_text="The path of its page.")

    class Meta:
        model = Project
        fields: tuple[str, ...] = (
            *("id", "slug", "name", "description", "archived", "retention_days", "seed_params", "team", "url", "created_at", "updated_at"),
        )

    def get_url(self, project: Project) -> str:
        """The path of its page."""
        return reverse("projects:project", args=[project.team.slug, project.slug])


class MadeProject(ProjectRow):
    """The same with what is said of its slug, in the schema: where there is nothing to say, `warnings` is left out."""

    warnings = SlugWarning(many=True, read_only=True, required=False)
    may_lack = ("warnings",)

    class Meta(ProjectRow.Meta):
        fields = (*ProjectRow.Meta.fields, "warnings")


class NewProject(StrictSerializer):
    """What a new project is."""

    name = NameField(max_length=255)
    description = serializers.CharField(max_length=1024, required=False, allow_blank=True)
    team = serializers.CharField(max_length=255, write_only=True, required=False, help_text="UUID, name or slug; needed only by members of several teams.")


class ProjectChange(StrictSerializer):
    """What may be changed; the slug stays, as addresses hold it."""

    name = NameField(max_length=255, required=False)
    description = serializers.CharField(max_length=1024, required=False, allow_blank=True)
    archived = serializers.BooleanField(required=False)
    retention_days = serializers.IntegerField(
        min_value=RETENTION_DAYS[0], max_value=RETENTION_DAYS[1], required=False, allow_null=True, help_text="Null keeps every point."
    )
    seed_params = ShortList(
        child=serializers.CharField(max_length=CHARACTERS_MOST),
        max_length=ENTRIES_MOST,
        required=False,
        allow_null=True,
        help_text="The params that are seeds, all of them: a name (`seed`, at any depth), a path (`trainer.seed`), or either after `!` for what is none."
        " Null for the default list. Runs are put into arms anew in the background.",
    )


Rows = TypeVar("Rows", bound=QuerySet[Any])  # Any: rows of any model with a project


def readable_by(asking: Caller) -> ProjectQuerySet:
    """The projects that a caller may read: with a token that reaches only its own, those that hold its runs, and the one that it is limited to."""
    rows, token = Project.objects.visible_to(asking), asking.token
    if token is None or not asking.logs_alone:
        return rows
    return rows.filter(Q(pk__in=Experiment.objects.filter(asking.made("made_with")).values("project")) | Q(pk=token.project_id))


class OfProject(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """A list of what projects hold. One that is not there is 404: an empty list would say that it is, and holds nothing."""

    project = django_filters.CharFilter(method="of_project", label="UUID, exact name or slug of the project.")

    def of_project(self, rows: QuerySet[Any], name: str, reference: str) -> QuerySet[Any]:  # Any: rows of any model with a project
        """Those of one project. Raises NotFound, or Conflict where several of the caller's have the name."""
        return rows.filter(project=readable_by(caller(self.request)).named(reference))

    def within(self, rows: Rows) -> Rows:
        """Those of the list's project where one is asked for: a name may be another's elsewhere. Raises NotFound."""
        reference = self.data.get("project")
        return rows.filter(project=readable_by(caller(self.request)).named(reference)) if reference else rows


class ProjectFilter(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """How a list of projects is narrowed."""

    team = django_filters.CharFilter(method="of_team", label="UUID, name or slug of the team.")
    archived = TrueOrFalse(help_text="true for those put away, false for the others; both where not given.")
    search = Searched(method="matching", label="Text in name, slug or description.")

    def of_team(self, projects: QuerySet[Project], name: str, reference: str) -> QuerySet[Project]:
        """Those of one team. Raises NotFound."""
        return projects.filter(team=team_named(caller(self.request), reference))

    def matching(self, projects: QuerySet[Project], name: str, text: str) -> QuerySet[Project]:
        """Those that hold the text."""
        return projects.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(description__icontains=text))


class ProjectView(RecordView):
    """What has a project in its address."""

    def project(self, *, role: Role = Role.VIEWER) -> Project:
        """The project in the address. Raises NotFound, Conflict for a slug that two teams share, or Forbidden."""
        project = readable_by(self.caller).select_related("team").named(self.kwargs["project"])
        self.require(role, project.team_id)
        return project


@extend_schema_view(list=extend_schema(operation_id="projects", summary="Projects"))
class Projects(ProjectView, mixins.ListModelMixin, GenericViewSet[Project]):
    """The projects of the caller's teams."""

    scopes: ClassVar = {"list": READS_BACK, "retrieve": READS_BACK, "create": EDITS, "partial_update": EDITS, "destroy": ADMINISTERS}
    of_the_team: ClassVar = frozenset({"create"})

    queryset = Project.objects.none()
    serializer_class = ProjectRow
    filterset_class = ProjectFilter
    ordering_fields = ("name", "created_at", "updated_at")

    def get_queryset(self) -> QuerySet[Project]:
        """Those that the caller may read."""
        return Project.objects.none() if self.is_schema else readable_by(self.caller).select_related("team")

    @extend_schema(operation_id="project_create", summary="Make a project", request=NewProject, responses={201: MadeProject})
    def create(self, request: Request) -> Response:
        """Make a project in the team named, or in the token's, or in your only one. `warnings` tells of a slug that is not what the name gives."""
        asked = self.asked(NewProject)
        team = team_named(self.caller, asked.pop("team")) if "team" in asked else default_team(self.caller)
        self.require(Role.EDITOR, team.pk)
        made = services.create(team, **asked)
        said = about_slug(made.name, made.slug, field="name")
        return Response(self.get_serializer(made).data | ({"warnings": said} if said else {}), status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="project", summary="One project", responses=ProjectRow)
    def retrieve(self, request: Request, project: str) -> Response:
        """One project, by UUID, exact name or slug."""
        return Response(self.get_serializer(self.project()).data)

    @extend_schema(operation_id="project_change", summary="Change a project", request=ProjectChange, responses=ProjectRow)
    def partial_update(self, request: Request, project: str) -> Response:
        """Change name, description, archived or which params are seeds.

        For admins of its team: for how many days points are kept before one row an hour takes their place.
        """
        found = self.project(role=Role.EDITOR)
        asked = self.asked(ProjectChange)
        if "retention_days" in asked:
            self.require(Role.ADMIN, found.team_id)
        services.edit(found, by=self.caller.user, **asked)
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="project_delete", summary="Delete a project", responses={204: None})
    def destroy(self, request: Request, project: str) -> Response:
        """Delete a project with all experiments and points. For admins of its team; archiving is the way back."""
        services.delete(self.project(role=Role.ADMIN), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MetricRow(serializers.ModelSerializer[ProjectMetric]):
    """A metric of a project."""

    direction = serializers.ChoiceField(choices=Direction.choices, help_text="Which way is better; empty where nobody said.")
    suggestion = serializers.CharField(read_only=True, help_text="What the name suggests as the direction.")

    class Meta:
        model = ProjectMetric
        fields = ("name", "direction", "aggregation", "watch_divergence", "suggestion", "created_at")


class MetricChange(StrictSerializer):
    """What may be said of a metric."""

    direction = serializers.ChoiceField(choices=Direction.choices, required=False)
    aggregation = serializers.ChoiceField(choices=Aggregation.choices, required=False)
    watch_divergence = serializers.BooleanField(required=False, help_text="Alert where a running experiment loses what it had gained; needs a direction.")


class NewMetric(MetricChange):
    """A metric, and what is said of it."""

    name = NameField(max_length=NAME_BYTES)

    def validate_name(self, name: str) -> str:
        """A name that points may have."""
        if not is_name(name):
            raise serializers.ValidationError(f"A metric name has 1 to {NAME_BYTES} bytes of UTF-8.")
        return name


METRIC = OpenApiParameter("metric", str, required=True, description="The metric's name.")


@extend_schema_view(list=extend_schema(operation_id="project_metrics", summary="Metrics of a project"))
class ProjectMetrics(ProjectView, mixins.ListModelMixin, GenericViewSet[ProjectMetric]):
    """The metrics of one project."""

    scopes: ClassVar = {
        "list": READS,
        "create": EDITS,
        "partial_update": EDITS,
        "named_update": EDITS,
        "destroy": ADMINISTERS,
        "named_destroy": ADMINISTERS,
    }

    queryset = ProjectMetric.objects.none()
    serializer_class = MetricRow
    filter_backends = (StableOrdering,)
    ordering_fields = ("name", "created_at")

    @cached_property
    def readable(self) -> Project:
        """The project in the address, for a reader."""
        return self.project()

    def metric(self) -> ProjectMetric:
        """The metric in the path, or in the query, for an editor. Raises NotFound, Forbidden, or Invalid where neither names one."""
        owner = self.project(role=Role.EDITOR)
        name = self.kwargs.get("metric") or self.request.query_params.get("metric", "").replace("\0", "")
        if not name:
            raise Invalid("metric is missing: name one.", [Fault(None, "metric", "missing", "metric is missing: name one.")])
        found = owner.metrics.filter(name=known_spelling(name, lambda word: owner.metrics.filter(name=word).exists())).first()
        if found is None:
            near = nearest(name, owner.metrics.values_list("name", flat=True)[:COMPARED_MOST])
            message = f"{owner} has no metric {name!r}.{meant(near)} Log a point of it, or POST /api/v1/projects/{owner.slug}/metrics."
            raise NotFound(message, [Fault(None, "metric", "unknown", message, suggestion=near or None)])
        return found

    def get_queryset(self) -> QuerySet[ProjectMetric]:
        """The project's metrics."""
        return ProjectMetric.objects.none() if self.is_schema else self.readable.metrics.all()

    @extend_schema(operation_id="project_metric_create", summary="Define a metric", request=NewMetric, responses={201: MetricRow})
    def create(self, request: Request, project: str) -> Response:
        """Say which way a metric is better, and which number stands for a series. One that was logged is there already: PATCH it."""
        owner = self.project(role=Role.EDITOR)
        asked = self.asked(NewMetric)
        try:
            with transaction.atomic():
                metric = ProjectMetric.objects.create(project=owner, **asked)
        except IntegrityError as error:
            raise Conflict(f"{owner} has the metric {asked['name']!r} already: PATCH {owner.address_of_metric(asked['name'])} to change it.") from error
        return Response(self.get_serializer(metric).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="project_metric_change", summary="Change a metric", request=MetricChange, responses=MetricRow)
    def partial_update(self, request: Request, project: str, metric: str) -> Response:
        """Change direction or aggregation, or watch it for divergence. Hypotheses that target it and have data begin a new epoch."""
        found = self.metric()
        asked = self.asked(MetricChange)
        services.redefine(found, by=self.caller.user, **asked)
        return Response(self.get_serializer(found).data)

    @extend_schema(
        operation_id="project_metric_change_named",
        summary="Change a metric, by any name",
        parameters=[METRIC],
        request=MetricChange,
        responses=MetricRow,
    )
    def named_update(self, request: Request, project: str) -> Response:
        """As the address with the metric in its path, which cannot hold the names `.` and `..`."""
        return self.partial_update(request, project, "")

    @extend_schema(operation_id="project_metric_delete_named", summary="Forget a metric's definition, by any name", parameters=[METRIC], responses={204: None})
    def named_destroy(self, request: Request, project: str) -> Response:
        """As the address with the metric in its path, which cannot hold the names `.` and `..`."""
        return self.destroy(request, project, "")

    @extend_schema(operation_id="project_metric_delete", summary="Forget a metric's definition", responses={204: None})
    def destroy(self, request: Request, project: str, metric: str) -> Response:
        """Forget what was said of it. Its points stay, and the next one defines it anew."""
        services.forget_metric(self.metric(), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
