import django.db.models.deletion
import django.utils.timezone
import alerts.models
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('experiments', '0003_patience'),
        ('metrics', '0003_schedule'),
        ('projects', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('stalled', 'Stalled'), ('no_data', 'No data'), ('not_finite', 'NaN or infinity'), ('diverged', 'Diverged'), ('store_away', 'Store away'), ('drain_lag', 'Store lag'), ('spool_full', 'Spool full'), ('dead_letters', 'Dead letters'), ('parts', 'Too many parts'), ('disk', 'Disk'), ('task_late', 'Task late'), ('beat_silent', 'Schedule silent'), ('worker_silent', 'Worker silent'), ('web_silent', 'Web silent'), ('reconcile', 'Points differ'), ('verdict', 'Verdict')], max_length=20)),
                ('severity', models.CharField(choices=[('high', 'High'), ('mid', 'Medium'), ('low', 'Low')], max_length=4)),
                ('metric', models.CharField(blank=True, max_length=250)),
                ('part', models.CharField(blank=True, help_text='Which part of the server, where it is about the server itself.', max_length=255)),
                ('subject', models.CharField(editable=False, max_length=32)),
                ('message', models.CharField(max_length=1000)),
                ('opened_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('last_seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('count', models.PositiveIntegerField(default=1, help_text='How many checks in a row have seen it.')),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('resolution', models.CharField(blank=True, max_length=300)),
                ('acknowledged_at', models.DateTimeField(blank=True, null=True)),
                ('silenced_until', models.DateTimeField(blank=True, null=True)),
                ('acknowledged_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('experiment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='experiments.experiment')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='projects.project')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='accounts.team')),
            ],
            options={
                'ordering': ['-opened_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=100)),
                ('kind', models.CharField(choices=[('email', 'E-mail'), ('webhook', 'Webhook')], max_length=10)),
                ('target', models.CharField(blank=True, help_text="A webhook's URL; an e-mail address, or nothing for the team's admins.", max_length=1000)),
                ('secret', models.CharField(blank=True, default=alerts.models.new_secret, help_text='Signs what a webhook is sent.', max_length=200)),
                ('least_severity', models.CharField(choices=[('high', 'High'), ('mid', 'Medium'), ('low', 'Low')], default='low', max_length=4)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('team', models.ForeignKey(blank=True, help_text='Empty: alerts about the server itself.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='channels', to='accounts.team')),
            ],
            options={
                'ordering': ['name', 'created_at'],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('event', models.CharField(choices=[('opened', 'Opened'), ('resolved', 'Resolved')], max_length=10)),
                ('body', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('done', 'Delivered'), ('failed', 'Failed')], default='waiting', max_length=10)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('last_error', models.CharField(blank=True, max_length=300)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='metrics.alert')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='metrics.channel')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='WebProcess',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('host', models.CharField(max_length=255)),
                ('pid', models.PositiveIntegerField()),
                ('started_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('well_since', models.DateTimeField(blank=True, help_text='Since when it takes and stores points without trouble.', null=True)),
                ('trouble', models.CharField(blank=True, max_length=500)),
                ('full_reason', models.CharField(blank=True, help_text='Why it takes no points.', max_length=500)),
                ('store_error', models.CharField(blank=True, help_text='What the metric store said last, where it takes nothing.', max_length=500)),
                ('waiting_points', models.PositiveBigIntegerField(default=0)),
                ('oldest_at', models.DateTimeField(blank=True, help_text='When the oldest point that is not stored yet came.', null=True)),
                ('spool_bytes', models.PositiveBigIntegerField(default=0)),
                ('dead_letters', models.PositiveBigIntegerField(default=0)),
                ('discarded_points', models.PositiveBigIntegerField(default=0)),
                ('disk_free_bytes', models.PositiveBigIntegerField(default=0)),
            ],
            options={
                'ordering': ['host', 'pid'],
                'constraints': [models.UniqueConstraint(fields=('host', 'pid', 'started_at'), name='web_process_once')],
            },
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(fields=['team', 'resolved_at'], name='alert_of_team'),
        ),
        migrations.AddIndex(
            model_name='alert',
            index=models.Index(fields=['kind', 'subject'], name='alert_subject'),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(condition=models.Q(('resolved_at', None)), fields=('kind', 'subject'), name='alert_open_once'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['state', 'next_at'], name='delivery_due'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('alert', 'channel', 'event'), name='delivery_once'),
        ),
    ]
