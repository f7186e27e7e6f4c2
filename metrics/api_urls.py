"""Addresses under /api/v1/metrics/."""

from django.urls import path

from metrics.api import live, operators, points, series

app_name = "metrics-api"
urlpatterns = [
    path("log/<str:project>/<str:experiment>", points.Log.as_view(), name="log"),
    path("log-batch/<str:project>/<str:experiment>", points.LogBatch.as_view(), name="log-batch"),
    path("timeseries/<str:project>/<str:experiment>/<path:metric>", series.Timeseries.as_view(), name="timeseries"),
    # `.` and `..` cannot be a part of a path: ?metric=
    path("timeseries/<str:project>/<str:experiment>", series.NamedTimeseries.as_view(), name="timeseries-named"),
    path("compare/<str:project>", series.Compare.as_view(), name="compare"),
    path("live/<str:project>", live.Live.as_view(), name="live"),
    path("points/<str:project>", live.Points.as_view(), name="points"),
    path("summary/<str:project>", series.SummaryTable.as_view(), name="summary"),
    path("names/<str:project>", series.Names.as_view(), name="names"),
    path("dead-letters", operators.DeadLetters.as_view(), name="dead-letters"),
    path("restore", operators.Restore.as_view(), name="restore"),
]
