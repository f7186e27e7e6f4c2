"""Runs are put into arms by params that are equal by value, the default seeds left out; which key became which is kept in `MovedArm`."""

from django.db import migrations
from django.utils import timezone

from experiments.notation.params import distinct
from experiments.rekeying import put_in_place
from projects.seeds import Seeds

BATCH = 1000
SEEDS_BEFORE = {"seed", "random_seed", "replicate"}


def worked_out(parent, child):
    """What changed between two params, as it was worked out until now."""
    names = sorted(name for name in {*parent, *child} if name not in SEEDS_BEFORE)
    return {name: {"from": parent.get(name), "to": child.get(name)} for name in names if distinct(parent.get(name)) != distinct(child.get(name))}


def say_what_was_given(experiments):
    """A features_diff that is not what the params say was given by somebody."""
    fields = ("pk", "features_diff", "params", "parent_experiment__params")
    given = []
    for pk, stored, params, above in experiments.objects.order_by().values_list(*fields).iterator(chunk_size=BATCH):
        if stored and (above is None or stored != worked_out(above, params)):
            given.append(pk)
    for first in range(0, len(given), 500):
        experiments.objects.filter(pk__in=given[first : first + 500]).update(features_diff_given=True)


def put_in_arms(apps, schema_editor):
    """Every project, then a mark on each that has runs: those that the version before makes meanwhile are put in place by the next sweep."""
    experiments, moved = apps.get_model("experiments", "Experiment"), apps.get_model("experiments", "MovedArm")
    projects = apps.get_model("projects", "Project")
    say_what_was_given(experiments)
    for pk in list(projects.objects.values_list("pk", flat=True)):
        put_in_place(experiments, moved, pk, Seeds())
    projects.objects.filter(pk__in=experiments.objects.order_by().values("project")).update(keys_due_at=timezone.now())


class Migration(migrations.Migration):

    dependencies = [
        ("experiments", "0005_moved_arms"),
        ("projects", "0005_seeds"),
    ]

    operations = [
        migrations.RunPython(put_in_arms, migrations.RunPython.noop, elidable=True),
    ]
