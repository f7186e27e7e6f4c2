"""Experiments as JSON: what scripts start, end and look up."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar, cast

import django_filters
from django.db import IntegrityError, transaction
from django.db.models import Prefetch, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts.access import Caller, caller
from accounts.endpoints import RecordView, SlugWarning
from accounts.models import Role, User
from accounts.scopes import ADMINISTERS, LOGS, READS_BACK
from accounts.slugs import about_slug, is_uuid, spellings
from config.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from config.limits.fields import Moment, ShortList
from config.limits.lane import Heavy
from config.limits.sizes import COMMAND_BYTES, LEAVES_MOST, LISTED_MOST, NOTES_BYTES, PARAMS_BYTES, PARAMS_SHOWN, TAGS_MOST, TEXT_SHOWN
from config.web.names import NameField
from config.web.pagination import CursorPages
from config.web.query import AnyOf, Repeated, Searched, TrueOrFalse
from config.web.rest import INT64_MAX, INT64_MIN, StableOrdering, StrictSerializer, refuse_keys, refuse_many, refuse_twice
from config.web.words import listed, meant, nearest
from experiments import deletion, lifecycle, writer
from experiments.content import Fields
from experiments.models import Experiment, MovedArm
from experiments.readings import beginnings
from experiments.stalled import STALLED, is_stalled
from experiments.table.filtering import in_status
from experiments.table.listing import METRICS, chosen, is_by_metrics, keys_of, numbers_asked, numbers_of
from hypotheses.claims.linking import link, named
from hypotheses.models import Link
from metrics.api.answering import StoreReader
from projects.api import OfProject, readable_by
from projects.models import Project
from projects.services import make_named, place_for

STATUSES = (*Experiment.Status.values, STALLED)
KEYS = uuid.UUID("3c6f1d2e-7a55-4d0b-9c58-6c1f0a4b8e21")
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again gets the experiment that it made.")
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


class MissingPoints(StrictSerializer):
    """Points that did not arrive: how many in all, and why."""

    how = serializers.ChoiceField(
        choices=writer.How.choices, help_text="`refused` by the server, `left_out` or `dropped` by the script, or `kept` by it: these can be sent."
    )
    reason = serializers.RegexField(r"^[a-z][a-z0-9_]*\Z", max_length=40, help_text="A word for the reason, such as `too_many_names`.")
    points = serializers.IntegerField(min_value=0, max_value=INT64_MAX, help_text="In all: 0 where there are none any more.")
    message = serializers.CharField(max_length=500, required=False, default="", allow_blank=True, help_text="What to do about it, in words.")


class WriterLost(serializers.Serializer[Any]):  # Any: shown, never read
    """Why the server takes nothing more of a run's script."""

    why = serializers.ChoiceField(
        choices=("revoked", "expired", "deactivated", "deleted", "removed"), help_text="What became of its token or of the token's user."
    )
    at = serializers.DateTimeField(allow_null=True, help_text="When, where that is known.")


