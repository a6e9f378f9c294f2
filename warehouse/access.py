"""Reads access.yml, which says who may read what; setup.sql makes it so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from ingestion.contracts import ROOT, ContractError, Name, Text, YamlPath, describe_errors, read_yaml

FILE = ROOT / "access.yml"
REIDENTIFICATION = "reidentification"
Model = TypeVar("Model", bound=BaseModel)
RESERVED = ("svc_", "read_", "wh_", "pg_", "postgres")


def _not_reserved(login: str) -> str:
    if login.startswith(RESERVED):
        raise ValueError(f"names that begin so are the warehouse's own: {login}")
    return login


Login = Annotated[Name, AfterValidator(_not_reserved)]


class RowScope(BaseModel):
    """Logins that read only the rows whose `column`, a text, has one of `values`, and `whole_tables` without it."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    readers: list[Login] = Field(min_length=1)
    column: Name
    values: list[Text] = Field(min_length=1)
    whole_tables: list[Name] = []


class Access(BaseModel):
    """Who reads one publish set, and on whose decision."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    owner: Text
    purpose: Text
    readers: list[Login] = []
    row_scopes: list[RowScope] = []

    @model_validator(mode="after")
    def _check(self) -> "Access":
        logins = [*self.readers, *(login for scope in self.row_scopes for login in scope.readers)]
        if doubled := {login for login in logins if logins.count(login) > 1}:
            raise ValueError(f"named twice for one set: {', '.join(sorted(doubled))}")
        return self

    def grants(self, publish_set: str) -> Iterator[dict[str, Any]]:
        """One row of governance.readers for each login."""
        for login in self.readers:
            yield {"login": login, "publish_set": publish_set, "whole_tables": []}
        for scope in self.row_scopes:
            limits = {"row_column": scope.column, "row_values": scope.values, "whole_tables": scope.whole_tables}
            for login in scope.readers:
                yield {"login": login, "publish_set": publish_set, **limits}


class Reidentification(BaseModel):
    """Who may ask whom a token stands for, how often in 24 hours, and on whose decision."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    owner: Text
    purpose: Text
    logins: list[Login]
    per_day: int = Field(ge=1)

    def grants(self) -> list[dict[str, Any]]:
        """One row of governance.reidentifiers for each login."""
        return [{"login": login, "per_day": self.per_day} for login in self.logins]


def read_access(publish_sets: list[str], file: Path = FILE) -> dict[str, Access]:
    """Each publish set's readers; raises ContractError, with file and line, where one is missing, unknown or wrong."""
    shown, root, document = read_yaml(file)
    sets = {name: part for name, part in document.items() if name != REIDENTIFICATION}
    access = _validated(RootModel[dict[str, Access]], sets, root, (), shown).root
    if missing := sorted(set(publish_sets) - set(access)):
        raise ContractError(f"{shown}:1: nobody is named, nor an owner, for the publish set {', '.join(missing)}")
    if unknown := sorted(set(access) - set(publish_sets)):
        raise ContractError(f"{shown}:1: no publish set (a folder under dbt_project/models/marts) {', '.join(unknown)}")
    return access


def read_reidentification(file: Path = FILE) -> Reidentification:
    """Who may re-identify; raises ContractError."""
    shown, root, document = read_yaml(file)
    return _validated(Reidentification, document.get(REIDENTIFICATION), root, (REIDENTIFICATION,), shown)


def _validated(model: type[Model], part: Any, root: yaml.Node | None, start: YamlPath, shown: Path) -> Model:
    try:
        return model.model_validate(part)
    except ValidationError as refusal:
        raise ContractError(describe_errors(refusal, root, start, shown)) from None
