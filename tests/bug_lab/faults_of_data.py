"""Faults of reading tables from outside: pitfalls 22, 32 and 33."""

from recsys_core.bench.clock import _by_rows
from recsys_core.bench.items import _report
from recsys_core.data.columns import _counted, _differ_by_fractions, times
from recsys_core.days import second_of
from tests.bug_lab.fault import Fault

TABLES = "tests/core/bench/test_tables.py"

FAULTS_OF_DATA = (
    Fault(
        number=22,
        what="times stored as text are treated as missing",
        where=times,
        before="return _of_calendar(column, _written_moments(column, text))",
        after="return None",
        tests=(f"{TABLES}::test_times_as_text_are_times",),
    ),
    Fault(
        number=22,
        what="the largest value determines the unit of time",
        where=_counted,
        before="values.median()",
        after="values.max()",
        tests=(
            f"{TABLES}::test_each_table_is_in_the_unit_of_its_own",
            "tests/core/data/test_columns.py::test_a_row_that_is_far_from_the_others_is_named_whatever_is_the_largest",
        ),
    ),
    Fault(
        number=22,
        what="a time in another zone is read as UTC",
        where=second_of,
        before="moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)",
        after="moment.replace(tzinfo=datetime.UTC)",
        tests=("tests/core/test_days.py::test_a_moment_with_a_zone_is_converted_and_one_without_is_utc",),
    ),
    Fault(
        number=32,
        what="rows sorted by item are read as sorted by time",
        where=_by_rows,
        before="name is None",
        after="True",
        tests=(
            "tests/core/bench/test_clock.py::test_the_order_of_ids_in_either_table_is_no_order_in_time",
            f"{TABLES}::test_rows_in_the_order_of_ids_tell_no_order_in_time",
        ),
    ),
    Fault(
        number=33,
        what="an item table with other ids is ignored silently",
        where=_report,
        before="not n_found and table.height",
        after="not table.height",
        tests=("tests/core/bench/test_items.py::test_an_item_table_of_other_ids_is_warned_of",),
    ),
    Fault(
        number=33,
        what="an id that was converted to float is treated as another id",
        where=_differ_by_fractions,
        before='every.str.contains(".", literal=True).any()',
        after="every.is_empty()",
        tests=("tests/core/data/test_columns.py::test_one_id_in_two_spellings_is_one_id",),
    ),
)
