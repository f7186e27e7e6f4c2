"""Experiments as JSON: what scripts start, end and look up."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.access import caller
from accounts.endpoints import RecordView, SlugWarning
from accounts.models import Role, User
from accounts.slugs import about_slug, is_uuid, spellings
from config.errors import Fault, Invalid, NotFound
from config.web.names import NameField
from config.web.rest import INT64_MAX, INT64_MIN, StrictSerializer
from experiments import deletion, lifecycle
from experiments.models import Experiment
from experiments.table.filtering import fitting
from hypotheses.claims.linking import link, named
from hypotheses.models import Link
from metrics.api.answering import StoreReader
from projects.models import Project
from projects.services import make_named, place_for

TAGS_MOST = 100
HYPOTHESES_MOST = 20
FIRST_RUN = {"project": "digits", "create_project": True, "name": "lr 3e-4", "params": {"lr": 3e-4}, "seed": 1, "tags": ["sweep"]}
CHILD = {"project": "digits", "name": "wider", "parent": "lr-3e-4", "features_diff": {"width": {"from": 64, "to": 128}}, "params": {"lr": 3e-4, "width": 128}}


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.JSONField):
    """A JSON object."""

    default_error_messages: ClassVar = {"object": "This is a JSON object: names with values, in braces."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:  # Any: whatever JSON holds
        """The object itself. Raises ValidationError for another kind of value."""
        if not isinstance(data, dict):
            self.fail("object")
        return data


class ProjectReference(serializers.ModelSerializer[Project]):
    """A project by its names."""

    class Meta:
        model = Project
        fields = ("id", "slug")


class ExperimentRow(serializers.ModelSerializer[Experiment]):
    """An experiment."""

    project = ProjectReference(read_only=True)
    parent = serializers.UUIDField(source="parent_experiment_id", read_only=True, allow_null=True)  # type: ignore[assignment]  # DRF takes fields out of the class
    root = serializers.UUIDField(source="root_experiment_id", read_only=True, help_text="The experiment itself, where it has no parent.")  # type: ignore[assignment]
    features_diff = ObjectField(read_only=True)
    params = ObjectField(read_only=True)
    tags = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    url = serializers.SerializerMethodField(help_text="The path of its page.")

    class Meta:
        model = Experiment
        fields: tuple[str, ...] = (
            *("id", "slug", "name", "project", "status", "failure_kind", "parent", "root", "features_diff", "params", "seed", "tags", "notes"),
            *("replicate_group", "replicate_key", "host", "git_commit", "command", "url", "started_at", "finished_at", "last_point_at"),
            *("created_at", "updated_at", "archived"),
        )

    def get_url(self, experiment: Experiment) -> str:
        """The path of its page."""
        project = experiment.project
        return reverse("experiments:experiment", args=[project.team.slug, project.slug, experiment.slug])


class StartedExperiment(ExperimentRow):
    """An experiment as it is answered to the client that starts it."""

    writer = serializers.IntegerField(source="writers", read_only=True, help_text="Send it with points: under it each lands once, however often it is sent.")

    class Meta(ExperimentRow.Meta):
        fields = (*ExperimentRow.Meta.fields, "writer")


class AnsweredExperiment(StartedExperiment):
    """The same with what is said of its slugs, in the schema: where there is nothing to say, `warnings` is left out."""

    warnings = SlugWarning(many=True, read_only=True, required=False)

    class Meta(StartedExperiment.Meta):
        fields = (*StartedExperiment.Meta.fields, "warnings")


class ExperimentContent(StrictSerializer):
    """What may be said of an experiment at any time."""

    name = NameField(max_length=255, required=False)
    parent = serializers.CharField(max_length=255, required=False, allow_null=True, help_text="UUID, slug or name in the same project.")  # type: ignore[assignment]
    features_diff = ObjectField(required=False, help_text="What changed against the parent; worked out from the params where not given.")
    params = ObjectField(required=False)
    seed = serializers.IntegerField(required=False, allow_null=True, min_value=INT64_MIN, max_value=INT64_MAX)
    tags = serializers.ListField(child=NameField(max_length=100), max_length=TAGS_MOST, required=False)
    notes = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    replicate_group = NameField(max_length=200, required=False, allow_blank=True, help_text="Runs with one group are replicates of each other.")
    host = serializers.CharField(max_length=255, required=False, allow_blank=True)
    git_commit = serializers.CharField(max_length=64, required=False, allow_blank=True)
    command = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)


class NewExperiment(ExperimentContent):
    """What a new experiment is."""

    project = serializers.CharField(max_length=255, trim_whitespace=False, help_text="UUID, exact name or slug, looked for in this order.")
    create_project = serializers.BooleanField(default=False, help_text="Make a project of this name where none is found, in the token's team or your only one.")
    name = NameField(max_length=255)
    status = serializers.ChoiceField(choices=Experiment.Status.choices, default=Experiment.Status.RUNNING, help_text="`planned` or `running`.")
    hypotheses = serializers.ListField(
        child=serializers.CharField(max_length=255),
        max_length=HYPOTHESES_MOST,
        required=False,
        help_text="UUIDs, slugs or titles of what it tests.",
    )

    def validate_status(self, status: str) -> str:
        """A beginning."""
        if status in Experiment.Status.ended():
            raise serializers.ValidationError("A new experiment is planned or running: PATCH it when it has ended.")
        return status


class ExperimentChange(ExperimentContent):
    """What may be changed; what is left out stays."""

    status = serializers.ChoiceField(choices=Experiment.Status.choices, required=False, help_text="`running` resumes a run that has ended.")
    failure_kind = serializers.ChoiceField(choices=Experiment.FailureKind.choices, required=False, help_text="Goes with the status `failed`.")
    archived = serializers.BooleanField(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:  # Any: values of several fields
        """Refuse a kind of failure without a failure."""
        if values.get("failure_kind") and values.get("status") != Experiment.Status.FAILED:
            raise serializers.ValidationError({"failure_kind": 'It goes with "status": "failed".'})
        return values


def content(asked: dict[str, Any], project: Project | None) -> dict[str, Any]:  # Any: values of several fields
    """What was asked, the parent as an experiment of the project. Raises Invalid for an unknown parent."""
    return asked | ({"parent": parent_named(asked["parent"], project)} if "parent" in asked else {})


def parent_named(reference: str | None, project: Project | None) -> Experiment | None:
    """The project's experiment of this UUID, slug or name, None for None. Raises Invalid, or Conflict where several have the name."""
    if reference is None:
        return None
    try:
        return Experiment.objects.filter(project=project).named(reference)
    except NotFound as error:
        message = f"There is no experiment {reference!r} in {project or 'a new project'}: a parent is the UUID, slug or name of one in the same project."
        raise Invalid(message, [Fault(None, "parent", "unknown", message)]) from error


