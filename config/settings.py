"""Every setting, read once from the environment (or a `.env` file beside manage.py). `.env.example` explains each."""

from __future__ import annotations

import os
import re
import secrets
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF

from config.environment import addresses, folders, production
from config.environment.reading import choice, env, number, switch
from config.errors import SetupError
from config.logs import logs
from config.web.bodies import purposes

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")

MAIL_SCHEMES = ("smtp", "smtp+tls", "smtp+ssl", "smtps", "consolemail", "filemail")


# The application
APP_NAME = env.str("APP_NAME", default="Research Platform")
APP_VERSION = env.str("APP_VERSION", default="0.1.0")
ENVIRONMENT = choice("ENVIRONMENT", "development", ("development", "production", "test"))
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = switch("DEBUG", False)
LOG_LEVEL = choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = choice("LOG_FORMAT", "", ("", "json", "console")) or ("json" if ENVIRONMENT == "production" else "console")
DATA_DIR = Path(env.str("DATA_DIR", default="") or BASE_DIR / "data").expanduser().resolve()
folders.keep_to_ourselves()
PORT = number(env.int, "PORT", 8000)
SERVER_THREADS = number(env.int, "SERVER_THREADS", 24, least=1)
WEB_CONCURRENCY = number(env.int, "WEB_CONCURRENCY", 4, least=1)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ALLOWED_ORIGINS = addresses.origins("CORS_ALLOWED_ORIGINS", env.list("CORS_ALLOWED_ORIGINS", default=[]))

# The servers of the server form; where one is not given, the embedded form has its own
DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASE_POOL_SIZE = number(env.int, "DATABASE_POOL_SIZE", 10, least=1)
DATABASE_MAX_OVERFLOW = number(env.int, "DATABASE_MAX_OVERFLOW", 20)
DATABASE_POOL_TIMEOUT_S = number(env.float, "DATABASE_POOL_TIMEOUT_S", 3.0, least=0.1)
DATABASE_TIMEOUT_S = number(env.float, "DATABASE_TIMEOUT_S", 15.0, least=0.1)
CLICKHOUSE_HOST = env.str("CLICKHOUSE_HOST", default="")
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    addresses.redis("REDIS_URL", REDIS_URL)
if not CLICKHOUSE_HOST:  # no process beside `serve` can open the embedded metric store; Celery would take these from the environment past the settings
    os.environ.pop("CELERY_BROKER_URL", None)
    os.environ.pop("CELERY_RESULT_BACKEND", None)
SHARED_QUEUE = REDIS_URL if CLICKHOUSE_HOST else ""
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or addresses.redis_database(SHARED_QUEUE, 1) or "memory://localhost"
CELERY_RESULT_BACKEND = env.str("CELERY_RESULT_BACKEND", default="") or addresses.redis_database(SHARED_QUEUE, 2) or "cache+memory://"


