"""Source contracts: what is refused, and that the refusal names file, line and remedy."""

from pathlib import Path

import pytest
import yaml

from ingestion.contracts import ContractError, read_contracts

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


def test_a_good_contract_is_read(tmp_path: Path) -> None:
    system = read_contracts(contract(tmp_path, GOOD))["tolls"]
    assert (system.name, system.location, system.tables[0].label) == ("raw_tolls", "LANDING", "raw_tolls.crossings")
    assert str(system.tables[0].columns[1].arrow_type) == "decimal128(18, 2)"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
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
        (', files: "tolls/*.csv"', "", 3, "`files` is for kind: files"),
        ("privacy: none}}\n          - name: fee", "privacy: identifier}}\n          - name: fee", 23, "each other"),
        ("{meta: {privacy: none}}\n          - name: fee", "{}\n          - name: fee", 23, "privacy: Field required"),
        ("sources:", "sources: [", 3, "not YAML"),
    ],
)
def test_a_bad_contract_is_refused_by_file_and_line(
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
            "lawful_basis names no condition, such as article 6(1)(e), and crossings.fee is pers",
        ),
        ("special_category", "Article 6(1)(e)", None, "special_category_basis names no condition"),
        ("special_category", "Article 6(1)(e)", "Article 9(2)(f)", None),
        (
            "special_category",
            "Article 6(1)(e)",
            "Article 9(2)(g)",
            "9(2)(g) needs a paragraph of DPA 2018 Schedule 1, and",
        ),
        ("special_category", "Article 6(1)(e)", "Article 9(2)(g), DPA 2018 Schedule 1 paragraph 6", None),
        ("special_category", "None", "Article 9(2)(f)", "lawful_basis names no condition"),
    ],
)
def test_what_is_about_people_does_not_load_without_its_lawful_basis(
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


def test_without_a_contract_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=str(tmp_path)):
        read_contracts(tmp_path)


def test_the_example_environment_names_every_location() -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text(encoding="utf-8")
    assert {f"{system.location}=" for system in read_contracts().values() if system.location} <= {
        line.lstrip("# ").split("=")[0] + "=" for line in example.splitlines()
    }
    assert yaml.safe_load(GOOD)