def change(experiment: Experiment, asked: dict[str, Any], *, by: User) -> None:  # Any: values of several fields
    """Carry out a PATCH: content first, then the archive, then the status."""
    status, kind, archived = asked.pop("status", None), asked.pop("failure_kind", ""), asked.pop("archived", None)
    if asked:
        lifecycle.edit(experiment, by=by, **content(asked, experiment.project))
    if archived is not None:
        (lifecycle.archive if archived else lifecycle.restore)(experiment, by=by)
    if status is not None:
        lifecycle.move(experiment, status, kind, by=by)


class ExperimentFilter(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """How a list of experiments is narrowed."""

    project = django_filters.CharFilter(method="of_project", label="UUID, exact name or slug.")
    status = django_filters.MultipleChoiceFilter(choices=Experiment.Status.choices, label="Repeat it for any of several.")
    tag = django_filters.CharFilter(method="tagged", label="Repeat it for all of several.")
    parent = django_filters.UUIDFilter(field_name="parent_experiment_id")
    root = django_filters.UUIDFilter(field_name="root_experiment_id")
    replicate_key = django_filters.CharFilter()
    archived = django_filters.BooleanFilter()
    search = django_filters.CharFilter(method="matching", label="Text in name, slug or notes.")
    where = django_filters.CharFilter(method="fitting", label="A filter such as `params.lr < 1e-3 and metrics.loss.min < 0.2`; needs `project`.")
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    def of_project(self, experiments: QuerySet[Experiment], name: str, reference: str) -> QuerySet[Experiment]:
        """Those of one project. Raises Conflict where several of the caller's have the name."""
        return experiments.filter(project__in=Project.objects.visible_to(caller(self.request)).at_most_one(reference))

    def tagged(self, experiments: QuerySet[Experiment], name: str, tag: str) -> QuerySet[Experiment]:
        """Those with every tag asked for."""
        for wanted in self.data.getlist("tag"):
            experiments = experiments.filter(tags__name__in=spellings(wanted))
        return experiments

    def matching(self, experiments: QuerySet[Experiment], name: str, text: str) -> QuerySet[Experiment]:
        """Those that hold the text."""
        return experiments.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(notes__icontains=text))

    def fitting(self, experiments: QuerySet[Experiment], name: str, text: str) -> QuerySet[Experiment]:
        """Those that fit a filter are picked by `Experiments.paginate_queryset`, once all else has narrowed them. Raises Invalid without a project."""
        if not self.data.get("project"):
            message = "where needs project: params and metrics are a project's own."
            raise Invalid(message, [Fault(None, "project", "missing", message)])
        return experiments


