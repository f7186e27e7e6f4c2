"""The noise floor is mended: what was judged is judged anew, and its history says so once."""

from django.db import migrations, models
from django.utils import timezone

SENTENCE = (
    "Judged anew: the noise of a run is now read from the last fifth of its points, if these are ten or more, in a way that takes no learning curve for noise."
    " A verdict no longer depends on how often a run logs."
)


def judge_anew(apps, schema_editor):
    """Mark every hypothesis that has been judged, with a line in its history."""
    hypotheses, event = apps.get_model("hypotheses", "Hypothesis"), apps.get_model("hypotheses", "HypothesisEvent")
    now, judged = timezone.now(), hypotheses.objects.exclude(judged_at=None)
    lines = [event(hypothesis_id=pk, kind="method", sentence=SENTENCE, epoch=epoch, at=now) for pk, epoch in judged.values_list("pk", "epoch")]
    event.objects.bulk_create(lines, batch_size=500)
    judged.filter(wanted_at=None).update(wanted_at=now)
    judged.update(wants=models.F("wants") + 1)


class Migration(migrations.Migration):

    dependencies = [
        ("hypotheses", "0002_failing"),
    ]

    operations = [
        migrations.AlterField(
            model_name="hypothesisevent",
            name="kind",
            field=models.CharField(choices=[("created", "Created"), ("status", "Status"), ("terms", "Terms"), ("respecified", "Respecified"), ("frozen", "Baseline fixed"), ("linked", "Linked"), ("unlinked", "Unlinked"), ("invalidated", "Invalidated"), ("rule", "Rule"), ("edited", "Edited"), ("method", "Method")], max_length=12),
        ),
        migrations.RunPython(judge_anew, migrations.RunPython.noop, elidable=True),
    ]
