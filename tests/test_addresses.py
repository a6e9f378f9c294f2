"""Forms of addresses: which are the same home, and which are not."""

import pyarrow as pa
import pytest

from ingestion.addresses import canonical_forms

HOMES = [  # each line is one home in its possible forms
    ["12 Wren Lane, Malvern, WR14 1AA", "12, WREN LN. MALVERN WR141AA", " 12 wren la  malvern Worcestershire wr14 1aa",
     "012 Wren Lane, Elderford, Malvern, Worcs, WR14 1AA", "The Wrens, 12 Wren Lane, Malvern WR14 1AA",
     "Plot 7, 12 Wren Lane, Malvern, WR14 1AA"],
    ["12A Wren Lane, Malvern, WR14 1AA", "12a, Wren Lane, Malvern, WR14 1AA"],
    ["Flat 3, Damson House, 12 Wren Lane, Malvern, WR14 1AA", "12 Wren Lane, Flat 3, Malvern, WR14 1AA",
     "Apartment 3, 12 Wren Lane, Malvern WR14 1AA", "3, Damson House, 12 Wren Lane, Malvern, WR14 1AA"],
    ["Flat C, 12 Wren Lane, Malvern, WR14 1AA", "Apt C 12 Wren Lane Malvern WR14 1AA"],
    ["12 Elm Road, Malvern, WR14 1AA", "12 Elm Rd, Malvern, WR14 1AA"],
    ["12 Wren Lane, Malvern, WR14 2BB"],
    ["St John's Cottage, Wren Lane, Malvern, WR14 1AA", "ST JOHNS COTTAGE, Wren Ln, Malvern WR14 1AA",
     "StJohn\u2019s Cottage, Wren Lane, Malvern, WR14 1AA"],
    ["Manor Farm, Wren Lane, Malvern, WR14 1AA"],
]  # fmt: skip


def spelt(text: str) -> dict[str, str | None]:
    return {name: values[0].as_py() for name, values in canonical_forms(pa.chunked_array([[text]])).items()}


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home[0])
def test_every_form_of_an_address_gives_the_same_home(home: list[str]) -> None:
    ours = {spelt(text)[""] for text in home}
    assert len(ours) == 1
    assert not ours & {spelt(text)[""] for other in HOMES if other is not home for text in other}


def test_an_address_matches_without_its_street_or_its_postcode() -> None:
    whole = spelt("Flat 3, Damson House, 12 Wren Lane, Malvern, WR14 1AA")
    no_street = spelt("Flat 3, Damson House, 12, Malvern, WR14 1AA")
    no_postcode = spelt("Flat 3, 12 Wren Lane, Malvern")
    assert no_street["premises"] == no_street[""] == whole["premises"]
    assert no_postcode["street"] == no_postcode[""] == whole["street"]
    assert no_street["street"] is None is no_postcode["premises"]


@pytest.mark.parametrize("text", ["", "  ", "Opposite the church", "£", "WR14 1AA", "No fixed abode"])
def test_text_that_is_not_an_address_is_kept(text: str) -> None:
    found = spelt(text)
    assert found["street"] is None
    assert found[""] is not None