@extend_schema_view(list=extend_schema(operation_id="experiments", summary="Experiments"))
class Experiments(StoreReader, RecordView, mixins.ListModelMixin, GenericViewSet[Experiment]):
    """The experiments of the caller's teams."""

    queryset = Experiment.objects.none()
    serializer_class = ExperimentRow
    filterset_class = ExperimentFilter
    ordering_fields = ("name", "status", "created_at", "updated_at", "started_at", "finished_at", "last_point_at")

    def get_queryset(self) -> QuerySet[Experiment]:
        """Those that the caller may read."""
        return Experiment.objects.none() if self.is_schema else self.visible().prefetch_related("tags")

    def paginate_queryset(self, queryset: Any) -> Any:  # Any: DRF's own signature
        """One page; with `where`, of those that fit it. Raises FilterError."""
        text = self.request.query_params.get("where", "")
        if not text.strip():
            return super().paginate_queryset(queryset)
        project = Project.objects.visible_to(self.caller).named(self.request.query_params["project"])
        ids = super().paginate_queryset(fitting(project, text, queryset.prefetch_related(None).select_related(None)))
        by_id = self.get_queryset().in_bulk(ids or ())
        return [by_id[pk] for pk in ids or () if pk in by_id]

    def visible(self) -> QuerySet[Experiment]:
        """Those that the caller may read, with what their address takes."""
        return Experiment.objects.visible_to(self.caller).select_related("project__team")

    def experiment(self, *, role: Role = Role.VIEWER) -> Experiment:
        """The experiment in the address. Raises Http404 or Forbidden."""
        experiment = get_object_or_404(self.visible(), pk=self.kwargs["experiment"])
        self.require(role, experiment.project.team_id)
        return experiment

    @extend_schema(
        operation_id="experiment_create",
        summary="Start an experiment",
        request=NewExperiment,
        responses={201: AnsweredExperiment},
        examples=[OpenApiExample("a first run", FIRST_RUN, request_only=True), OpenApiExample("a change to it", CHILD, request_only=True)],
    )
    def create(self, request: Request) -> Response:
        """Start an experiment (or plan one), in a project that is there or, with `create_project`, in a new one."""
        asked = self.asked(NewExperiment)
        reference = asked.pop("project")
        # Looking up comes before the transaction: SQLite has one writer at a time, and others wait.
        project = self.project(reference, is_made=asked.pop("create_project"))
        tested = named(project, asked.pop("hypotheses", []))
        given = content(asked, project)
        with transaction.atomic():
            owner, is_new = (project, False) if project else make_named(self.caller, reference)
            experiment = lifecycle.create(owner, by=self.caller.user, **given)
            for hypothesis in tested:
                link(hypothesis, [experiment], source=Link.Source.SCRIPT, by=self.caller.user)
            experiment.hand_out_writer()
        said = about_slug(owner.name, owner.slug, field="project") if is_new else []
        said += about_slug(experiment.name, experiment.slug, field="name")
        return Response(StartedExperiment(experiment).data | ({"warnings": said} if said else {}), status=status.HTTP_201_CREATED)

    def project(self, reference: str, *, is_made: bool) -> Project | None:
        """The project of a new experiment, None where it is to be made. Raises NotFound, Conflict or Forbidden."""
        try:
            project: Project | None = Project.objects.visible_to(self.caller).select_related("team").named(reference)
        except NotFound:
            if not is_made or is_uuid(reference):
                raise
            place_for(self.caller, reference)
            project = None
        if project is not None:
            self.require(Role.EDITOR, project.team_id)
        return project

    @extend_schema(operation_id="experiment", summary="One experiment", responses=ExperimentRow)
    def retrieve(self, request: Request, experiment: str) -> Response:
        """One experiment, by UUID."""
        return Response(self.get_serializer(self.experiment()).data)

    @extend_schema(operation_id="experiment_change", summary="End, resume or change an experiment", request=ExperimentChange, responses=ExperimentRow)
    def partial_update(self, request: Request, experiment: str) -> Response:
        """Change what is given. Ending a run that has ended otherwise is 409; the status that it has already changes nothing."""
        found = self.experiment(role=Role.EDITOR)
        asked = self.asked(ExperimentChange)
        with transaction.atomic():
            change(found, asked, by=self.caller.user)
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="experiment_delete", summary="Delete an experiment", responses={204: None})
    def destroy(self, request: Request, experiment: str) -> Response:
        """Delete it with its points; takes the role admin. Its children go to its parent."""
        deletion.delete([self.experiment(role=Role.ADMIN)], by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="experiment_heartbeat", summary="Say that a run is alive", request=None, responses={204: None})
    def heartbeat(self, request: Request, experiment: str) -> Response:
        """Tell a quiet run from a dead one: send it every 30 s."""
        lifecycle.heartbeat(self.experiment(role=Role.EDITOR))
        return Response(status=status.HTTP_204_NO_CONTENT)
