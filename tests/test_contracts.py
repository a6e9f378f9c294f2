"""Source contracts: which are refused, and that the message names file, line and correction."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ingestion import schema
from ingestion.contract_yaml import ContractError
from ingestion.contracts import read_contracts

GOOD = """\
version: 2
sources:
  - name: raw_tolls
    description: Bridge tolls.
    config:
      meta:
        freshness: {warn_after: {count: 2, period: day}, error_after: {count: 3, period: day}}
        kind: files
        location: LANDING
        schedule: "0 6 * * *"
        time_zone: Europe/London
        information_asset_owner: Head of Highways
        data_owner: Network Manager
        purpose: Income from tolls
        lawful_basis: Article 6(1)(e)
        retention: P7Y
        sharing: none
    tables:
      - name: crossings
        description: One row per crossing.
        config: {meta: {load: replace, files: "tolls/*.csv"}}
        columns:
          - name: crossing_id
            data_type: bigint
            description: The crossing.
            config: {meta: {privacy: none}}
          - name: fee
            data_type: numeric(18,2)
            description: Paid, in pounds.
            config: {meta: {privacy: none}}
"""


def contract(folder: Path, text: str) -> Path:
    file = folder / "tolls" / "_tolls__sources.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return folder


def test_a_valid_contract_is_read(tmp_path: Path) -> None:
    system = read_contracts(contract(tmp_path, GOOD))["tolls"]
    assert (system.name, system.location, system.tables[0].label) == ("raw_tolls", "LANDING", "raw_tolls.crossings")
    assert str(system.tables[0].columns[1].arrow_type) == "decimal128(18, 2)"


MISTAKES = [  # text of a valid contract, its replacement, the refused line, the message
    ("        lawful_basis: Article 6(1)(e)\n", "", 3, "raw_tolls.lawful_basis: Field required"),
    ("kind: files", "kind: fax", 8, "raw_tolls.kind: Input should be 'files', 'database' or 'api'"),
    ("retention: P7Y", "retention: seven years", 16, "raw_tolls.retention"),
    ("time_zone: Europe/London", "time_zone: Worcester", 3, "IANA"),
    ("data_type: numeric(18,2)", "data_type: money", 27, "raw_tolls.crossings.fee: data_type must be"),
    ("- name: fee", "- name: crossing_id", 19, "raw_tolls.crossings: declared twice: crossing_id"),
    ("load: replace", "load: merge", 19, "merge needs a key"),
    ("load: replace", "load: replace, cursr: fee", 21, "raw_tolls.crossings.cursr: Extra inputs"),
    ("load: replace", "load: replace, key: [toll_id]", 19, "is not a declared column: toll_id"),
    ("One row per crossing.", "Crossings.", 19, "grain"),
    (', files: "tolls/*.csv"', "", 3, "`files` is required for kind: files"),
    ("privacy: none}}\n          - name: fee", "privacy: identifier}}\n          - name: fee", 23, "must both be set"),
    ("{meta: {privacy: none}}\n          - name: fee", "{}\n          - name: fee", 23, "privacy: Field required"),
    ("sources:", "sources: [", 3, "not YAML"),
    ("data_owner: Network Manager", "data_owner: TODO", 13, "raw_tolls.data_owner: is still TODO"),
    ('schedule: "0 6 * * *"', "schedule: TODO", 10, "raw_tolls.schedule: is still TODO"),
    (
        "privacy: none}}\n          - name: fee",
        "privacy: TODO}}\n          - name: fee",
        26,
        "raw_tolls.crossings.crossing_id.privacy: is still TODO",
    ),
    ("One row per crossing.", "TODO. One row per crossing.", 20, "raw_tolls.crossings.description: is still TODO"),
    ("Paid, in pounds.", "TODO", 29, "raw_tolls.crossings.fee.description: is still TODO"),
    (
        "privacy: none}}\n          - name: fee",
        "privacy: none, identifier: upn}}\n          - name: fee",
        23,
        "must both be set",
    ),
    (
        "kind: files",
        "connections: 99\n        kind: files",
        8,
        "raw_tolls.connections: Input should be less than or equal to 16",
    ),
    ("location: LANDING", "location: landing", 9, "raw_tolls.location: String should match pattern"),
    ("load: replace, files", "load: replace, delimiter: ab, files", 21, "raw_tolls.crossings.delimiter: String should"),
]
ONLY_THE_READER = ("IANA", "declared twice", "not a declared column", "`files` is required for kind", "not YAML")


@pytest.mark.parametrize(("was", "becomes", "line", "says"), MISTAKES)
def test_an_invalid_contract_is_refused_with_file_and_line(
    tmp_path: Path, was: str, becomes: str, line: int, says: str
) -> None:
    assert was in GOOD
    with pytest.raises(ContractError) as refusal:
        read_contracts(contract(tmp_path, GOOD.replace(was, becomes, 1)))
    assert f"_tolls__sources.yml:{line}: " in str(refusal.value)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("privacy", "basis", "special", "says"),
    [
        ("none", "Public records", None, None),
        ("personal", "Article 6(1)(e)", None, None),
        (
            "personal",
            "Article 6",
            None,
            "lawful_basis needs a condition such as article 6(1)(e), because crossings.fee is pers",
        ),
        ("special_category", "Article 6(1)(e)", None, "special_category_basis needs a condition"),
        ("special_category", "Article 6(1)(e)", "Article 9(2)(f)", None),
        (
            "special_category",
            "Article 6(1)(e)",
            "Article 9(2)(g)",
            "9(2)(g) needs a paragraph of DPA 2018 Schedule 1, because",
        ),
        ("special_category", "Article 6(1)(e)", "Article 9(2)(g), DPA 2018 Schedule 1 paragraph 6", None),
        ("special_category", "None", "Article 9(2)(f)", "lawful_basis needs a condition"),
    ],
)
def test_personal_data_does_not_load_without_a_lawful_basis(
    tmp_path: Path, privacy: str, basis: str, special: str | None, says: str | None
) -> None:
    lines = f"lawful_basis: {basis}" + (f'\n        special_category_basis: "{special}"' if special else "")
    text = GOOD.replace("lawful_basis: Article 6(1)(e)", lines)
    folder = contract(tmp_path, text.removesuffix("{privacy: none}}\n") + f"{{privacy: {privacy}}}}}\n")
    if says is None:
        assert read_contracts(folder)["tolls"].tables[0].columns[-1].privacy == privacy
        return
    with pytest.raises(ContractError) as refusal:
        read_contracts(folder)
    assert "_tolls__sources.yml:3: raw_tolls: " in str(refusal.value)
    assert says in str(refusal.value)


SCHEMA = json.loads(schema.FILE.read_text(encoding="utf-8"))
CONTRACTS = sorted(
    [*schema.ROOT.glob("dbt_project/models/staging/*/_*__sources.yml"), *schema.ROOT.glob("tests/contracts/*/_*.yml")]
)


def test_the_json_schema_matches_the_contract_model() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run `make schema`"
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", CONTRACTS, ids=lambda file: file.parent.name)
def test_every_contract_names_the_schema_and_is_valid(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line names the schema"
    assert (file.parent / named[1]).resolve() == schema.FILE
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"), [m for m in MISTAKES if not any(words in m[3] for words in ONLY_THE_READER)]
)
def test_the_schema_refuses_the_same_field_as_the_contract_reader(was: str, becomes: str, line: int, says: str) -> None:
    validator = Draft202012Validator(SCHEMA)
    assert validator.is_valid(yaml.safe_load(GOOD))
    assert was in GOOD
    (error,) = validator.iter_errors(yaml.safe_load(GOOD.replace(was, becomes, 1)))
    by_words = {"merge needs a key": "key", "grain": "description", "must both be set": "identifier"}
    field = "data_type" if "data_type must be" in says else by_words.get(says, says.split(":")[0].split(".")[-1])
    assert field in f"{error.json_path} {error.message} {error.schema}"


def test_the_schema_describes_every_field() -> None:
    fields = [
        (name, field, rules)
        for name, part in SCHEMA["$defs"].items()
        for properties in (
            part["properties"],
            part["properties"].get("config", {}).get("properties", {}).get("meta", {}).get("properties", {}),
        )
        for field, rules in properties.items()
    ]
    assert len(fields) > 60
    assert [(name, field) for name, field, rules in fields if not rules.get("description")] == []


def test_a_missing_contract_is_reported_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=str(tmp_path)):
        read_contracts(tmp_path)


def test_the_example_environment_has_every_location() -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
    assert {f"{system.location}=" for system in read_contracts().values() if system.location} <= {
        line.lstrip("# ").split("=")[0] + "=" for line in example.splitlines()
    }
    assert yaml.safe_load(GOOD)