class ExperimentRow(serializers.ModelSerializer[Experiment]):
    """An experiment."""

    project = ProjectReference(read_only=True)
    status = serializers.SerializerMethodField(help_text="`stalled`: running by the record, and silent for longer than it may be.")
    parent = serializers.UUIDField(source="parent_experiment_id", read_only=True, allow_null=True)  # type: ignore[assignment]  # DRF takes fields out of the class
    root = serializers.UUIDField(source="root_experiment_id", read_only=True, help_text="The experiment itself, where it has no parent.")  # type: ignore[assignment]
    features_diff = serializers.SerializerMethodField(
        help_text="What changed against the parent. {} to a token of the scope ingest where it follows from the params of a parent that another made."
    )
    replicate_key = serializers.SerializerMethodField(
        help_text="Of runs that differ in their seed alone. Empty to a token of the scope ingest where it follows from the params of a parent."
    )
    params = ObjectField(read_only=True)
    tags = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    url = serializers.SerializerMethodField(help_text="The path of its page.")
    missing = serializers.SerializerMethodField(help_text="Points that did not arrive, as the script says that logged them.")
    writer_lost = serializers.SerializerMethodField(help_text="Why a run that goes on gets no more points of its script: null where its token holds.")

    class Meta:
        model = Experiment
        fields: tuple[str, ...] = (
            *(
                "id",
                "slug",
                "name",
                "project",
                "status",
                "failure_kind",
                "parent",
                "root",
                "features_diff",
                "features_diff_given",
                "params",
                "seed",
                "tags",
                "notes",
            ),
            *("replicate_group", "replicate_key", "host", "git_commit", "command", "url", "started_at", "finished_at", "last_point_at"),
            *("created_at", "updated_at", "archived", "missing", "writer_lost"),
        )

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_features_diff(self, experiment: Experiment) -> dict[str, Any]:  # Any: whatever JSON holds
        """What changed, where the caller may read it."""
        return experiment.features_diff if self.shows_change(experiment) else {}

    def shows_change(self, experiment: Experiment) -> bool:
        """Whether the caller may read what changed."""
        request = self.context.get("request")
        return request is None or reads_change(caller(request), experiment)

    def get_replicate_key(self, experiment: Experiment) -> str:
        """The key of its arm, where the caller may read it."""
        request = self.context.get("request")
        return experiment.replicate_key if request is None or reads_key(caller(request), experiment) else ""

    @extend_schema_field({"type": "string", "enum": list(STATUSES)})
    def get_status(self, experiment: Experiment) -> str:
        """Where it is in its life, as its page says."""
        return STALLED if is_stalled(experiment) else experiment.status

    @extend_schema_field(MissingPoints(many=True))
    def get_missing(self, experiment: Experiment) -> list[dict[str, Any]]:  # Any: words and numbers
        """What did not arrive, the most first."""
        return [asdict(each) for each in writer.missing(experiment)]

    @extend_schema_field(WriterLost(allow_null=True))
    def get_writer_lost(self, experiment: Experiment) -> Mapping[str, Any] | None:  # Any: words and times
        """Why its script cannot write any more."""
        lost = writer.lost_writer(experiment)
        return None if lost is None else WriterLost(lost).data

    def get_url(self, experiment: Experiment) -> str:
        """The path of its page."""
        project = experiment.project
        return reverse("experiments:experiment", args=[project.team.slug, project.slug, experiment.slug])


class ListedExperiment(ExperimentRow):
    """An experiment as a row of a list, with the columns and numbers that were asked for. Of what may be long it has the beginning."""

    notes = serializers.SerializerMethodField(help_text=f"The first {TEXT_SHOWN} characters.")
    command = serializers.SerializerMethodField(help_text=f"The first {TEXT_SHOWN} characters.")
    params = serializers.SerializerMethodField(help_text=f"The first of them, as many as {PARAMS_SHOWN:,} characters of JSON hold.")  # type: ignore[assignment]
    features_diff = serializers.SerializerMethodField(help_text="As of params, and as the run's own address answers it.")
    cut = serializers.SerializerMethodField(help_text="The fields of which this row has a part.")
    whole = serializers.SerializerMethodField(help_text="Where all of them is read; null where nothing is cut.")
    metrics = serializers.SerializerMethodField(
        help_text="Only where `metrics` is asked for: its numbers by the words that asked for them, null where there is none."
    )
    may_lack = (*ExperimentRow.Meta.fields, "metrics")

    class Meta(ExperimentRow.Meta):
        fields = (*ExperimentRow.Meta.fields, "cut", "whole", "metrics")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:  # Any: of every kind
        """The columns that were asked for; without a request, as the schema has it, all."""
        fields = super().get_fields()
        asked = self.context.get("columns") or ExperimentRow.Meta.fields
        self.long = [name for name in beginnings.LONG if name in asked]
        more = [*(["cut", "whole"] if self.long else []), *(["metrics"] if self.context.get("numbers", {}) is not None else [])]
        return {name: fields[name] for name in (*asked, *more)}

    def get_notes(self, experiment: Experiment) -> str:
        """Their beginning."""
        return beginnings.text_of(experiment, "notes")

    def get_command(self, experiment: Experiment) -> str:
        """Its beginning."""
        return beginnings.text_of(experiment, "command")

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_params(self, experiment: Experiment) -> dict[str, Any]:  # Any: whatever JSON holds
        """The first of them."""
        return beginnings.object_of(experiment, "params")

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_features_diff(self, experiment: Experiment) -> dict[str, Any]:  # Any: whatever JSON holds
        """The first of it, where the caller may read it."""
        return beginnings.object_of(experiment, "features_diff") if self.shows_change(experiment) else {}

    def get_cut(self, experiment: Experiment) -> list[str]:
        """The fields of which the row has a part."""
        return [name for name in beginnings.cut_in(experiment, self.long) if name != "features_diff" or self.shows_change(experiment)]

    def get_whole(self, experiment: Experiment) -> str | None:
        """The run's own address."""
        return reverse("experiments-api:experiment", args=[experiment.pk]) if self.get_cut(experiment) else None

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_metrics(self, experiment: Experiment) -> dict[str, Any]:  # Any: numbers, and words for what is none
        """The numbers that were asked for."""
        found: dict[str, Any] = self.context["numbers"].get(experiment.pk, {})
        return found


