"""dbt plugin: dbt does not search the call stack for the module that declares a behaviour flag.

Only a warning about the flag names the module. The search reads the source code of every caller, each time dbt starts.
"""

from dbt_common.behavior_flags import BehaviorFlagRendered

BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt-adapters")  # type: ignore[method-assign]
