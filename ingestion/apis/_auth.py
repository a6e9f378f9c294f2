"""How a system's HTTP API is authenticated: by the variables of one form, over https."""

import os
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from dlt.sources.helpers import requests
from dlt.sources.helpers.rest_client.auth import (
    APIKeyAuth,
    AuthConfigBase,
    BearerTokenAuth,
    HttpBasicAuth,
    OAuth2ClientCredentials,
)

from ingestion.contracts import SourceError

KEY_HEADER = "X-API-Key"
AUTH = {  # {form: its variables, each <SYSTEM>_<name>}
    "key": ("KEY",),  # in the header KEY_HEADER (default X-API-Key) or the parameter KEY_PARAMETER
    "bearer token": ("TOKEN",),
    "basic": ("USER", "PASSWORD"),
    "OAuth 2 client credentials (RFC 6749)": ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"),
}


def api_error(system: str, problem: str) -> SourceError:
    """The error of an API that cannot be read."""
    return SourceError(f"raw_{system}: extract failed (check {system.upper()}_URL): {problem}")


def require_https(system: str, url: str, variable: str) -> None:
    """Raise SourceError unless the URL is https, or of this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:  # reported when it is read
        return
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise SourceError(f"raw_{system}: {variable} must begin with https://; http is for this machine only")


def authentication(system: str, session: requests.Session) -> AuthConfigBase | None:
    """The form of authentication whose variables are set."""

    def variable(name: str) -> str:
        return f"{system.upper()}_{name}"

    def value(name: str) -> str:
        return os.environ.get(variable(name), "")

    given = [form for form, names in AUTH.items() if any(map(value, names))]
    if not given:
        return None
    if len(given) > 1:
        raise api_error(system, f"variables of {' and of '.join(given)} are set; set those of one")
    names = AUTH[given[0]]
    values = [value(name) for name in names]
    if missing := [variable(name) for name in names if not value(name)]:
        raise api_error(system, f"{' and '.join(missing)} not set. {given[0]} needs {', '.join(map(variable, names))}")
    match names:
        case ("KEY",):
            parameter = value("KEY_PARAMETER")
            name = parameter or value("KEY_HEADER") or KEY_HEADER
            return APIKeyAuth(name=name, api_key=values[0], location="query" if parameter else "header")
        case ("TOKEN",):
            return BearerTokenAuth(token=values[0])
        case ("USER", "PASSWORD"):
            return HttpBasicAuth(username=values[0], password=values[1])
    url, client_id, client_secret = values
    require_https(system, url, variable("TOKEN_URL"))
    return _ClientCredentials(access_token_url=url, client_id=client_id, client_secret=client_secret, session=session)


class _ClientCredentials(OAuth2ClientCredentials):
    def parse_access_token(self, response_json: Any) -> str:
        token: str = response_json["access_token"]  # dlt would use the text "None" if there is no token
        return token


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
