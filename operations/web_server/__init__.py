"""The web server of both forms: waitress, mended where strangers could stop it. `serve` runs it in its own process, gunicorn one in each worker.

One thread has all sockets and reads requests whole (`server`, `channel`, `requests`); only then does one of the threads that answer see one. What comes in:
bytes, and the limits of config/web/bodies. Who is slow, too large or ill-formed is turned away in here, and holds no thread meanwhile.
"""
