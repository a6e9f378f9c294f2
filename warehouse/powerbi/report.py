"""The report of a Power BI project (PBIR): one page with a card for each of the main measures."""

import json
from collections.abc import Sequence
from typing import Any

PAGE = "main_measures"
WIDTH, HEIGHT, GAP, COLUMNS, ROWS = 1280, 720, 16, 4, 4


def fabric(schema: str, **content: Any) -> str:
    """A JSON file of a project, with the address of its published schema."""
    address = f"https://developer.microsoft.com/json-schemas/fabric/{schema}/schema.json"
    return json.dumps({"$schema": address} | content, indent=2, ensure_ascii=False) + "\n"


def platform(kind: str, title: str, identity: str) -> str:
    """The file that tells Fabric what a folder is."""
    return fabric(
        "gitIntegration/platformProperties/2.0.0",
        metadata={"type": kind, "displayName": title},
        config={"version": "2.0", "logicalId": identity},
    )


def report_files(model: str, measures: Sequence[tuple[str, str]]) -> dict[str, str]:
    """{path: text} of the report on a semantic model in a folder beside it; `measures` are (table, measure)."""
    definition = "item/report/definition"
    found = {
        "definition.pbir": fabric(
            "item/report/definitionProperties/1.0.0",
            version="4.0",
            datasetReference={"byPath": {"path": f"../{model}"}},
        ),
        "definition/version.json": fabric(f"{definition}/versionMetadata/1.0.0", version="1.0.0"),
        "definition/report.json": fabric(
            f"{definition}/report/1.0.0",
            themeCollection={
                "baseTheme": {"name": "CY24SU10", "reportVersionAtImport": "5.61", "type": "SharedResources"}
            },
            layoutOptimization="None",
        ),
        "definition/pages/pages.json": fabric(
            f"{definition}/pagesMetadata/1.0.0", pageOrder=[PAGE], activePageName=PAGE
        ),
        f"definition/pages/{PAGE}/page.json": fabric(
            f"{definition}/page/1.0.0",
            name=PAGE,
            displayName="Main measures",
            displayOption="FitToPage",
            height=HEIGHT,
            width=WIDTH,
        ),
    }
    for place, (table, measure) in enumerate(measures[: COLUMNS * ROWS]):
        card = f"card_{place + 1}"
        found[f"definition/pages/{PAGE}/visuals/{card}/visual.json"] = _card(card, place, table, measure)
    return found


def _card(card: str, place: int, table: str, measure: str) -> str:
    width, height = (WIDTH - GAP) / COLUMNS, (HEIGHT - GAP) / ROWS
    field = {"Measure": {"Expression": {"SourceRef": {"Entity": table}}, "Property": measure}}
    value = {"field": field, "queryRef": f"{table}.{measure}", "nativeQueryRef": measure}
    return fabric(
        "item/report/definition/visualContainer/1.0.0",
        name=card,
        position={
            "x": GAP + place % COLUMNS * width,
            "y": GAP + place // COLUMNS * height,
            "z": place,
            "width": width - GAP,
            "height": height - GAP,
            "tabOrder": place,
        },
        visual={
            "visualType": "card",
            "query": {"queryState": {"Values": {"projections": [value]}}},
            "drillFilterOtherVisuals": True,
        },
    )
