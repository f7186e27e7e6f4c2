"""Addresses of hypotheses under /api/v1/."""

from django.urls import path

from hypotheses.api import attribution as attribution_api
from hypotheses.api import claims as api
from hypotheses.api import judgements

app_name = "hypotheses-api"
ONE = "hypotheses/<uuid:hypothesis>"

urlpatterns = [
    path("hypotheses", api.Hypotheses.as_view({"get": "list", "post": "create"}), name="hypotheses"),
    path(ONE, api.Hypotheses.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}), name="hypothesis"),
    path(ONE + "/experiments", api.HypothesisLinks.as_view({"get": "list", "post": "create"}), name="experiments"),
    path(ONE + "/experiments/<str:experiment>", api.HypothesisLink.as_view(), name="experiment"),
    path(ONE + "/experiments/<str:experiment>/invalidate", api.HypothesisInvalidation.as_view(), name="invalidate"),
    path(ONE + "/rules", api.HypothesisRules.as_view({"get": "list", "post": "create"}), name="rules"),
    path(ONE + "/rules/<int:rule>", api.HypothesisRule.as_view(), name="rule"),
    path(ONE + "/evaluate", judgements.HypothesisEvaluation.as_view(), name="evaluate"),
    path(ONE + "/evidence", judgements.HypothesisEvidence.as_view(), name="evidence"),
    path("projects/<str:project>/attribution", attribution_api.ProjectAttribution.as_view(), name="attribution"),
    path(ONE + "/history", api.HypothesisHistory.as_view({"get": "list"}), name="history"),
]
