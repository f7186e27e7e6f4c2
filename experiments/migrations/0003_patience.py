import datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0002_params_as_sent'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='heartbeat_gap',
            field=models.DurationField(blank=True, editable=False, help_text='Between its last two heartbeats.', null=True),
        ),
        migrations.AddField(
            model_name='experiment',
            name='patience',
            field=models.DurationField(default=datetime.timedelta(seconds=600), editable=False, help_text='How long it may be silent before it counts as stalled.'),
        ),
    ]