def mail_server(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings from EMAIL_URL. Raises SetupError for an address of another kind."""
    if urlsplit(url).scheme not in MAIL_SCHEMES:
        raise SetupError(f"EMAIL_URL is no mail server's address: give {MAIL_SCHEMES[1]}://user:password@host:port; known are {', '.join(MAIL_SCHEMES)}.")
    return dict(env.email_url_config(url))


def secret_key() -> str:
    """SECRET_KEY from the environment, else the one that the first start wrote into the data directory (mode 0600)."""
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    path = folders.made(DATA_DIR) / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()


SECRET_KEY = secret_key()
ALGORITHM = choice("ALGORITHM", "HS256", ("HS256", "HS384", "HS512"))
ACCESS_TOKEN_EXPIRE_MINUTES = number(env.float, "ACCESS_TOKEN_EXPIRE_MINUTES", 30.0, least=0.1)
REFRESH_TOKEN_EXPIRE_DAYS = number(env.float, "REFRESH_TOKEN_EXPIRE_DAYS", 7.0, least=0.01)
SIGN_IN_FAILURES = number(env.int, "SIGN_IN_FAILURES", 10, least=1)
PASSWORD_RESET_TIMEOUT = 86_400  # a link for a new password, in seconds
AUDIT_KEEP_DAYS = number(env.int, "AUDIT_KEEP_DAYS", 365, least=1)
TOKEN_MAX_DAYS = number(env.int, "TOKEN_MAX_DAYS", 0, most=36_500)
if IS_PRODUCTION:
    production.refuse_unsafe(
        secret=env.str("SECRET_KEY", default=""),
        is_secret_shared=bool(DATABASE_URL or REDIS_URL or CLICKHOUSE_HOST),
        debug=DEBUG,
        origins=CORS_ALLOWED_ORIGINS,
        hosts=ALLOWED_HOSTS,
    )

# Points on their way in
METRICS_BATCH_SIZE = number(env.int, "METRICS_BATCH_SIZE", 100, least=1)
METRICS_FLUSH_INTERVAL = number(env.float, "METRICS_FLUSH_INTERVAL", 5.0, least=0.01)
METRICS_BLOCK_POINTS = 100_000
METRICS_MAX_BODY_BYTES = number(env.int, "METRICS_MAX_BODY_BYTES", 100_000_000, least=1)
METRICS_MAX_POINTS = number(env.int, "METRICS_MAX_POINTS", 100_000, least=1)
METRICS_MAX_NAMES = number(env.int, "METRICS_MAX_NAMES", 10_000, least=1)
METRICS_QUOTA_POINTS_PER_MINUTE = number(env.int, "METRICS_QUOTA_POINTS_PER_MINUTE", 0)
METRICS_ACCESS_CACHE_S = number(env.float, "METRICS_ACCESS_CACHE_S", 30.0)
SPOOL_MAX_BYTES = number(env.int, "SPOOL_MAX_BYTES", 10_000_000_000, least=1)
SPOOL_KEEP_HOURS = number(env.float, "SPOOL_KEEP_HOURS", 24.0)
SPOOL_KEEP_BYTES = number(env.int, "SPOOL_KEEP_BYTES", 256_000_000)
DISK_FREE_MIN_BYTES = number(env.int, "DISK_FREE_MIN_BYTES", 500_000_000)

# The metric store: a ClickHouse server where CLICKHOUSE_HOST is given, the embedded engine otherwise
CLICKHOUSE_PORT = number(env.int, "CLICKHOUSE_PORT", 9000, least=1)
CLICKHOUSE_USER = env.str("CLICKHOUSE_USER", default="default")
CLICKHOUSE_PASSWORD = env.str("CLICKHOUSE_PASSWORD", default="")
CLICKHOUSE_SECURE = switch("CLICKHOUSE_SECURE", False)
CLICKHOUSE_REPLICA = env.str("CLICKHOUSE_REPLICA", default="")
CLICKHOUSE_CLUSTER = env.str("CLICKHOUSE_CLUSTER", default="")
if not re.fullmatch(r"[\w.{}-]*", CLICKHOUSE_CLUSTER):
    raise SetupError(f"CLICKHOUSE_CLUSTER={CLICKHOUSE_CLUSTER!r} is no name for a cluster: give the name from the server's remote_servers.")
CLICKHOUSE_POOL_SIZE = number(env.int, "CLICKHOUSE_POOL_SIZE", 10, least=1)
CLICKHOUSE_MAX_OVERFLOW = number(env.int, "CLICKHOUSE_MAX_OVERFLOW", 20)


def clickhouse_addresses() -> list[tuple[str, int]]:
    """(host, port) of the server, then of its replica where there is one. Raises SetupError where the replica's cannot be read."""
    if not CLICKHOUSE_REPLICA:
        return [(CLICKHOUSE_HOST, CLICKHOUSE_PORT)]
    try:
        given = urlsplit(f"//{CLICKHOUSE_REPLICA}")
        replica = (given.hostname or "", given.port or CLICKHOUSE_PORT)
    except ValueError:
        replica = ("", 0)
    if not replica[0] or not CLICKHOUSE_HOST:
        raise SetupError(
            f"CLICKHOUSE_REPLICA={CLICKHOUSE_REPLICA!r} is no address beside CLICKHOUSE_HOST={CLICKHOUSE_HOST!r}: give host or host:port for both."
        )
    return [(CLICKHOUSE_HOST, CLICKHOUSE_PORT), replica]


CLICKHOUSE_ADDRESSES = clickhouse_addresses()
CLICKHOUSE_DATABASE = env.str("CLICKHOUSE_DATABASE", default="metrics")
if not CLICKHOUSE_DATABASE.isidentifier() or not CLICKHOUSE_DATABASE.isascii():
    raise SetupError(f"CLICKHOUSE_DATABASE={CLICKHOUSE_DATABASE!r} is no name for a database: give letters, digits and underscores.")
CHDB_MAX_MEMORY_BYTES = number(env.int, "CHDB_MAX_MEMORY_BYTES", 750_000_000, least=100_000_000)
CHDB_MAX_THREADS = number(env.int, "CHDB_MAX_THREADS", 2, least=1)
QUERY_TIMEOUT_S = number(env.float, "QUERY_TIMEOUT_S", 30.0, least=0.1)

# Judging hypotheses: from this confidence score on a claim counts as supported, and down from that one as refuted
# (nearer to 0 than half way, nothing bounds how often a verdict is wrong).
HYPOTHESIS_SUPPORT_THRESHOLD = number(env.float, "HYPOTHESIS_SUPPORT_THRESHOLD", 0.5, least=0.5)
HYPOTHESIS_REFUTE_THRESHOLD = number(env.float, "HYPOTHESIS_REFUTE_THRESHOLD", -0.5, least=-1)
if not HYPOTHESIS_SUPPORT_THRESHOLD < 1:
    raise SetupError(f"HYPOTHESIS_SUPPORT_THRESHOLD={HYPOTHESIS_SUPPORT_THRESHOLD} can never be reached: give a score from 0.5 to below 1.")
if not -1 < HYPOTHESIS_REFUTE_THRESHOLD <= -0.5:
    raise SetupError(
        f"HYPOTHESIS_REFUTE_THRESHOLD={HYPOTHESIS_REFUTE_THRESHOLD} bounds no error or can never be reached: give a score from -0.5 down to above -1."
    )

# The watch: what is measured, and where alerts are sent
site_given = env.str("SITE_URL", default="").rstrip("/")
SITE_URL = site_given or f"http://127.0.0.1:{PORT}"
if not SITE_URL.startswith(("http://", "https://")):
    raise SetupError(f"SITE_URL={SITE_URL!r} is no address: give what people type, such as https://research.example.org.")
WEBHOOK_ALLOWED_HOSTS = env.list("WEBHOOK_ALLOWED_HOSTS", default=[])
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", default="research-platform@localhost")
EMAIL_SUBJECT_PREFIX = f"[{APP_NAME}] "
if EMAIL_URL:
    vars().update(mail_server(EMAIL_URL))
if IS_PRODUCTION:
    production.refuse_mail_without_address(mail=EMAIL_URL, site=site_given)
# prometheus-client reads this when it is imported: the counts of all web processes of a host lie here, and each can tell of all.
METERS_DIR = DATA_DIR / "prometheus" / socket.gethostname()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METERS_DIR)

