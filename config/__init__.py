"""What starts: settings, addresses, the WSGI and Celery applications, every error that is raised on purpose (`errors`), and what a name is (`names`).

In come the environment and requests. The packages are the ground that every app stands on; of the apps they know nothing, only `urls` names them.
`gunicorn.conf.py` and `manage.py` import from here before Django is set up: nothing may be imported in this file."""
