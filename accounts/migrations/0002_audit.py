"""The audit: lines that the database refuses to change. A later change of the table on SQLite makes it anew, and has to make the trigger again."""

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


TABLE = "accounts_auditentry"
POSTGRES = [
    "CREATE OR REPLACE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'A line of the audit is never changed.'; END $$",
    f"CREATE TRIGGER audit_is_kept BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_is_kept()",
]
SQLITE = [f"CREATE TRIGGER audit_is_kept BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, 'A line of the audit is never changed.'); END"]


def keep(apps, schema_editor):
    for statement in POSTGRES if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def let_go(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS audit_is_kept ON {TABLE}", params=None)
        schema_editor.execute("DROP FUNCTION IF EXISTS audit_is_kept()", params=None)
    else:
        schema_editor.execute("DROP TRIGGER IF EXISTS audit_is_kept", params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True, default=django.utils.timezone.now)),
                ('act', models.CharField(max_length=40)),
                ('user_id', models.BigIntegerField(help_text='Who did it; empty for the server, and for whoever was not signed in.', null=True)),
                ('who', models.CharField(db_default='', help_text='Its name at the time.', max_length=255)),
                ('token', models.CharField(blank=True, db_default='', help_text='How the token begins, where it was done with one.', max_length=20)),
                ('team_id', models.UUIDField(help_text='Whose admins read the line.', null=True)),
                ('team', models.CharField(blank=True, db_default='', max_length=255)),
                ('project_id', models.UUIDField(null=True)),
                ('project', models.CharField(blank=True, db_default='', max_length=255)),
                ('about_id', models.BigIntegerField(help_text="The person whom it is about: admins of that person's teams read the line where it has no team.", null=True)),
                ('on_kind', models.CharField(blank=True, db_default='', max_length=40)),
                ('on_id', models.CharField(blank=True, db_default='', max_length=64)),
                ('on_name', models.CharField(blank=True, db_default='', max_length=255)),
                ('details', models.JSONField(blank=True, db_default={}, default=dict)),
                ('address', models.CharField(blank=True, db_default='', max_length=64)),
                ('request_id', models.CharField(blank=True, db_default='', max_length=64)),
            ],
            options={
                'verbose_name': 'audit line',
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['team_id', '-at'], name='audit_of_team'), models.Index(condition=models.Q(('team_id', None)), fields=['about_id', '-at'], name='audit_about')],
            },
        ),
        migrations.RunPython(keep, let_go),
    ]