# Django
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.signing_in.backends.UsernameOrEmailBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "projects:list"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
# The proxy before the server sends everybody to https (it is called over http from itself, and by health checks); names beside
# and below ours, and lists kept by browsers, are whoever owns the domain's to bind.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "template_partials",
    "csp",
    "corsheaders",
    "django_celery_beat",
    "accounts",
    "projects",
    "experiments",
    "alerts",
    "hypotheses",
    "metrics",
    "operations",
]

MIDDLEWARE = [
    "config.web.request_id.RequestIdMiddleware",
    "config.logs.access_log.AccessLogMiddleware",
    "config.web.caching.CachingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.static_files.LargePieces",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.web.bodies.judging.BodiesMiddleware",
    "accounts.audit.recording.AskingMiddleware",
    "accounts.people.sessions.SeenMiddleware",
    "accounts.signing_in.devices.RememberMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.web.htmx.SignedOutMiddleware",
    "config.web.answers.RefusalMiddleware",
    "config.slashes.EscapedSlashesMiddleware",
]
if CORS_ALLOWED_ORIGINS:  # before the short way for points, whose answers need its headers too
    MIDDLEWARE.insert(1, "corsheaders.middleware.CorsMiddleware")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.shell.shell",
            ],
        },
    }
]

SQLITE: dict[str, Any] = {
    "ENGINE": "config.databases.sqlite",
    "NAME": DATA_DIR / "platform.sqlite3",
    "OPTIONS": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728;",
    },
    "CONN_MAX_AGE": None,
    "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
}


