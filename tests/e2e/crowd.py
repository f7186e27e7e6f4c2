"""The project that every page is held against: 1,000 experiments, 30 metrics, a run of NaN, a run of one point, long and foreign names, script in every text.

Beside it a forest of 2,000 arms. `python -m tests.e2e.crowd` writes all of it where the environment says: the record in bulk, the points through the spool.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from tests.faults.served import ROOT, environment

RUNS, SEEDS, ARMS_EACH = 1000, 5, 3
SENDERS = 8
NAN_RUN, SINGLE_RUN, LONG_RUNS, LONG_POINTS = 2, 3, 8, 400
FOREST = 2000
# Whatever of it is taken for markup sets `struck`, makes an element of that class, or leaves its attribute.
HOSTILE = "</script><script>window.struck=1</script><img src=x onerror=window.struck=1><b class=struck>\"'&amp;{{7*7}}"
ARABIC, CHINESE = "تجربة التعلم العميق بمعدل تعلم منخفض", "深度学习实验：学习率与批量大小"
ENDLESS = "endless" * 35 + "12345"
NAMES = ("wider", HOSTILE, ARABIC, CHINESE, ENDLESS)
PARTS = ("train", "val", "layer/1", "layer/2", "system")
QUANTITIES = ("loss", "accuracy", "f1", "grad_norm", "seconds")
METRICS = (*(f"{part}/{name}" for part in PARTS for name in QUANTITIES), "lr", HOSTILE, ARABIC, CHINESE, "m" * 250)
LEADING = "val/accuracy"
PROJECT, FOREST_PROJECT = "crowd", "forest"


def slug(number: int) -> str:
    """The slug of a run: some are foreign, as a name would make them."""
    return {1: "تجربة-1", 4: "实验-4"}.get(number, f"e{number}")


def settle(settings: Mapping[str, str]) -> dict[str, str]:
    """Record and points of everything in the data directory, or on the servers, of these settings. Returns what stands for each parameter of an address."""
    command = [sys.executable, "-m", "tests.e2e.crowd"]
    done = subprocess.run(command, cwd=ROOT, env=environment(settings), check=True, timeout=240, stdout=subprocess.PIPE)
    values: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return values


def main() -> None:
    """In a process of its own. Prints the values of an address as JSON."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from hypotheses.judgements import judge as judgements
    from metrics import process

    begin()
    values = record()
    log()
    judgements.judge(uuid.UUID(values["hypothesis"]))
    process.stop(within_s=60)
    print(json.dumps(values))


def begin() -> None:
    """The tables and the first account, where nobody has made them yet."""
    from django.conf import settings
    from django.core.management import call_command

    from accounts.first_start import first_credentials, is_first_start

    call_command("migrate", verbosity=0)
    if is_first_start():
        first_credentials(settings.DATA_DIR / "credentials.json", url="")


# Points ------------------------------------------------------------------------------------------------------------------------------------


def log() -> None:
    """Every point through the ingest without its way through the web, by some senders at once as one commit takes what many send; then all is stored."""
    from experiments.models import Experiment
    from metrics import process
    from metrics.ingest.accepting import Submission, accept
    from metrics.ingest.grants import Grant
    from metrics.spool.queue import Series

    parts = process.start()
    known = {(each.project.slug, each.slug): each for each in Experiment.objects.select_related("project")}

    def send(project: str, slug: str, content: dict[str, Any]) -> None:
        run = known[project, slug]
        series = Series(run.project.team_id, run.project_id, run.pk, run.created_month)
        accept(Grant(series, "", math.inf), Submission("", "", "", json.dumps(content).encode()))

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(lambda each: send(*each), bodies()))
    assert parts.drain.wait_visible(parts.spool.last_row(), timeout_s=120)


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(project, experiment, what) of each batch."""
    for number in range(FOREST):
        yield FOREST_PROJECT, f"arm-{number}", {"steps": [0], "metrics": {LEADING: [0.5 + 0.4 * math.sin(number)]}}
    for number in range(RUNS):
        yield PROJECT, slug(number), body(number)


def body(number: int) -> dict[str, Any]:
    """A run's points: a few hundred for the first runs, two for the others."""
    chance = random.Random(number)
    count = 1 if number == SINGLE_RUN else LONG_POINTS if number < LONG_RUNS else 2
    return {"steps": list(range(count)), "metrics": {name: curve(chance, count, diverges=number == NAN_RUN) for name in METRICS}}


