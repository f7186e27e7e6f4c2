from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0002_retention'),
    ]

    operations = [
        migrations.AddField(
            model_name='projectmetric',
            name='watch_divergence',
            field=models.BooleanField(default=False, help_text='Alerts where a running experiment loses what it had gained.'),
        ),
    ]
