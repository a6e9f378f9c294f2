"""Failures of assets and checks as Dagster shows and stores them: without values of data."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtCliRuntimeError

from ingestion.contract_yaml import ContractError
from ingestion.contracts import SourceError
from ingestion.errors import describe
from warehouse.errors import WarehouseError

PLAIN = (WarehouseError, SourceError, ContractError)  # messages of our own
PASSED_ON = (dg.Failure, dg.RetryRequested, DagsterDbtCliRuntimeError)  # dbt's messages have no values (dbt_plugins)


def plain_failures(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of an asset or check; its errors become failures that `describe` describes."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        with _plain():
            return function(*args, **named)

    @functools.wraps(function)
    def stream(*args: Any, **named: Any) -> Iterator[Any]:
        with _plain():
            yield from function(*args, **named)

    return stream if inspect.isgeneratorfunction(function) else call


@contextmanager
def _plain() -> Iterator[None]:
    try:
        yield
    except PASSED_ON:
        raise
    except PLAIN as error:
        raise dg.Failure(description=str(error)) from None
    except Exception as error:
        raise dg.Failure(description=describe(error)) from None