def reads_change(asking: Caller, experiment: Experiment) -> bool:
    """Whether the caller may read features_diff: what follows from the params of a parent tells them, and a token that logs reads only its own."""
    if not asking.logs_alone or experiment.features_diff_given or experiment.parent_experiment is None:
        return True
    return asking.token is not None and experiment.parent_experiment.made_with == asking.token.pk


def reads_key(asking: Caller, experiment: Experiment) -> bool:
    """Whether the caller may read replicate_key: below a parent it is a hash of the params of all above, by which a guess at them is proved."""
    return not asking.logs_alone or experiment.parent_experiment_id is None or bool(experiment.replicate_group)


OF_A_READABLE_KEY = Q(parent_experiment=None) | ~Q(replicate_group="")  # the same of rows


def columns_asked(text: str | None) -> list[str]:
    """The columns of a list; none where it does not say. Raises Invalid for one that there is not."""
    names = listed(text or "")
    for name in names:
        if name not in ExperimentRow.Meta.fields:
            near = nearest(name, ExperimentRow.Meta.fields)
            message = f"There is no column {name[:100]!r}.{meant(near)} There are {', '.join(ExperimentRow.Meta.fields)}."
            raise Invalid(message, [Fault(None, "fields", "unknown_column", message, suggestion=near or None)])
    return names


class StartedExperiment(ExperimentRow):
    """An experiment as it is answered to the client that starts it."""

    writer = serializers.IntegerField(source="writers", read_only=True, help_text="Send it with points: under it each lands once, however often it is sent.")

    class Meta(ExperimentRow.Meta):
        fields = (*ExperimentRow.Meta.fields, "writer")


class AnsweredExperiment(StartedExperiment):
    """The same with what is said of its slugs, in the schema: where there is nothing to say, `warnings` is left out."""

    warnings = SlugWarning(many=True, read_only=True, required=False)
    may_lack = ("warnings",)

    class Meta(StartedExperiment.Meta):
        fields = (*StartedExperiment.Meta.fields, "warnings")


def started(experiment: Experiment, request: Request, *, in_new_project: bool) -> dict[str, Any]:  # Any: values of several fields
    """The answer to the client that starts it by `request`, with what is to be said of slugs that are not what the names give."""
    project = experiment.project
    said = about_slug(project.name, project.slug, field="project") if in_new_project else []
    said += about_slug(experiment.name, experiment.slug, field="name")
    return StartedExperiment(experiment, context={"request": request}).data | ({"warnings": said} if said else {})


