"""What the conditions of automation have in common."""

from typing import Any

import dagster as dg


def since_handled(trigger: dg.AutomationCondition[Any], by_update: bool = True) -> dg.AutomationCondition[Any]:
    """True from a trigger on, until the asset is requested or (`by_update`) updated.

    Dagster's `since_last_handled` forgets a trigger of the tick in which it sees the asset's own request or update. A
    load that waits for a build commits when the build ends, mostly in that tick, and its set would stay as it is.
    """
    condition = dg.AutomationCondition
    handled: dg.AutomationCondition[Any] = condition.newly_requested()
    if by_update:
        handled = handled | condition.newly_updated()
    return trigger.since(((handled & ~trigger) | condition.initial_evaluation()).with_label("handled"))


def after_update(asset: dg.AssetKey) -> dg.AutomationCondition[Any]:
    """Once after each update of an asset, such as the publication of a set."""
    is_updated: dg.AutomationCondition[Any] = dg.AutomationCondition.asset_matches(
        asset, dg.AutomationCondition.newly_updated()
    )
    return since_handled(is_updated) & ~dg.AutomationCondition.in_progress()
