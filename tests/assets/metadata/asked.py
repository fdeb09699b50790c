"""What a process of a built project is asked to do.

Apart from the tests, because a process imports the module of its function before it knows its project, and whoever
imports `recsys_assets.definitions` then has the lake of the checkout.
"""

import json
from typing import Any

OF_THE_SETTINGS = " (settings)"
"""What numbers are marked with that were made with a file `settings.yaml`."""

OF_THE_LOG = ("interaction_log_head", "impression_outcomes", "implicit_feedback")


def ingest(day: str) -> None:
    """The log of one day, and what is made of all days."""
    import dagster as dg

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance

    with instance() as dagster:
        defs.resolve_job_def("ingest_interactions").execute_in_process(instance=dagster, partition_key=day)
        defs.resolve_job_def("full_refresh").execute_in_process(
            instance=dagster, asset_selection=[dg.AssetKey(name) for name in OF_THE_LOG]
        )


def print_metadata() -> None:
    """The latest metadata of every asset, as Dagster has stored it."""
    import dagster as dg

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance

    def plain(value: Any) -> Any:
        if isinstance(value, dg.TableSchema):
            together = value.constraints.other if value.constraints else []
            return {"together": together, "columns": [column(one) for one in value.columns]}
        if isinstance(value, dg.TableColumnLineage):
            deps = value.deps_by_column
            return {
                name: [[dep.asset_key.to_user_string(), dep.column_name] for dep in on] for name, on in deps.items()
            }
        return value if value is None or isinstance(value, str | int | float | dict | list) else str(value)

    def column(one: dg.TableColumn) -> dict[str, Any]:
        must = one.constraints
        return {
            "name": one.name, "type": one.type, "description": one.description, "nullable": must.nullable,
            "unique": must.unique, "other": list(must.other),
        }  # fmt: skip

    with instance() as dagster:
        found = {}
        for key in defs.resolve_asset_graph().get_all_asset_keys():
            (record,) = dagster.fetch_materializations(key, limit=1).records
            shown = record.asset_materialization.metadata  # type: ignore[union-attr]
            found[key.to_user_string()] = {
                label.removesuffix(OF_THE_SETTINGS): (type(one.value).__name__, plain(one.value))
                for label, one in shown.items()
            }
    print(json.dumps(found))  # noqa: T201
