"""A hypothesis may keep the arms that its baseline was fixed with; those whose arms were joined are judged anew."""

import config.kept_json
from django.db import migrations, models
from django.db.models.functions import Coalesce
from django.utils import timezone


def judge_joined(apps, schema_editor):
    """Have every hypothesis judged anew that was, where arms of its project were joined: the judgement says so in the history."""
    hypotheses, moved = apps.get_model("hypotheses", "Hypothesis"), apps.get_model("experiments", "MovedArm")
    judged = hypotheses.objects.exclude(judged_at=None).filter(project__in=moved.objects.filter(is_joined=True).order_by().values("project"))
    judged.update(wanted_at=Coalesce("wanted_at", models.Value(timezone.now())), wants=models.F("wants") + 1)


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0006_keys_by_value'),
        ('hypotheses', '0003_judged_anew'),
    ]

    operations = [
        migrations.AddField(
            model_name='hypothesis',
            name='kept_seeds',
            field=config.kept_json.KeptJSONField(blank=True, editable=False, help_text='The seeds that made the arms when the baseline was fixed, where the project has others now.', null=True),
        ),
        migrations.RunPython(judge_joined, migrations.RunPython.noop, elidable=True),
    ]