class ExperimentContent(StrictSerializer):
    """What may be said of an experiment at any time."""

    name = NameField(max_length=255, required=False)
    parent = serializers.CharField(max_length=255, required=False, allow_null=True, help_text="UUID, slug or name in the same project.")  # type: ignore[assignment]
    features_diff = ObjectField(required=False, help_text="What changed against the parent; where not given, or empty, it follows the params of both.")
    params = ObjectField(required=False, help_text=f"At most {PARAMS_BYTES:,} bytes of compact JSON and {LEAVES_MOST:,} values; so is features_diff.")
    seed = serializers.IntegerField(required=False, allow_null=True, min_value=INT64_MIN, max_value=INT64_MAX)
    tags = ShortList(child=NameField(max_length=100), required=False, help_text=f"At most {TAGS_MOST}.")
    notes = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, help_text=f"At most {NOTES_BYTES:,} bytes.")
    replicate_group = NameField(max_length=200, required=False, allow_blank=True, help_text="Runs with one group are replicates of each other.")
    host = serializers.CharField(max_length=255, required=False, allow_blank=True)
    git_commit = serializers.CharField(max_length=64, required=False, allow_blank=True)
    command = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, help_text=f"At most {COMMAND_BYTES:,} bytes.")


class NewExperiment(ExperimentContent):
    """What a new experiment is."""

    project = serializers.CharField(max_length=255, trim_whitespace=False, help_text="UUID, exact name or slug, looked for in this order.")
    create_project = serializers.BooleanField(default=False, help_text="Make a project of this name where none is found, in the token's team or your only one.")
    name = NameField(max_length=255)
    status = serializers.ChoiceField(choices=Experiment.Status.choices, default=Experiment.Status.RUNNING, help_text="`planned` or `running`.")
    hypotheses = ShortList(
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
    missing = MissingPoints(  # type: ignore[call-arg]  # of the list that `many` makes
        many=True,
        required=False,
        max_length=LISTED_MOST,
        help_text="What a script says of its points that did not arrive: of each `how` and `reason` the last word holds.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:  # Any: values of several fields
        """Refuse a kind of failure without a failure."""
        if values.get("failure_kind") and values.get("status") != Experiment.Status.FAILED:
            raise serializers.ValidationError({"failure_kind": 'It goes with "status": "failed".'})
        return values


class Heartbeat(StrictSerializer):
    """What a heartbeat may say."""

    every_s = serializers.FloatField(required=False, min_value=0.001, max_value=86_400.0, help_text="How far apart the heartbeats will come, in seconds.")


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
    missing = asked.pop("missing", None)
    if missing:
        writer.tell(experiment, missing)
    if asked:
        lifecycle.edit(experiment, by=by, **content(asked, experiment.project))
    if archived is not None:
        (lifecycle.archive if archived else lifecycle.restore)(experiment, by=by)
    if status is not None:
        lifecycle.move(experiment, status, kind, by=by)


class ExperimentFilter(OfProject):
    """How a list of experiments is narrowed."""

    status = AnyOf(
        choices=[(word, word) for word in STATUSES], method="in_status", label="Repeat it for any of several. Those that are `stalled` are `running`, too."
    )
    tag = Repeated(method="tagged", label="Repeat it for all of several.")
    parent = django_filters.CharFilter(
        field_name="parent_experiment_id", method="below", label="UUID, slug or exact name of the experiment that they were changed from."
    )
    root = django_filters.CharFilter(
        field_name="root_experiment_id", method="below", label="UUID, slug or exact name of the experiment that their lineage began with."
    )
    replicate_key = django_filters.CharFilter(
        method="of_arm", label="As a row has it: runs that differ in their seed alone. One that rows had before arms were put together anew finds them, too."
    )
    archived = TrueOrFalse(help_text="true for those put away, false for the others; both where not given.")
    search = Searched(method="matching", label="Text in name, slug or notes.")
    where = django_filters.CharFilter(method="fitting", label="A filter such as `params.lr < 1e-3 and metrics.loss.min < 0.2`; needs `project`.")
    created_after = Moment(field_name="created_at", lookup_expr="gte", label="Made at this moment or later, ISO 8601.")
    created_before = Moment(field_name="created_at", lookup_expr="lt", label="Made before this moment, ISO 8601.")

    def below(self, experiments: QuerySet[Experiment], name: str, reference: str) -> QuerySet[Experiment]:
        """Those below one experiment. Raises NotFound, or Conflict where several have the name."""
        asking = caller(self.request)
        above = self.within(Experiment.objects.visible_to(asking).filter(asking.made("made_with"))).named(reference)
        return experiments.filter(**{name: above.pk})

    def of_arm(self, experiments: QuerySet[Experiment], name: str, key: str) -> QuerySet[Experiment]:
        """Those of one arm, by the key that it has or had."""
        keys = spellings(key)
        moved = MovedArm.objects.filter(old_key__in=keys).values_list("new_key", flat=True)
        experiments = experiments.filter(OF_A_READABLE_KEY) if caller(self.request).logs_alone else experiments
        return experiments.filter(replicate_key__in=[*keys, *moved])

    def in_status(self, experiments: QuerySet[Experiment], name: str, words: list[str]) -> QuerySet[Experiment]:
        """Those in any of the statuses."""
        now = timezone.now()
        return experiments.filter(reduce(or_, (in_status(word, now) for word in dict.fromkeys(words)))) if words else experiments

    def tagged(self, experiments: QuerySet[Experiment], name: str, tag: str) -> QuerySet[Experiment]:
        """Those with every tag asked for. Raises Invalid for more than a run may have. A join for each would be more than a database takes."""
        wanted = dict.fromkeys(self.data.getlist("tag"))
        if len(wanted) > TAGS_MOST:
            message = f"tag names {len(wanted):,} tags, and a run has {TAGS_MOST} at most: give fewer."
            raise Invalid(message, [Fault(None, "tag", "too_many", message)])
        for each in wanted:
            experiments = experiments.filter(pk__in=Experiment.tags.through.objects.filter(tag__name__in=spellings(each)).values("experiment_id"))
        return experiments

    def matching(self, experiments: QuerySet[Experiment], name: str, text: str) -> QuerySet[Experiment]:
        """Those that hold the text."""
        return experiments.filter(Q(name__icontains=text) | Q(slug__icontains=text) | Q(notes__icontains=text))

    def fitting(self, experiments: QuerySet[Experiment], name: str, text: str) -> QuerySet[Experiment]:
        """Those that fit a filter are picked by `Experiments.paginate_queryset`, once all else has narrowed them."""
        return experiments


class ExperimentOrdering(StableOrdering):
    """Fields of the record, and numbers of metrics; what asks the metric store is put in order by `Experiments.paginate_queryset`."""

    def get_ordering(self, request: Request, queryset: QuerySet[Experiment], view: APIView) -> Sequence[str]:
        """The fields to order by. Raises Invalid."""
        text = request.query_params.get(self.ordering_param, "")
        if not is_by_metrics(text):
            return super().get_ordering(request, queryset, view)
        refuse_many(listed(text))
        refuse_twice(listed(text))
        refuse_keys([word for word in listed(text) if not word.removeprefix("-").startswith(METRICS)], [*self.keys(view), f"{METRICS}<name>"])
        return ["-created_at", "pk"]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:  # Any: DRF's own signature
        """`ordering`, with the keys there are."""
        more = " Or a number of a metric, `metrics.accuracy.max`; then `project` is needed. What has no value comes last."
        return [each | {"description": each["description"] + more} for each in super().get_schema_operation_parameters(view)]


def refuse_params(asked: Mapping[str, str]) -> None:
    """Raise Forbidden for the words of a list by whose answer somebody learns which params and metrics a project has."""
    words = [word for word in ("where", "metrics") if word in asked] + (["ordering by metrics"] if is_by_metrics(asked.get("ordering", "")) else [])
    if words:
        raise Forbidden(READS_PARAMS.format(" and ".join(words)))


Page = list[Experiment]  # `list` is a verb of the view below
READS_PARAMS = "A token of the scope ingest (Log) asks for no params and metrics of a project: leave out {}, or use one of the scope read (Read)."
LIST_WORDS = [
    OpenApiParameter("fields", str, description="The columns of each row, separated by commas; all where not given."),
    OpenApiParameter("metrics", str, description="Numbers of metrics to add to each row as `metrics`, such as `accuracy,loss.min`; needs `project`."),
]


@extend_schema_view(list=extend_schema(operation_id="experiments", summary="Experiments", parameters=LIST_WORDS))
class Experiments(Heavy, StoreReader, RecordView, mixins.ListModelMixin, GenericViewSet[Experiment]):
    """The experiments of the caller's teams."""

    scopes: ClassVar = {
        "list": READS_BACK,
        "retrieve": READS_BACK,
        "create": LOGS,
        "partial_update": LOGS,
        "heartbeat": LOGS,
        "destroy": ADMINISTERS,
    }

    queryset = Experiment.objects.none()
    serializer_class = ExperimentRow
    filter_backends = (DjangoFilterBackend, ExperimentOrdering)
    filterset_class = ExperimentFilter
    pagination_class = CursorPages
    ordering_fields = ("name", "status", "created_at", "updated_at", "started_at", "finished_at", "last_point_at")

    def is_heavy(self, request: Request) -> bool:
        """Whether every experiment of a project is looked at for a list."""
        asked = request.query_params
        return self.action == "list" and bool({"where", "metrics", "search"} & set(asked) or is_by_metrics(asked.get("ordering", "")))

    def get_queryset(self) -> QuerySet[Experiment]:
        """Those that the caller may read."""
        if self.is_schema:
            return Experiment.objects.none()
        rows = self.visible().filter(self.caller.made("made_with")).prefetch_related("tags")
        if self.action == "list" and self.caller.logs_alone:
            rows = rows.prefetch_related(Prefetch("parent_experiment", Experiment.objects.only("made_with")))
        return beginnings.with_beginnings(rows) if self.action == "list" else rows

    def get_serializer_class(self) -> type[ExperimentRow]:
        """What a row is."""
        return ListedExperiment if self.action == "list" else ExperimentRow

    def list(self, request: Request) -> Response:
        """Those that fit every condition, a page at a time."""
        if self.caller.logs_alone:
            refuse_params(request.query_params)
        fields = columns_asked(request.query_params.get("fields"))
        numbers = numbers_asked(self.one_project("metrics"), request.query_params["metrics"]) if "metrics" in request.query_params else None
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        found = None if numbers is None else numbers_of(self.one_project("metrics"), numbers, [row.pk for row in rows])
        context = {**self.get_serializer_context(), "columns": fields, "numbers": found}
        return self.get_paginated_response(ListedExperiment(rows, many=True, context=context).data)

    def one_project(self, asking: str) -> Project:
        """The project that `asking` is about. Raises Invalid without one, NotFound, or Conflict."""
        reference = self.request.query_params.get("project")
        if not reference:
            message = f"{asking} needs project: params and metrics are a project's own."
            raise Invalid(message, [Fault(None, "project", "missing", message)])
        return readable_by(self.caller).named(reference)

    def paginate_queryset(self, queryset: Any) -> Page:  # type: ignore[override]  # Any: DRF's own signature, which leaves rows open
        """One page; with `where` of those that fit it, and in the order of metrics where one is asked for. Raises FilterError."""
        where, order = (self.request.query_params.get(word, "") for word in ("where", "ordering"))
        pages = cast(CursorPages, self.paginator)
        rows = pages.behind(queryset, self.request)
        if where.strip() or is_by_metrics(order):
            project = self.one_project("where" if where.strip() else "ordering by metrics")
            keys = keys_of(project, order) if is_by_metrics(order) else []
            ids = super().paginate_queryset(chosen(project, rows.prefetch_related(None).select_related(None), where=where, keys=keys))
            by_id = self.get_queryset().in_bulk(ids or ())
            page = [by_id[pk] for pk in ids or () if pk in by_id]
        else:
            page = list(super().paginate_queryset(rows) or ())
        pages.last = page[-1] if page else None
        return page

    def visible(self) -> QuerySet[Experiment]:
        """Those of the caller's teams, with what their address takes."""
        return Experiment.objects.visible_to(self.caller).select_related("project__team").with_writer()

    def experiment(self, *, role: Role = Role.VIEWER) -> Experiment:
        """The experiment in the address. Raises Http404 or Forbidden."""
        experiment = get_object_or_404(self.visible(), pk=self.kwargs["experiment"])
        self.require(role, experiment.project.team_id)
        self.caller.require_made(experiment.made_with)
        return experiment

    @extend_schema(
        operation_id="experiment_create",
        summary="Start an experiment",
        parameters=[KEY],
        request=NewExperiment,
        responses={201: AnsweredExperiment},
        examples=[OpenApiExample("a first run", FIRST_RUN, request_only=True), OpenApiExample("a change to it", CHILD, request_only=True)],
    )
    def create(self, request: Request) -> Response:
        """Start an experiment (or plan one), in a project that is there or, with `create_project`, in a new one. One `Idempotency-Key` makes one."""
        asked, pk, token = self.asked(NewExperiment), self.pk_of_key(), self.caller.token
        if pk is not None and (before := self.visible().filter(pk=pk).first()) is not None:
            return self.replayed(before)
        try:
            experiment, is_new = self.made(asked, {"made_with": token.pk if token else None, **({} if pk is None else {"id": pk})})
        except IntegrityError:
            if pk is None or not Experiment.objects.filter(pk=pk).exists():
                raise
            return self.replayed(self.made_meanwhile(pk))
        return Response(started(experiment, request, in_new_project=is_new), status=status.HTTP_201_CREATED)

    def made_meanwhile(self, pk: uuid.UUID) -> Experiment:
        """What the same request made at the same moment. Raises Conflict where the key was used for one that the caller does not reach by this token."""
        made = self.visible().filter(pk=pk).first()
        if made is None:
            raise Conflict("This Idempotency-Key was used elsewhere, for an experiment that this token does not reach: send another key.")
        return made

    def replayed(self, made: Experiment) -> Response:
        """The answer to the request that made it, again. Raises Forbidden where another token made it, and this one reaches only its own."""
        self.caller.require_made(made.made_with)
        return Response(started(made, self.request, in_new_project=False), status=status.HTTP_201_CREATED, headers={"Idempotent-Replayed": "true"})

    def pk_of_key(self) -> uuid.UUID | None:
        """The id of the experiment that the request's `Idempotency-Key` makes, whichever process takes it; None without a key."""
        key = self.request.headers.get("Idempotency-Key", "")
        return uuid.uuid5(KEYS, f"{self.caller.user.pk} {key}") if key else None

    def made(self, asked: dict[str, Any], identity: Fields) -> tuple[Experiment, bool]:  # Any: values of several fields
        """A new experiment as asked for, with the number of its first writer, and whether its project was made for it."""
        reference = asked.pop("project")
        # Looking up comes before the transaction: SQLite has one writer at a time, and others wait.
        project = self.project(reference, is_made=asked.pop("create_project"))
        tested = named(project, asked.pop("hypotheses", []))
        given = content(asked, project)
        with transaction.atomic():
            owner, is_new = (project, False) if project else make_named(self.caller, reference)
            experiment = lifecycle.create(owner, by=self.caller.user, **identity, **given)
            for hypothesis in tested:
                link(hypothesis, [experiment], source=Link.Source.SCRIPT, by=self.caller.user)
            experiment.hand_out_writer(token=self.caller.token)
        return experiment, is_new

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

    @extend_schema(operation_id="experiment_heartbeat", summary="Say that a run is alive", request=Heartbeat, responses={204: None})
    def heartbeat(self, request: Request, experiment: str) -> Response:
        """Tell a quiet run from a dead one: send it every 30 s. A run that beats once a minute at least is stalled after two minutes without a beat."""
        found = self.experiment(role=Role.EDITOR)
        # A beat may come without a body, of whatever type the sender's library gives to that.
        every_s = self.asked(Heartbeat).get("every_s") if (request.content_type or "").startswith("application/json") else None
        lifecycle.heartbeat(found, every=None if every_s is None else timedelta(seconds=every_s), token=self.caller.token)
        return Response(status=status.HTTP_204_NO_CONTENT)