def pooled(database: dict[str, Any]) -> dict[str, Any]:
    """A PostgreSQL with a pool of connections for each process, each connection checked before it is used."""
    pool = {
        "min_size": min(2, DATABASE_POOL_SIZE),
        "max_size": DATABASE_POOL_SIZE + DATABASE_MAX_OVERFLOW,
        "timeout": DATABASE_POOL_TIMEOUT_S,
        # How long one attempt to connect goes on before a request makes another: a database that comes back is found at once.
        "reconnect_timeout": 1.0,
    }
    return database | {"OPTIONS": {**database["OPTIONS"], "pool": pool}, "CONN_MAX_AGE": 0}


DATABASES: dict[str, Any] = {"default": pooled(addresses.postgres(DATABASE_URL)) if DATABASE_URL else SQLITE}

IN_PROCESS = "django.core.cache.backends.locmem.LocMemCache"
# How many steps of a series hold several values, by its number of points: true for ever, and cheap to count again.
COUNTS = {"BACKEND": IN_PROCESS, "LOCATION": "counts", "OPTIONS": {"MAX_ENTRIES": 20_000}}
CACHES: dict[str, Any] = {
    "counts": COUNTS,
    "default": {"BACKEND": IN_PROCESS, "OPTIONS": {"MAX_ENTRIES": 20_000}},
    # Encoded answers: few of the large ones (charts, up to 4 MB each) are kept, so that memory stays bounded, and many small ones.
    "charts": {"BACKEND": IN_PROCESS, "LOCATION": "charts", "OPTIONS": {"MAX_ENTRIES": 24}},
    "readings": {"BACKEND": IN_PROCESS, "LOCATION": "readings", "OPTIONS": {"MAX_ENTRIES": 256}},
}


def shared_caches(url: str) -> dict[str, Any]:
    """The same caches in the Redis at `url`; the large values have a number of places."""
    slotted = {"BACKEND": "config.databases.cache.SlottedRedisCache", "LOCATION": url}
    return {
        "default": {"BACKEND": "config.databases.cache.PatientRedisCache", "LOCATION": url, "KEY_PREFIX": "platform"},
        "charts": {**slotted, "KEY_PREFIX": "charts", "OPTIONS": {"slots": 128}},
        "readings": {**slotted, "KEY_PREFIX": "readings", "OPTIONS": {"slots": 2048}},
        "counts": COUNTS,
    }


if REDIS_URL:
    CACHES = shared_caches(REDIS_URL)
elif CLICKHOUSE_HOST:  # then there may be other processes, whose points this one's cache does not hear of
    CACHES["default"]["BACKEND"] = "config.databases.cache.LonelyCache"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["accounts.signing_in.hashing.QueuedPBKDF2"]
if ENVIRONMENT == "test":  # a strong hash would be most of what the tests do
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CSRF_FAILURE_VIEW = "config.web.answers.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = switch("COOKIES_SECURE", IS_PRODUCTION)
SECURE_HSTS_SECONDS = number(env.int, "HSTS_SECONDS", 2_592_000 if IS_PRODUCTION else 0)
PROXY_TRUSTED = switch("PROXY_TRUSTED", False)
if PROXY_TRUSTED:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = purposes.FORM_BYTES
FILE_UPLOAD_HANDLERS = ["config.web.bodies.judging.NoFiles"]
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# Files the browser gets
STATIC_URL = "/static/"
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static"]
if (BASE_DIR / "node_modules" / "uplot" / "dist").is_dir():
    STATICFILES_DIRS.append(("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"))
