"""Every setting, read once from the environment (or a `.env` file beside manage.py). `.env.example` explains each."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import logs
from config.errors import SetupError

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

T = TypeVar("T", int, float)
MAIL_SCHEMES = ("smtp", "smtp+tls", "smtp+ssl", "smtps", "consolemail", "filemail")
SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False, "": False}


def number(read: Any, name: str, default: T, *, least: float = 0) -> T:
    """A setting as `read` (env.int, env.float) understands it. Raises SetupError with the value and what to give."""
    try:
        value: T = read(name, default=default)
    except (ValueError, ImproperlyConfigured) as error:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SetupError(f"{name}={os.environ.get(name)!r} is not {kind}: correct it in the environment or in .env.") from error
    if value < least:
        raise SetupError(f"{name}={value} is too small: give {least} or more.")
    return value


def switch(name: str, default: bool) -> bool:
    """A setting that is true or false. Raises SetupError for any other word."""
    value: str = env.str(name, default=str(default))
    if value.lower() not in SWITCH:
        raise SetupError(f"{name}={value!r} is not known: give true or false.")
    return SWITCH[value.lower()]


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """A setting that is one of `choices`. Raises SetupError otherwise."""
    value: str = env.str(name, default=default)
    if value not in choices:
        raise SetupError(f"{name}={value!r} is not known: give one of {', '.join(choices)}.")
    return value


# The application
APP_NAME = env.str("APP_NAME", default="Research Platform")
APP_VERSION = "0.1.0"
ENVIRONMENT = choice("ENVIRONMENT", "development", ("development", "production", "test"))
DEBUG = switch("DEBUG", False)
LOG_LEVEL = choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_FORMAT = choice("LOG_FORMAT", "", ("", "json", "console")) or ("json" if ENVIRONMENT == "production" else "console")
DATA_DIR = Path(env.str("DATA_DIR", default="") or BASE_DIR / "data").expanduser().resolve()
PORT = number(env.int, "PORT", 8000)
SERVER_THREADS = number(env.int, "SERVER_THREADS", 24, least=1)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])


def mail_server(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings from EMAIL_URL. Raises SetupError for an address of another kind."""
    if urlsplit(url).scheme not in MAIL_SCHEMES:
        raise SetupError(f"EMAIL_URL is no mail server's address: give {MAIL_SCHEMES[1]}://user:password@host:port; known are {', '.join(MAIL_SCHEMES)}.")
    return dict(env.email_url_config(url))


def data_dir() -> Path:
    """DATA_DIR, made if it is not there. Raises SetupError where it cannot be written."""
    try:
        DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"DATA_DIR={DATA_DIR} cannot be made ({error.strerror}): give a folder that this user can write.") from error
    if not os.access(DATA_DIR, os.W_OK):
        raise SetupError(f"DATA_DIR={DATA_DIR} cannot be written: give a folder that this user can write.")
    return DATA_DIR


def secret_key() -> str:
    """SECRET_KEY from the environment, else the one that the first start wrote into the data directory (mode 0600)."""
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    path = data_dir() / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()


SECRET_KEY = secret_key()

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

# The embedded engine
CLICKHOUSE_DATABASE = env.str("CLICKHOUSE_DATABASE", default="metrics")
if not CLICKHOUSE_DATABASE.isidentifier() or not CLICKHOUSE_DATABASE.isascii():
    raise SetupError(f"CLICKHOUSE_DATABASE={CLICKHOUSE_DATABASE!r} is no name for a database: give letters, digits and underscores.")
CHDB_MAX_MEMORY_BYTES = number(env.int, "CHDB_MAX_MEMORY_BYTES", 750_000_000, least=100_000_000)
CHDB_MAX_THREADS = number(env.int, "CHDB_MAX_THREADS", 2, least=1)
QUERY_TIMEOUT_S = number(env.float, "QUERY_TIMEOUT_S", 30.0, least=0.1)

# The watch: what is measured, and where alerts are sent
SITE_URL = env.str("SITE_URL", default="").rstrip("/") or f"http://127.0.0.1:{PORT}"
if not SITE_URL.startswith(("http://", "https://")):
    raise SetupError(f"SITE_URL={SITE_URL!r} is no address: give what people type, such as https://research.example.org.")
WEBHOOK_ALLOWED_HOSTS = env.list("WEBHOOK_ALLOWED_HOSTS", default=[])
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", default="research-platform@localhost")
EMAIL_SUBJECT_PREFIX = f"[{APP_NAME}] "
if EMAIL_URL:
    vars().update(mail_server(EMAIL_URL))
# prometheus-client reads this when it is imported: the counts of all web processes of a host lie here, and each can tell of all.
METERS_DIR = DATA_DIR / "prometheus" / socket.gethostname()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METERS_DIR)

# Django
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.UsernameOrEmailBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "projects:list"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
SILENCED_SYSTEM_CHECKS: list[str] = []

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
    "django_celery_beat",
    "accounts",
    "projects",
    "experiments",
    "hypotheses",
    "metrics",
]

MIDDLEWARE = [
    "config.request_id.RequestIdMiddleware",
    "config.access_log.AccessLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.answers.RefusalMiddleware",
]

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

DATABASES: dict[str, Any] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "platform.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728;",
        },
        "CONN_MAX_AGE": None,
        "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
    }
}

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}},
    # Encoded charts, up to 3 MB each: few are kept, so that memory stays bounded.
    "charts": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "charts", "OPTIONS": {"MAX_ENTRIES": 24}},
    "readings": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "readings", "OPTIONS": {"MAX_ENTRIES": 256}},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if ENVIRONMENT == "test":  # a strong hash would be most of what the tests do
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CSRF_FAILURE_VIEW = "config.answers.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = switch("COOKIES_SECURE", False)
DATA_UPLOAD_MAX_MEMORY_SIZE = METRICS_MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# Files the browser gets
STATIC_URL = "/static/"
STATICFILES_DIRS: list[Any] = [BASE_DIR / "static"]
if (BASE_DIR / "node_modules" / "uplot" / "dist").is_dir():
    STATICFILES_DIRS.append(("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"))
WHITENOISE_USE_FINDERS = True
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

# The API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication", "accounts.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend", "rest_framework.filters.OrderingFilter"],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.answers.api_exception",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{APP_NAME} API",
    "VERSION": APP_VERSION,
    "DESCRIPTION": "Log metrics, read them back, compare experiments. Send `Authorization: Bearer <token>`.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True},
    "COMPONENT_SPLIT_REQUEST": True,
}

LOGGING = logs.configured(level=LOG_LEVEL, form=LOG_FORMAT)
