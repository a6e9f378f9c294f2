"""The matching model (Splink): train it, and find the pairs of records that may be of one person."""

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from psycopg2 import extensions as pg

from ingestion.contracts import System
from warehouse.person_records import MULTIPLE_KINDS, memory_database, read_people

if TYPE_CHECKING:
    from splink.internals.comparison_level_creator import ComparisonLevelCreator
    from splink.internals.comparison_library import CustomComparison

MODEL = Path(__file__).with_name("person_model.json")
PRIOR = "probability_two_random_records_match"  # in MODEL multiplied by the number of records
REVIEW_THRESHOLD = 0.5  # probability; less probable pairs are not looked at


class Pair(NamedTuple):
    """Two records, by their numbers in `who`: match probability, whether they share an NHS number or UPN, and whether
    their forenames agree.
    """

    one: int
    other: int
    probability: float
    has_number: bool
    has_forename: bool = True


def train(connection: pg.connection, systems: Iterable[System]) -> None:
    """Estimates the model's parameters from the vault's identity records, and writes MODEL."""
    import splink.comparison_level_library as level
    import splink.comparison_library as comparison
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    def compared(name: str, *levels: "ComparisonLevelCreator") -> "CustomComparison":
        agreeing: list[ComparisonLevelCreator | dict[str, Any]] = [level.NullLevel(name), *levels, level.ElseLevel()]
        return comparison.CustomComparison(output_column_name=name, comparison_levels=agreeing)

    near = level.CustomLevel("damerau_levenshtein(born_l, born_r) = 1", "one digit")
    swapped = level.CustomLevel(
        "born_l = substr(born_r, 1, 5) || substr(born_r, 9, 2) || '-' || substr(born_r, 6, 2)", "day and month swapped"
    )
    shared = {name: level.ArrayIntersectLevel(name, min_intersection=1) for name in (*MULTIPLE_KINDS, "forms")}
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            compared(
                "forename",
                level.ExactMatchLevel("forename", term_frequency_adjustments=True),
                shared["forms"],
                level.JaroWinklerLevel("forename", 0.88),
            ),
            compared(
                "surname",
                level.ExactMatchLevel("surname", term_frequency_adjustments=True),
                level.JaroWinklerLevel("surname", 0.9),
            ),
            compared(
                "born",
                level.ExactMatchLevel("born"),
                swapped,
                near.configure(m_probability=0.005, fix_m_probability=True),
            ),
            comparison.ExactMatch("nhs_number").configure(
                m_probabilities=[0.99, 0.01], u_probabilities=[1e-7, 1 - 1e-7]
            ),
            *(compared(name, shared[name]) for name in ("upn", "email", "telephone")),
            compared("address", shared["address"], shared["postcode"]),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("nhs_number"),
            block_on("upn", arrays_to_explode=["upn"]),
            block_on("email", arrays_to_explode=["email"]),
            block_on("born", "substr(surname, 1, 2)"),
            block_on("born", "substr(forename, 1, 2)"),
            block_on("address", "substr(forename, 1, 1)", arrays_to_explode=["address"]),
            block_on("postcode", "surname", arrays_to_explode=["postcode"]),
            block_on("telephone", "surname", arrays_to_explode=["telephone"]),
        ],
        additional_columns_to_retain=["who"],
    )
    with connection, memory_database() as database:
        read_people(connection, systems, database)
        linker = Linker("people", settings, DuckDBAPI(database))
        training = linker.training
        training.estimate_probability_two_random_records_match(
            [block_on("nhs_number"), block_on("born", "surname")], 0.8
        )
        training.estimate_u_using_random_sampling(max_pairs=2_000_000, seed=1)
        for given in (block_on("born", "surname"), block_on("born", "forename"), block_on("forename", "surname")):
            training.estimate_parameters_using_expectation_maximisation(given)
        model = linker.misc.save_model_to_json()
        ((people,),) = database.execute("select count(*) from people").fetchall()
    del model["linker_uid"]  # different each time
    model[PRIOR] *= people  # so that the model fits any number of people
    MODEL.write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")


def candidate_pairs(database: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Pairs of records that may be of one person, the most probable first.

    A household shares surname, address and telephone. So without a common number the forenames have to agree, and
    without a common birth date or e-mail address they have to be equal. Equal forenames without a common telephone
    count only for people over 16 or without a birth date, because a child may have a parent's name.
    """
    ((people,),) = database.execute("select count(*) from people").fetchall()
    if not people:
        return []
    from splink import DuckDBAPI, Linker

    adult_born_before = date.today() - timedelta(365.25 * 16)
    model = json.loads(MODEL.read_text(encoding="utf-8"))
    model[PRIOR] /= people
    linker = Linker("people", model, DuckDBAPI(database))
    predictions = linker.inference.predict(threshold_match_probability=REVIEW_THRESHOLD).physical_name
    rows = database.execute(
        "select least(who_l, who_r) as one, greatest(who_l, who_r) as other, max(match_probability), "
        "bool_or(gamma_nhs_number > 0 or gamma_upn > 0) as has_number, "
        f"bool_or(forename_l = forename_r or list_has_any(forms_l, forms_r)) as has_forename from {predictions} "
        "where who_l <> who_r and (gamma_nhs_number > 0 or gamma_upn > 0 "
        "or (gamma_forename > 0 and (gamma_born > 0 or gamma_email > 0)) or (forename_l = forename_r "
        f"and (gamma_telephone > 0 or coalesce(born_l, born_r, '') < '{adult_born_before}'))) "
        "group by all order by has_number desc, 3 desc, 1, 2"
    ).fetchall()
    return [Pair(*row) for row in rows]
