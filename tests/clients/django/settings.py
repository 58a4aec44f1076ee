"""The application's settings: the database is where PGHOST and its fellows say."""

import json
import os
from typing import Any

USE_TZ = True
SECRET_KEY = "only here"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

#: psycopg's own, such as {"server_side_binding": true}.
_OPTIONS: dict[str, Any] = json.loads(os.environ.get("DRIVER_OPTIONS", "{}"))

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "NAME": os.environ["PGDATABASE"],
        "CONN_MAX_AGE": None,  # persistent
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _OPTIONS,
    }
}
