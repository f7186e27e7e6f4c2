"""Which runs test a hypothesis, one by one and by rules, for scripts."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.models import Role
from accounts.scopes import EDITS, READS
from config.limits.fields import ShortList
from config.web.names import NameField
from config.web.rest import StableOrdering, StrictSerializer
from experiments.stalled import state_of
from hypotheses.api.claims import HypothesisView, experiment_named
from hypotheses.claims import stating
from hypotheses.claims.linking import link
from hypotheses.models import Link, Rule

LINKED_MOST = 1000


class LinkRow(serializers.ModelSerializer[Link]):
    """A link between a run and a hypothesis."""

    experiment = serializers.UUIDField(source="experiment_id", read_only=True)
    slug = serializers.CharField(source="experiment.slug", read_only=True)
    name = serializers.CharField(source="experiment.name", read_only=True)
    status = serializers.SerializerMethodField(help_text="A failure's kind where there is one; `stalled` where a running one is silent for too long.")

    class Meta:
        model = Link
        fields = ("experiment", "slug", "name", "status", "source", "linked_at", "is_post_hoc", "unlinked_at", "counts_unlinked", "invalidated_at", "reason")

    def get_status(self, link: Link) -> str:
        """The word that pages show."""
        return state_of(link.experiment)


class RuleRow(serializers.ModelSerializer[Rule]):
    """A rule that links runs."""

    class Meta:
        model = Rule
        fields = ("id", "feature", "created_at")


class AskedLinks(StrictSerializer):
    """Runs to link."""

    experiments = ShortList(child=serializers.CharField(max_length=255), min_length=1, max_length=LINKED_MOST, help_text="UUIDs, slugs or names.")


class AskedReason(StrictSerializer):
    """Why a run does not count."""

    reason = serializers.CharField(max_length=500)


class AskedRule(StrictSerializer):
    """A rule to add."""

    feature = NameField(max_length=250, help_text="Links every experiment whose features_diff holds it.")


@extend_schema_view(list=extend_schema(operation_id="hypothesis_experiments", summary="Linked runs"))
class HypothesisLinks(HypothesisView, mixins.ListModelMixin, GenericViewSet[Link]):
    """The runs of a hypothesis: every link that there ever was, the first first."""

    scopes: ClassVar = {"list": READS, "create": EDITS}

    queryset = Link.objects.none()
    serializer_class = LinkRow
    filter_backends = (StableOrdering,)
    ordering_fields = ("linked_at",)

    def get_queryset(self) -> QuerySet[Link]:
        """The links of the hypothesis in the address."""
        return Link.objects.none() if self.is_schema else self.hypothesis().links.select_related("experiment")

    @extend_schema(operation_id="hypothesis_link", summary="Link runs", request=AskedLinks, responses=LinkRow(many=True))
    def create(self, request: Request, hypothesis: str) -> Response:
        """Link runs. One that has ended already is shown, and does not count: it suggested the claim."""
        found = self.hypothesis(role=Role.EDITOR)
        asked = dict.fromkeys(self.asked(AskedLinks)["experiments"])
        runs = [experiment_named(found.project, reference, field="experiments") for reference in asked]
        link(found, runs, by=self.caller.user)
        return Response(LinkRow(found.links.filter(experiment__in=runs).select_related("experiment"), many=True).data)


class HypothesisLink(HypothesisView):
    """One run of a hypothesis."""

    scopes: ClassVar = {"delete": EDITS}

    @extend_schema(operation_id="hypothesis_unlink", summary="Unlink a run", responses={204: None})
    def delete(self, request: Request, hypothesis: str, experiment: str) -> Response:
        """Take the link back. A run that has ended still counts, unless it is invalidated."""
        found = self.hypothesis(role=Role.EDITOR)
        stating.unlink(found, experiment_named(found.project, experiment, field="experiment"), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class HypothesisInvalidation(HypothesisView):
    """That a run does not count."""

    scopes: ClassVar = {"post": EDITS}

    @extend_schema(operation_id="hypothesis_invalidate", summary="Invalidate a run", request=AskedReason, responses={204: None})
    def post(self, request: Request, hypothesis: str, experiment: str) -> Response:
        """A run does not count, for a reason that stands in the history."""
        found = self.hypothesis(role=Role.EDITOR)
        reason = self.asked(AskedReason)["reason"]
        stating.invalidate(found, experiment_named(found.project, experiment, field="experiment"), reason=reason, by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema_view(list=extend_schema(operation_id="hypothesis_rules", summary="Rules that link runs"))
class HypothesisRules(HypothesisView, mixins.ListModelMixin, GenericViewSet[Rule]):
    """The rules of a hypothesis, the oldest first."""

    scopes: ClassVar = {"list": READS, "create": EDITS}

    queryset = Rule.objects.none()
    serializer_class = RuleRow
    filter_backends = (StableOrdering,)
    ordering_fields = ("created_at", "feature")

    def get_queryset(self) -> QuerySet[Rule]:
        """The rules of the hypothesis in the address."""
        return Rule.objects.none() if self.is_schema else self.hypothesis().rules.all()

    @extend_schema(operation_id="hypothesis_rule_add", summary="Add a rule", request=AskedRule, responses={201: RuleRow})
    def create(self, request: Request, hypothesis: str) -> Response:
        """Link every experiment of the project whose features_diff holds the feature: those there are, and those to come."""
        found = self.hypothesis(role=Role.EDITOR)
        rule = stating.add_rule(found, self.asked(AskedRule)["feature"], by=self.caller.user)
        return Response(RuleRow(rule).data, status=status.HTTP_201_CREATED)


class HypothesisRule(HypothesisView):
    """One rule."""

    scopes: ClassVar = {"delete": EDITS}

    @extend_schema(operation_id="hypothesis_rule_remove", summary="Remove a rule", responses={204: None})
    def delete(self, request: Request, hypothesis: str, rule: int) -> Response:
        """Link nothing more by it; what it has linked stays."""
        found = self.hypothesis(role=Role.EDITOR)
        stating.remove_rule(found, get_object_or_404(found.rules, pk=rule).feature, by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