STATICFILES_FINDERS = ["config.static_files.OurFiles", "config.static_files.LibrariesFiles"]
# Where `collectstatic` has been run (the image does), files come from there alone; else from where they lie.
COLLECTED = BASE_DIR / ".static"
STATIC_ROOT = COLLECTED if COLLECTED.is_dir() else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # What `collectstatic` writes is for every process to read, whoever ran it.
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_AUTOREFRESH = False

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Pages of other origins may call the API with a token, never with the cookies of whoever is signed in here
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ALLOWED_ORIGINS
if CORS_ALLOW_ALL_ORIGINS:
    CORS_ALLOWED_ORIGINS = []
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [*default_headers, "content-encoding", "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = ["idempotent-replayed", "retry-after", "x-request-id"]

# The API
SIMPLE_JWT: dict[str, Any] = {
    "ALGORITHM": ALGORITHM,
    "SIGNING_KEY": SECRET_KEY,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=ACCESS_TOKEN_EXPIRE_MINUTES),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=REFRESH_TOKEN_EXPIRE_DAYS),
}
SIMPLE_JWT["CHECK_REVOKE_TOKEN"] = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.signing_in.authentication.TokenAuthentication", "accounts.signing_in.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.scopes.InScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend", "config.web.rest.StableOrdering"],
    "DEFAULT_PAGINATION_CLASS": "config.web.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "config.web.chapters.Chaptered",
    "EXCEPTION_HANDLER": "config.web.answers.api_exception",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{APP_NAME} API",
    "VERSION": APP_VERSION,
    "DESCRIPTION": "Log metrics, read them back, compare experiments. Send `Authorization: Bearer <token>`.",
    # The chapters of /docs, in the order in which a first script meets them; config/web/chapters.py says what stands in each.
    "TAGS": [
        {"name": "Experiments", "description": "Runs: their params, tags, status and lineage."},
        {"name": "Metrics", "description": "Points in; series, comparisons and summaries out."},
        {"name": "Projects", "description": "Lines of work, and which metrics they have: direction and aggregation."},
        {"name": "Hypotheses", "description": "Claims, the runs that test them, their verdicts and evidence; which change did it."},
        {"name": "Alerts", "description": "What was seen, and where a team is told of it."},
        {"name": "Teams", "description": "Teams and their members."},
        {"name": "Access", "description": "Signing in, and tokens for scripts."},
        {"name": "Operators", "description": "What the metric store refused, and kept batches stored again."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True},
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": "experiments.models.Experiment.Status",
        "DirectionEnum": "projects.models.Direction",
        "HypothesisStatusEnum": "hypotheses.models.Hypothesis.Status",
        "StatedStatusEnum": ["proposed", "testing"],
        "StatedDirectionEnum": ["minimize", "maximize"],
        "HypothesisEventKindEnum": "hypotheses.models.HypothesisEvent.Kind",
        "RunStatusEnum": ["planned", "running", "complete", "failed", "stalled"],
        "ScopeEnum": "accounts.models.Scope",
        "GivenScopeEnum": "accounts.tokens.issuing.GIVEN",
        "SeverityEnum": "alerts.models.Severity",
        "ChannelKindEnum": "alerts.models.Channel.Kind",
    },
}

# The schedule. Celery reads what begins with CELERY_. Without a broker worker and beat are threads of `serve`.
RECONCILE_QUIET_S = number(env.float, "RECONCILE_QUIET_S", 600.0)
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = number(env.int, "CELERY_TASK_TIME_LIMIT", 1800, least=10, most=1800)
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT * 9 // 10
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "research-platform"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker for ever; who publishes gives up at once
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"polling_interval": 0.1}
if not CELERY_BROKER_URL.startswith("memory:"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1,
        "socket_connect_timeout": 1, "socket_timeout": 5, "visibility_timeout": 2 * CELERY_TASK_TIME_LIMIT,
    }  # fmt: skip
CELERY_REDIS_SOCKET_CONNECT_TIMEOUT, CELERY_REDIS_SOCKET_TIMEOUT = 2, 5
CELERY_RESULT_EXPIRES = 86_400
CELERY_BEAT_SCHEDULER = "metrics.clock.schedule:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SYNC_EVERY = 1  # each run is noted at once, so that a silent beat is seen

LOGGING = logs.configured(level=LOG_LEVEL, form=LOG_FORMAT)
