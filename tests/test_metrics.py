"""Measures have whole definitions, and metrics equal the columns of reports that publish them."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import recount, recount_services
from commands.metrics import _shown
from tests.reports import Row, cells, difference, plain, published
from tests.support import Warehouse, manifest
from warehouse.errors import WarehouseError
from warehouse.measures import Measures

if TYPE_CHECKING:  # MetricFlow takes seconds to import
    from warehouse.metrics import Metrics


def test_each_metric_equals_the_report_columns_that_publish_it(warehouse: Warehouse, metrics: Metrics) -> None:
    compared, differences = 0, []
    for report, columns in published(manifest().to_dict(omit_none=False)):
        for cell in cells(warehouse, metrics, report, columns):
            compared += 1
            differences += difference(*cell)
    assert compared > 1000
    assert differences == []


RECOUNTED = {  # {measure of the recount: (metrics, dimension)}
    "payments in bands": (
        [f"invoices_{band}" for band in ("paid_within_30_days", "paid_in_31_to_60_days", "paid_after_60_days")]
        + ["invoices_due_and_not_paid"],
        "invoice__period_start_date",
    ),
    "children looked after": (["children_looked_after"], "metric_time__month"),
    "assessments in 45 working days": (["assessments_in_45_working_days", "assessments_late"], "metric_time__month"),
    "re-referrals": (["rereferrals"], "metric_time__year"),
    "persistent and severe absence": (
        ["enrolments", "persistent_absentees", "severe_absentees"],
        "attendance_year__academic_year",
    ),
    "full-time equivalent": (["fte"], "metric_time__month"),
    "days lost per FTE": (["sickness_days_lost_per_fte"], "metric_time__month"),
    "leavers in 12 months": (["leavers_in_12_months"], "metric_time__month"),
    "active members of the county": (["library_active_members_of_county"], "metric_time__month"),
}


@pytest.mark.parametrize("measure", RECOUNTED)
def test_a_metric_equals_the_count_of_the_sources(warehouse: Warehouse, metrics: Metrics, measure: str) -> None:
    names, dimension = RECOUNTED[measure]
    table = metrics.query(names, [dimension])
    place = [table.column_names.index(name) for name in (dimension, *names)]
    counted = {plain(row[place[0]], {"dimension": dimension}): [row[n] for n in place[1:]] for row in table.rows}
    expected = recount.MEASURES[measure][0](recount.Sources(warehouse.home, warehouse.source))
    assert len(expected) > 0
    for key, values in expected.items():
        day = date(key, 1, 1) if isinstance(key, int) else key
        found = counted.get(plain(day, {"dimension": dimension}), [0] * len(names))
        assert found == pytest.approx(values if isinstance(values, tuple) else (values,), abs=0.05), key


@pytest.mark.parametrize("measures", recount_services.METRICS)
def test_a_metric_without_a_report_equals_the_count_of_the_sources(
    warehouse: Warehouse, metrics: Metrics, measures: str
) -> None:
    count, names, dimension = recount_services.METRICS[measures]
    table = metrics.query(names, [dimension])
    place = [table.column_names.index(name) for name in (dimension, *names)]
    found = {plain(row[place[0]], {"dimension": dimension}): [row[n] or 0 for n in place[1:]] for row in table.rows}
    expected = {}
    for key, values in count(recount.Sources(warehouse.home, warehouse.source)).items():
        day = date(key, 1, 1) if isinstance(key, int) else key
        each = values if isinstance(values, tuple) else (values,)
        expected[plain(day, {"dimension": dimension})] = [value or 0 for value in each]
    if names[0].endswith("_in_12_months"):  # MetricFlow adds months after the last one
        found = {key: values for key, values in found.items() if key in expected}
    assert {key: values for key, values in found.items() if any(values)} == {
        key: pytest.approx(values, abs=0.005) for key, values in expected.items() if any(values)
    }
    assert len(expected) > 0


def test_people_with_open_involvements_are_the_people_of_the_combinations(metrics: Metrics) -> None:
    """Of each service: distinct persons over involvements, and persons whose combination has the service."""
    services = dict(metrics.query(["people_with_open_involvement"], ["involvement__service_area_name"]).rows)
    people = metrics.query(["people_by_combination_of_services"], ["service_combination__service_areas"]).rows
    counted: dict[str, int] = defaultdict(int)
    for areas, number in people:
        for service in areas.split(" + "):
            counted[service] += number
    assert counted == services
    assert len(counted) > 3


def test_an_unknown_metric_or_dimension_is_refused_with_suggestions(metrics: Metrics) -> None:
    with pytest.raises(WarehouseError, match="library_loans"):
        metrics.query(["library_loan"])
    with pytest.raises(WarehouseError, match="branch__branch_name"):
        metrics.query(["library_loans"], ["branch__name"])


def test_a_condition_limits_the_rows_of_a_metric(metrics: Metrics) -> None:
    every = metrics.query(["library_loans"], ["branch__branch_name"])
    (name, loans) = every.rows[0]
    where = "{{ Dimension('branch__branch_name') }} = '" + str(name) + "'"
    assert metrics.query(["library_loans"], where=[where]).rows == ((loans,),)
    assert every.row_count > 1


def test_numbers_and_days_are_printed_in_full() -> None:
    values = [None, "Wren", 1234567.5, 0.89726, 12, datetime(2026, 4, 1)]
    assert [_shown(value) for value in values] == ["", "Wren", "1,234,567.5", "0.8973", "12", "2026-04-01"]


def definitions() -> Row:
    """Return a manifest with one report column and its metric."""
    measure = {"name": "loans", "agg": "sum", "non_additive_dimension": None}
    measure["config"] = {"meta": {"source": "Council's own definition", "exclusions": "None."}}
    parameters = dict.fromkeys(("numerator", "denominator")) | {"metrics": [], "input_measures": [{"name": "loans"}]}
    metric = {"name": "loans", "label": "Loans", "description": "Number of loans.", "type": "simple"}
    metric |= {"fqn": ["p", "marts", "libraries", "loans"], "type_params": parameters, "config": {"meta": {}}}
    metric |= {"original_file_path": "m.yml", "depends_on": {"nodes": ["s"]}}
    column = {"name": "Loans", "data_type": "bigint", "config": {"meta": {"metric": "loans"}}}
    report = {"name": "libraries__rpt_loans", "fqn": ["p", "marts", "libraries", "r"], "patch_path": "p://r.yml"}
    fact = {"name": "libraries__fct_loans", "description": "Loans. One row per day."}
    return {
        "nodes": {"f": fact, "r": report | {"columns": {"Loans": column}}},
        "semantic_models": {"s": {"depends_on": {"nodes": ["f"]}, "measures": [measure]}},
        "metrics": {"m": metric},
    }


def test_a_definition_names_formula_grain_additivity_and_reports() -> None:
    measures = Measures(definitions())
    assert list(measures.problems()) == []
    assert measures.definition("loans") == {
        "Formula": "Number of loans.",
        "Numerator": "Loans",
        "Denominator": "none",
        "Exclusions": "None.",
        "Source": "Council's own definition",
        "Choice": "",
        "Grain": "one day",
        "Additivity": "Additive",
        "Published in": "`libraries.rpt_loans`, Loans",
    }


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m["nodes"]["r"]["columns"]["Loans"]["config"]["meta"].clear(), "name the measure's metric"),
        (lambda m: m["nodes"]["r"]["columns"]["Loans"]["config"]["meta"].update(metric="x"), "there is no metric x"),
        (lambda m: m["metrics"]["m"].update(description=""), "formula is missing"),
        (lambda m: meta(m).update(exclusions=""), "exclusions is missing"),
        (lambda m: meta(m).pop("source"), "source is missing"),
        (lambda m: meta(m).update(source="DfE"), "the source must name its edition"),
        (lambda m: meta(m).update(additivity="Yes"), "additivity must begin with"),
    ],
)
def test_an_incomplete_definition_is_a_problem(change: Any, problem: str) -> None:
    changed = deepcopy(definitions())
    change(changed)
    assert problem in "\n".join(Measures(changed).problems())


def meta(manifest: Row) -> Row:
    return manifest["semantic_models"]["s"]["measures"][0]["config"]["meta"]