def curve(chance: random.Random, count: int, *, diverges: bool) -> list[Any]:
    """A falling series; one that diverges is NaN from its middle on."""
    level = chance.random()
    values: list[Any] = [round(level + math.exp(-8 * i / count) + chance.gauss(0, 0.02), 4) for i in range(count)]
    return values[: count // 2] + ["NaN"] * (count - count // 2) if diverges else values


# The record --------------------------------------------------------------------------------------------------------------------------------


def record() -> dict[str, str]:
    """The team renamed, both projects, and everything that pages show of them."""
    from accounts.invitations import inviting
    from accounts.models import ApiToken, Team, User
    from projects.models import Project, ProjectMetric, SavedView

    user, team = User.objects.get(), Team.objects.get()
    Team.objects.filter(pk=team.pk).update(name=f"{HOSTILE} {ARABIC}")
    project = Project.objects.create(team=team, name=f"{HOSTILE} {CHINESE}", slug=PROJECT, description=f"{HOSTILE} {ENDLESS} {ARABIC}")
    metrics = [ProjectMetric(project=project, name=name, direction=direction(name)) for name in METRICS]
    ProjectMetric.objects.bulk_create(metrics)
    view = SavedView.objects.create(project=project, name=HOSTILE[:100], query="?q=params.lr+%3C+1&sort=-metric%3Aval%2Faccuracy", by=user)
    token, _ = ApiToken.issue(user=user, team=team, name=HOSTILE[:100])
    experiments = runs(project, user)
    forest(team)
    inviting.invite(team, name=HOSTILE[:200], role="viewer", by=user)
    values = claim(project, experiments, user) | trouble(team, project, experiments) | {"membership_id": team.memberships.get().pk}
    names = {"team_slug": team.slug, "project_slug": PROJECT, "experiment_slug": slug(1), "view_id": view.pk, "token_id": token.pk}
    return {name: str(value) for name, value in (names | values | {"metric_id": ProjectMetric.objects.filter(project=project).first().pk}).items()}


def direction(name: str) -> str:
    """The better way, where the name says it."""
    from projects.models import Direction

    return Direction.suggested(name)


def runs(project: Any, user: Any) -> list[Any]:
    """200 arms of five seeds in a tree, tagged, noted, in every state."""
    from experiments.models import Experiment, ExperimentEvent, Tag

    made: list[Experiment] = []
    for number in range(RUNS):
        arm = number // SEEDS
        parent = made[(arm - 1) // ARMS_EACH * SEEDS] if arm else None
        made.append(run(project, number, parent, user))
        made[-1].derive()
    Experiment.objects.bulk_create(made, batch_size=200)
    tags = Tag.objects.bulk_create([Tag(project=project, name=name) for name in ("final", HOSTILE[:100], ARABIC, CHINESE)])
    through = Experiment.tags.through
    through.objects.bulk_create([through(experiment_id=each.pk, tag_id=tag.pk) for n, each in enumerate(made) for tag in tags[: n % 5]], batch_size=500)
    ExperimentEvent.objects.bulk_create([ExperimentEvent(experiment=each, kind="edited", detail=HOSTILE, by=user) for each in made[:20]])
    return made


def run(project: Any, number: int, parent: Any, user: Any) -> Any:
    """One experiment, not saved."""
    from django.utils import timezone

    from experiments.models import Experiment

    chance = random.Random(number // SEEDS)
    params = {
        "lr": 10.0 ** -(1 + number // SEEDS % 5), "width": chance.choice([64, 128, 256]), "optimizer": {"name": "adam", "beta": 0.9}, "seed": number % SEEDS,
        HOSTILE: HOSTILE, ARABIC: CHINESE, "long": ENDLESS,
    }  # fmt: skip
    failed = number == NAN_RUN or number % 97 == 96
    status = "failed" if failed else "running" if number % 250 == 249 else "planned" if number % 333 == 332 else "complete"
    began = timezone.now() - timedelta(minutes=40 + number % 7)
    ended = timezone.now() if status in ("failed", "complete") else None
    name = NAMES[number % len(NAMES)]
    return Experiment(
        project=project, name=f"{name[:240]} · {number}" if number >= len(NAMES) else name[:250], slug=slug(number), status=status,
        failure_kind="diverged" if failed else "", parent_experiment=parent, params=params, seed=number % SEEDS, host=HOSTILE[:200], git_commit="c0ffee",
        notes=f"{HOSTILE}\n\n{ENDLESS}\n{ARABIC}" if number < 20 else "", command=f"python train.py --name '{HOSTILE}'", created_by=user,
        started_at=began, finished_at=ended, number=number + 1,
    )  # fmt: skip


def forest(team: Any) -> None:
    """A project whose tree has 2,000 arms."""
    from experiments.models import Experiment
    from projects.models import Project, ProjectMetric

    project = Project.objects.create(team=team, name="Forest", slug=FOREST_PROJECT)
    ProjectMetric.objects.create(project=project, name=LEADING, direction="maximize")
    made: list[Experiment] = []
    for number in range(FOREST):
        parent = made[(number - 1) // ARMS_EACH] if number else None
        made.append(Experiment(project=project, name=f"arm {number}", slug=f"arm-{number}", status="complete", params={"n": number}, parent_experiment=parent))
        made[-1].derive()
    Experiment.objects.bulk_create(made, batch_size=500)


def claim(project: Any, made: list[Any], user: Any) -> dict[str, object]:
    """Hypotheses in every text of which there is script; the first has runs."""
    from hypotheses.claims import stating

    targets = [stating.TargetTerm(LEADING, 0.001), stating.TargetTerm(HOSTILE, 1.0, "percent", "minimize")]
    texts = {"claim": HOSTILE, "rationale": f"{HOSTILE} {ENDLESS}", "description": f"{ARABIC} {HOSTILE}"}
    for title in (ENDLESS, ARABIC, CHINESE):
        stating.propose(project, by=user, title=title[:250], targets=targets[:1], **texts)
    first = stating.propose(project, by=user, title=HOSTILE, targets=targets, experiments=made[SEEDS : 4 * SEEDS], rules=["lr"], **texts)
    return {"hypothesis": first.pk, "hypothesis_slug": first.slug}


def trouble(team: Any, project: Any, made: list[Any]) -> dict[str, object]:
    """Alerts about runs with such names, of a kind that no check closes, and a channel that has one."""
    from alerts import lifecycle as alerts
    from alerts.sending import channels

    opened = [alerts.open_alert(kind="verdict", severity="mid", experiment=each, metric=HOSTILE, message=f"{HOSTILE} {ENDLESS}") for each in made[:6]]
    channel = channels.create(team, name=HOSTILE[:100], kind="email")
    return {"alert": opened[0].pk, "alert_id": opened[0].pk, "channel": channel.pk, "channel_id": channel.pk}


if __name__ == "__main__":
    main()
