"""How often somebody was signed out everywhere. The version before knows nothing of it: who it makes has the database's 0, and its JWTs count as of 0."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_passes'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='times_signed_out',
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False, help_text='How often it was signed out everywhere: JWTs and links for a new password of before open nothing.'),
        ),
    ]
