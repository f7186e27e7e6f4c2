"""A run says which replicate_key this version worked out for it: a version from before, which goes on meanwhile, leaves that as it was, and is found by it."""

from django.db import migrations, models
from django.db.models import F


def say_that_all_are_in_place(apps, schema_editor):
    """0006 put them there, and marked the projects for what was made since."""
    apps.get_model("experiments", "Experiment").objects.update(placed_key=F("replicate_key"))


class Migration(migrations.Migration):

    dependencies = [
        ("experiments", "0007_writer"),
    ]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="placed_key",
            field=models.CharField(blank=True, db_default="", default="", editable=False, help_text="What this version worked out; where it differs, another wrote it.", max_length=200),
        ),
        migrations.RunPython(say_that_all_are_in_place, migrations.RunPython.noop, elidable=True),
    ]
