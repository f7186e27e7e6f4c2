"""Every experiment has a number in its project, in the order in which they were made."""

from itertools import groupby

from django.db import migrations, models

BATCH = 1000


def number(apps, schema_editor):
    experiment = apps.get_model("experiments", "Experiment")
    rows = experiment.objects.order_by("project_id", "created_at", "pk").only("pk", "project_id")
    for _, mine in groupby(rows.iterator(chunk_size=BATCH), key=lambda row: row.project_id):
        numbered = []
        for place, row in enumerate(mine):
            row.number = place
            numbered.append(row)
        experiment.objects.bulk_update(numbered, ["number"], batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [("experiments", "0003_patience")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="number",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Its place among all experiments ever made in the project: its colour."),
        ),
        migrations.AddIndex(model_name="experiment", index=models.Index(fields=["project", "-number"], name="experiment_number")),
        migrations.RunPython(number, migrations.RunPython.noop, elidable=True),
    ]
