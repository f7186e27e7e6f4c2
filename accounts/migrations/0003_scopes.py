"""Tokens have a scope, and perhaps one project and the token that made them. What the version before makes has the scope `before`: all that its owner may.

The two keys have no constraint, as that version deletes projects and tokens without knowing of them.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_audit'),
        ('projects', '0005_seeds'),
    ]

    operations = [
        migrations.CreateModel(
            name='SignInCount',
            fields=[
                ('counted', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('tried', models.PositiveIntegerField()),
                ('ends_at', models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.AddField(
            model_name='apitoken',
            name='parent',
            field=models.ForeignKey(blank=True, db_constraint=False, editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='accounts.apitoken'),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='project',
            field=models.ForeignKey(blank=True, db_constraint=False, help_text='Empty for all of the team.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.project'),
        ),
        migrations.AddField(
            model_name='apitoken',
            name='scope',
            field=models.CharField(choices=[('ingest', 'Log'), ('read', 'Read'), ('write', 'Edit'), ('admin', 'Administer'), ('before', 'as before')], db_default='before', default='before', help_text='What it may do at most.', max_length=10),
        ),
    ]
