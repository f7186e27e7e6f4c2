"""A run knows the token that made it: null where nobody told, and for the version before, which goes on."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_scopes'),
        ('experiments', '0009_misplaced'),
        ('projects', '0005_seeds'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='made_with',
            field=models.UUIDField(blank=True, editable=False, help_text='The token that made it: one of the scope ingest reaches no other run.', null=True),
        ),
        migrations.AddIndex(
            model_name='experiment',
            index=models.Index(condition=models.Q(('made_with__isnull', False)), fields=['made_with'], name='experiment_made_with'),
        ),
    ]
