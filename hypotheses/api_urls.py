"""Addresses of hypotheses under /api/v1/."""

from django.urls import path

from hypotheses.api import attribution, claims, judgements, links

app_name = "hypotheses-api"
ONE = "hypotheses/<uuid:hypothesis>"

urlpatterns = [
    path("hypotheses", claims.Hypotheses.as_view({"get": "list", "post": "create"}), name="hypotheses"),
    path(ONE, claims.Hypotheses.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}), name="hypothesis"),
    path(ONE + "/experiments", links.HypothesisLinks.as_view({"get": "list", "post": "create"}), name="experiments"),
    path(ONE + "/experiments/<str:experiment>", links.HypothesisLink.as_view(), name="experiment"),
    path(ONE + "/experiments/<str:experiment>/invalidate", links.HypothesisInvalidation.as_view(), name="invalidate"),
    path(ONE + "/rules", links.HypothesisRules.as_view({"get": "list", "post": "create"}), name="rules"),
    path(ONE + "/rules/<int:rule>", links.HypothesisRule.as_view(), name="rule"),
    path(ONE + "/evaluate", judgements.HypothesisEvaluation.as_view(), name="evaluate"),
    path(ONE + "/evidence", judgements.HypothesisEvidence.as_view(), name="evidence"),
    path("projects/<str:project>/attribution", attribution.ProjectAttribution.as_view(), name="attribution"),
    path(ONE + "/history", claims.HypothesisHistory.as_view({"get": "list"}), name="history"),
]
