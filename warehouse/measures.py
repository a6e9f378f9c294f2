"""The definitions of published measures: checks that each is complete, and writes docs/reference/measures.md.

A measure is a number column of a report model. `meta.metric` of the column names its metric, `meta.dimension` says that
the number is no measure. Formula, exclusions and source are in the semantic models beside the marts; a ratio has the
source of its numerator. Owner, grain and additivity follow from `access.yml`, the model's description and the
aggregation.

`python -m warehouse.measures` checks the manifest of `make check`; with `--write` it writes the page.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from ingestion import ROOT
from warehouse.access import Access, read_access
from warehouse.environment import publish_sets

MANIFEST = ROOT / ".warehouse/check/manifest.json"
PAGE = ROOT / "docs/reference/measures.md"
NUMBERS = ("bigint", "double precision", "integer", "numeric", "real", "smallint")
OWN = "Council's own definition"
EDITION = re.compile(r"\b(19|20)\d\d\b")
ADDITIVITY = {"count": "Additive", "sum": "Additive", "sum_boolean": "Additive"}
CLASSES = ("Additive", "Semi-additive", "Non-additive")
INTRODUCTION = """\
# Measures

Each number of the published reports has a definition here. `make measures` writes this page from the semantic models
beside the marts; do not edit it. `warehouse metric <name> --by <dimension>` answers from the same definitions.

- Additive: values may be summed over every dimension.
- Semi-additive: values may be summed over every dimension except time. A period has the value of its last day or month.
- Non-additive: values may not be summed.
"""

Node = dict[str, Any]


class Measures:
    """The metrics of a manifest, and the columns of report models that publish them."""

    def __init__(self, manifest: Node) -> None:
        self.models: dict[str, Node] = manifest["nodes"]
        self.semantic_models: dict[str, Node] = manifest["semantic_models"]
        self.metrics: dict[str, Node] = {metric["name"]: metric for metric in manifest["metrics"].values()}
        reports = [node for node in self.models.values() if node["name"].partition("__")[2].startswith("rpt_")]
        self.columns = [
            (report, column, column["config"]["meta"])
            for report in sorted(reports, key=lambda node: str(node["name"]))
            for column in report["columns"].values()
        ]

    def problems(self) -> Iterator[str]:
        """A line for each measure without a metric, and for each incomplete definition."""
        for report, column, meta in self.columns:
            place = f"{report['patch_path'].rpartition('://')[2]}: {column['name']}"
            is_number = (column["data_type"] or "").startswith(NUMBERS)
            if is_number and not meta.keys() & {"metric", "dimension"}:
                yield f"{place}: name the measure's metric in config: {{meta: {{metric: …}}}}, or its dimension"
            for name in {meta[key] for key in ("metric", "total") if "metric" in meta and key in meta}:
                if name not in self.metrics:
                    yield f"{place}: there is no metric {name}"
        for name, metric in self.metrics.items():
            definition, place = self.definition(name), f"{metric['original_file_path']}: {name}"
            for part in ("Formula", "Exclusions", "Source"):
                if not definition[part]:
                    yield f"{place}: {part.lower()} is missing"
            if not (definition["Source"].startswith(OWN) or EDITION.search(definition["Source"])):
                yield f'{place}: the source must name its edition (a year), or be "{OWN}"'
            if not definition["Additivity"].startswith(CLASSES):
                yield f"{place}: additivity must begin with {', '.join(CLASSES)}"

    def definition(self, name: str) -> dict[str, str]:
        """The definition of a metric in words."""
        metric = self.metrics[name]
        parameters, inputs = metric["type_params"], self._inputs(metric)
        semantic_model, measure = self.measure(metric)
        own = {} if inputs else (measure["config"] or {}).get("meta", {})
        meta = metric["config"]["meta"] | own  # dbt gives a measure's metric the meta of the semantic model
        sources = [self.definition(each)["Source"] for each in inputs[:1]]
        model = self.models[semantic_model["depends_on"]["nodes"][0]]
        grains = [self.definition(each)["Grain"] for each in inputs] or [_grain(model)]
        numerator, denominator = (
            self.metrics[parameters[part]["name"]]["label"] if parameters[part] else None
            for part in ("numerator", "denominator")
        )
        return {
            "Formula": "" if metric["description"].startswith("Metric created from") else metric["description"],
            "Numerator": numerator or metric["label"],
            "Denominator": denominator or "none",
            "Exclusions": meta.get("exclusions") or ("those of numerator and denominator" if inputs else ""),
            "Source": meta.get("source") or "".join(sources),
            "Choice": meta.get("choice", ""),
            "Grain": "; ".join(dict.fromkeys(grains)),
            "Additivity": meta.get("additivity") or _additivity(metric, measure),
            "Published in": "; ".join(self._published(name)),
        }

    def page(self, access: dict[str, Access]) -> str:
        """The page of all definitions, in Markdown."""
        lines = [INTRODUCTION]
        for publish_set in sorted({metric["fqn"][2] for metric in self.metrics.values()}):
            lines += [f"## {publish_set}", "", f"Owner: {access[publish_set].owner}.", ""]
            for name, metric in sorted(self.metrics.items()):
                if metric["fqn"][2] == publish_set:
                    lines += [f"### {metric['label']}", "", "| | |", "|---|---|", f"| Metric | `{name}` |"]
                    lines += [f"| {part} | {text} |" for part, text in self.definition(name).items() if text]
                    lines.append("")
        return "\n".join(lines)

    def _inputs(self, metric: Node) -> list[str]:
        """The metrics from which a ratio or a derived metric is computed."""
        parameters = metric["type_params"]
        parts = [parameters["numerator"], parameters["denominator"], *parameters["metrics"]]
        return [part["name"] for part in parts if part]

    def measure(self, metric: Node) -> tuple[Node, Node]:
        """The semantic model and the measure of a simple metric, or of the first input."""
        while inputs := self._inputs(metric):
            metric = self.metrics[inputs[0]]
        semantic_model = self.semantic_models[metric["depends_on"]["nodes"][0]]
        wanted = metric["type_params"]["input_measures"][0]["name"]
        return semantic_model, next(each for each in semantic_model["measures"] if each["name"] == wanted)

    def _published(self, name: str) -> Iterator[str]:
        for report, column, meta in self.columns:
            if "metric" in meta and name in (meta["metric"], meta.get("total")):
                table = f"`{report['fqn'][2]}.{report['name'].partition('__')[2]}`, {column['name']}"
                share = f", as a share of {meta['share_of']}" if "share_of" in meta else ""
                yield table + share + (f" (times {meta['factor']})" if "factor" in meta else "")


def _grain(model: Node) -> str:
    """The last sentence of a model's description, such as "One row per branch and month", without "row"."""
    sentence = str(model["description"]).rstrip(". \n").rpartition("One row per ")[2]
    return f"one {sentence}"


def _additivity(metric: Node, measure: Node) -> str:
    if metric["type"] == "simple" and ADDITIVITY.get(measure["agg"]):
        return "Semi-additive" if measure["non_additive_dimension"] else "Additive"
    return "Non-additive"


def main(*options: str) -> None:
    """Checks the manifest; with `--write`, writes the page."""
    measures = Measures(json.loads(MANIFEST.read_text(encoding="utf-8")))
    page = measures.page(read_access(publish_sets()))
    if "--write" in options:
        PAGE.write_text(page, encoding="utf-8")
    lines = list(measures.problems())
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        lines.append(f"{PAGE.relative_to(ROOT)} differs from the semantic models. Run `make measures`.")
    if lines:
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
