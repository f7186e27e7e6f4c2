"""What the checks of every minute look at, each part asked for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from alerts import watch
from alerts.models import Alert, WebProcess
from experiments.models import Experiment
from metrics.store.repository import MetricRepository
from metrics.store.shapes import Place, Summaries, Summary

T = TypeVar("T")
RUNS_A_QUERY = 2000


class Scene:
    """What the checks look at, each part asked for once and only where a check needs it."""

    def __init__(self, store: Callable[[], MetricRepository], *, at: datetime) -> None:
        self.store, self.at = store, at

    @cached_property
    def processes(self) -> list[WebProcess]:
        """Web processes that were seen within a day, the latest first."""
        return list(WebProcess.objects.filter(seen_at__gte=self.at - watch.KEPT).order_by("-seen_at"))

    @property
    def live(self) -> list[WebProcess]:
        """Those that are alive."""
        return [one for one in self.processes if self.at - one.seen_at <= watch.LIVE]

    @property
    def trouble(self) -> str:
        """Why our own ingest is not as it should be, or nothing."""
        return "No web process takes points." if not self.live else next((one.trouble for one in self.live if one.trouble), "")

    @property
    def well_since(self) -> datetime:
        """Since when every web process has been well."""
        return max((one.well_since for one in self.live if one.well_since), default=self.at)

    @cached_property
    def runs(self) -> list[Experiment]:
        """The experiments that run now."""
        running = Experiment.objects.running().current().filter(project__archived=False)
        return list(running.select_related("project__team").defer("notes", "command", "params", "features_diff"))

    @cached_property
    def activity(self) -> Summaries:
        """The summaries of their series. Raises StoreError."""
        found: Summaries = {}
        for chunk in chunks(self.runs, RUNS_A_QUERY):
            found |= self.store().activity({place_of(run) for run in chunk}, [run.pk for run in chunk])
        return found

    @cached_property
    def open(self) -> set[tuple[str, str]]:
        """(kind, subject) of every open alert."""
        return set(Alert.objects.open().values_list("kind", "subject"))

    @property
    def series(self) -> Iterator[tuple[Experiment, str, Summary]]:
        """Every series of the runs."""
        return ((run, metric, summary) for run in self.runs for metric, summary in self.activity.get(run.pk, {}).items())


def place_of(run: Experiment) -> Place:
    """Where the run's series live."""
    return Place(run.project.team_id, run.project_id)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, `size` at a time."""
    return (items[first : first + size] for first in range(0, len(items), size))
