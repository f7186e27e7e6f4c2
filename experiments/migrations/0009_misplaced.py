"""Runs that a version from before put into arms are found by an index that holds them alone."""

from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):

    dependencies = [
        ("experiments", "0008_placed_key"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="experiment",
            index=models.Index(condition=~Q(placed_key=F("replicate_key")), fields=["project"], name="experiment_misplaced"),
        ),
    ]
