"""A run knows the token that writes it, and what its writer says of points that did not arrive. Both are null where nobody told: the version before goes on."""

import config.kept_json
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('experiments', '0006_keys_by_value'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='missing',
            field=config.kept_json.KeptJSONField(blank=True, editable=False, help_text='Points that did not arrive, as the writer says.', null=True),
        ),
        migrations.AddField(
            model_name='experiment',
            name='writer_token',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.apitoken'),
        ),
    ]
