"""Reads and validates access.yml. The definitions in warehouse/sql apply it to the database."""

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from ingestion import ROOT
from ingestion.columns import Name, Text
from ingestion.contract_yaml import ContractError, YamlPath, describe_errors, read_yaml

FILE = ROOT / "access.yml"
PLATFORM, REIDENTIFICATION, DECLASSIFICATION = "platform", "reidentification", "declassification"
LIMITS, ADMINISTRATORS = "limits", "administrators"
OTHER_ENTRIES = (PLATFORM, REIDENTIFICATION, DECLASSIFICATION, LIMITS, ADMINISTRATORS)
Model = TypeVar("Model", bound=BaseModel)
RESERVED = ("svc_", "read_", "wh_", "pg_", "postgres")


def _not_reserved(login: str) -> str:
    if login.startswith(RESERVED):
        raise ValueError(f"{login} begins with a reserved prefix ({', '.join(RESERVED)})")
    return login


ScopeName = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=20)]
Login = Annotated[Name, AfterValidator(_not_reserved)]


class RowScope(BaseModel):
    """Logins that read the rows whose `column` has one of `values`, and every row of `whole_tables`.

    Their tables are in schema `<set>_<name>`.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)
    name: ScopeName
    readers: list[Login] = Field(min_length=1)
    column: Name
    values: list[Text] = Field(min_length=1)
    whole_tables: list[Name] = []


class Owner(BaseModel):
    """The role that answers for tables, and its e-mail address."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    owner: Text
    email: Text


class Access(Owner):
    """Who reads one publish set, and on whose decision."""

    purpose: Text
    readers: list[Login] = []
    row_scopes: list[RowScope] = []

    @model_validator(mode="after")
    def _check(self) -> "Access":
        logins = [*self.readers, *(login for scope in self.row_scopes for login in scope.readers)]
        if doubled := {login for login in logins if logins.count(login) > 1}:
            raise ValueError(f"listed twice in one set: {', '.join(sorted(doubled))}")
        names = [scope.name for scope in self.row_scopes]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two row scopes have the name {', '.join(sorted(doubled))}")
        return self

    def grants(self, publish_set: str) -> Iterator[dict[str, Any]]:
        """One row of governance.readers for each login."""
        for login in self.readers:
            yield {"login": login, "publish_set": publish_set, "scope": None}
        for scope in self.row_scopes:
            for login in scope.readers:
                yield {"login": login, "publish_set": publish_set, "scope": scope.name}

    def scopes(self, publish_set: str) -> Iterator[dict[str, Any]]:
        """One row of governance.row_scopes for each row scope."""
        for scope in self.row_scopes:
            rows = {"row_column": scope.column, "row_values": scope.values, "whole_tables": scope.whole_tables}
            yield {"publish_set": publish_set, "scope": scope.name, **rows}


class Reidentification(BaseModel):
    """Logins that may re-identify tokens, how often in 24 hours, the owner and the purpose."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    owner: Text
    purpose: Text
    logins: list[Login]
    per_day: int = Field(ge=1)

    def grants(self) -> list[dict[str, Any]]:
        """One row of governance.reidentifiers for each login."""
        return [{"login": login, "per_day": self.per_day} for login in self.logins]


class Declassification(BaseModel):
    """Who accepted the proposed declassifications (`declassified_by: "proposed: …"`), and when."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    accepted_by: Text
    accepted_on: date


Time = Annotated[str, Field(pattern=r"^\d+ ?(ms|s|min|h|d)?$")]
Size = Annotated[str, Field(pattern=r"^(-1|\d+ ?(kB|MB|GB|TB)?)$")]


class Limit(BaseModel):
    """Limits of a login: connections at a time, and settings in Postgres' own notation."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    connections: int = Field(ge=1)
    statement_timeout: Time
    idle_in_transaction_session_timeout: Time
    lock_timeout: Time
    temp_file_limit: Size


class Limits(BaseModel):
    """Limits of readers, of services, and of single logins where these differ."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    readers: Limit
    services: Limit
    logins: dict[Name, dict[str, int | str]] = {}

    @model_validator(mode="after")
    def _check(self) -> "Limits":
        for differing in self.logins.values():
            Limit.model_validate(self.readers.model_dump() | differing)
        return self

    def rows(self, readers: Iterable[str], services: Iterable[str]) -> list[dict[str, Any]]:
        """One row of governance.login_limits for each login. Raises ContractError for limits of no login."""
        kinds = dict.fromkeys(readers, self.readers) | dict.fromkeys(services, self.services)
        if unknown := self.logins.keys() - kinds.keys():
            raise ContractError(f"{FILE.name}: limits.logins: no such login: {', '.join(sorted(unknown))}")
        return [{"login": login} | kind.model_dump() | self.logins.get(login, {}) for login, kind in kinds.items()]


def read_access(publish_sets: list[str], file: Path = FILE) -> dict[str, Access]:
    """{publish set: its readers}. Raises ContractError, with file and line, for a missing, unknown or invalid set."""
    shown, root, document = read_yaml(file)
    sets = {name: part for name, part in document.items() if name not in OTHER_ENTRIES}
    access = _validated(RootModel[dict[str, Access]], sets, root, (), shown).root
    if missing := sorted(set(publish_sets) - set(access)):
        raise ContractError(f"{shown}:1: add owner, purpose and readers of the publish set {', '.join(missing)}")
    if unknown := sorted(set(access) - set(publish_sets)):
        raise ContractError(f"{shown}:1: not a publish set (folder of dbt_project/models/marts): {', '.join(unknown)}")
    schemas = {f"{name}_{scope.name}" for name, declared in access.items() for scope in declared.row_scopes}
    if doubled := sorted(schemas & {*access, *(f"{name}_history" for name in access)}):
        raise ContractError(
            f"{shown}:1: a row scope has the schema of a publish set or its history: {', '.join(doubled)}"
        )
    return access


def read_platform_owner(file: Path = FILE) -> Owner:
    """The owner of what all publish sets share; raises ContractError."""
    shown, root, document = read_yaml(file)
    return _validated(Owner, document.get(PLATFORM), root, (PLATFORM,), shown)


def read_reidentification(file: Path = FILE) -> Reidentification:
    """Who may re-identify tokens. Raises ContractError."""
    shown, root, document = read_yaml(file)
    return _validated(Reidentification, document.get(REIDENTIFICATION), root, (REIDENTIFICATION,), shown)


def read_declassification(file: Path = FILE) -> dict[str, str]:
    """The row of governance.accepted_proposals; empty while nobody has accepted the proposals. Raises ContractError."""
    shown, root, document = read_yaml(file)
    if DECLASSIFICATION not in document:
        return {}
    accepted = _validated(Declassification, document[DECLASSIFICATION], root, (DECLASSIFICATION,), shown)
    return accepted.model_dump(mode="json")


def read_limits(file: Path = FILE) -> Limits:
    """The limits of each login. Raises ContractError."""
    shown, root, document = read_yaml(file)
    return _validated(Limits, document.get(LIMITS), root, (LIMITS,), shown)


def read_administrators(file: Path = FILE) -> list[str]:
    """Logins that may be superusers or create roles. Raises ContractError."""
    shown, root, document = read_yaml(file)
    return _validated(RootModel[list[Name]], document.get(ADMINISTRATORS, []), root, (ADMINISTRATORS,), shown).root


def _validated(model: type[Model], part: Any, root: yaml.Node | None, start: YamlPath, shown: Path) -> Model:
    try:
        return model.model_validate(part)
    except ValidationError as refusal:
        raise ContractError(describe_errors(refusal, root, start, shown)) from None
