"""Reads access.yml, which says who may read what; setup.sql makes it so."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from ingestion.contracts import ROOT, ContractError, Name, Text, located

FILE = ROOT / "access.yml"
RESERVED = ("svc_", "read_", "wh_", "pg_", "postgres")


class RowScope(BaseModel):
    """Logins that read only the rows whose `column`, a text, has one of `values`, and `whole_tables` without it."""

    model_config = ConfigDict(extra="forbid")
    readers: list[Name] = Field(min_length=1)
    column: Name
    values: list[Text] = Field(min_length=1)
    whole_tables: list[Name] = []


class Access(BaseModel):
    """Who reads one publish set, and on whose decision."""

    model_config = ConfigDict(extra="forbid")
    owner: Text
    purpose: Text
    readers: list[Name] = []
    row_scopes: list[RowScope] = []

    @model_validator(mode="after")
    def _check(self) -> "Access":
        logins = [*self.readers, *(login for scope in self.row_scopes for login in scope.readers)]
        if doubled := {login for login in logins if logins.count(login) > 1}:
            raise ValueError(f"named twice for one set: {', '.join(sorted(doubled))}")
        if reserved := [login for login in logins if login.startswith(RESERVED)]:
            raise ValueError(f"names that begin so are the warehouse's own: {', '.join(reserved)}")
        return self

    def grants(self, publish_set: str) -> Iterator[dict]:
        """One row of governance.readers for each login."""
        for login in self.readers:
            yield {"login": login, "publish_set": publish_set, "whole_tables": []}
        for scope in self.row_scopes:
            limits = {"row_column": scope.column, "row_values": scope.values, "whole_tables": scope.whole_tables}
            for login in scope.readers:
                yield {"login": login, "publish_set": publish_set, **limits}


def read_access(publish_sets: list[str], file: Path = FILE) -> dict[str, Access]:
    """Each publish set's readers; raises ContractError, with file and line, where one is missing, unknown or wrong."""
    text = file.read_text(encoding="utf-8")
    shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    try:
        root, document = yaml.compose(text), yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        raise ContractError(f"{shown}:{error.problem_mark.line + 1}: not YAML: {error.problem}") from None
    try:
        access = RootModel[dict[str, Access]].model_validate(document).root
    except ValidationError as refusal:
        raise ContractError(located(refusal, root, (), shown)) from None
    if missing := sorted(set(publish_sets) - set(access)):
        raise ContractError(f"{shown}:1: nobody is named, nor an owner, for the publish set {', '.join(missing)}")
    if unknown := sorted(set(access) - set(publish_sets)):
        raise ContractError(f"{shown}:1: no publish set (a folder under dbt_project/models/marts) {', '.join(unknown)}")
    return access
