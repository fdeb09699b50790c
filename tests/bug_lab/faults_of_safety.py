"""Faults of keeping what was given and of refusing what may do harm: pitfalls 36 to 39."""

from recsys_assets.ui.request_guard import _unsafe_post, _unsafe_read, _wrong_address
from recsys_core.data.movielens.archives import Archive
from recsys_core.feedback.sqlite_files import _is_short, losses, readers
from recsys_core.feedback.tallies import grown
from recsys_core.lake.manifest import unsealed
from tests.bug_lab.fault import Fault

ARCHIVES = "tests/core/data/movielens/test_archives.py"
GUARD = "tests/assets/ui/test_request_guard.py"
TALLIES = "tests/core/feedback/test_tallies.py"

FAULTS_OF_SAFETY = (
    Fault(
        number=36,
        what="a log file with fewer rows than were acknowledged is read",
        where=readers,
        before="raise LogError(fault)",
        after="pass",
        tests=(f"{TALLIES}::test_a_log_that_lost_rows_is_refused_until_that_is_accepted",),
    ),
    Fault(
        number=36,
        what="the log counts as complete if the number of rows is right, whatever their content",
        where=losses,
        before="short or list(tallies.alterations(path, connection, acknowledged))",
        after="short",
        tests=(f"{TALLIES}::test_a_log_that_lost_rows_is_refused_until_that_is_accepted",),
    ),
    Fault(
        number=36,
        what="rows of later appends are not added to the tally",
        where=grown,
        before="_rows(connection, name, tallies)",
        after="_rows(connection, name, tallies) if name not in tallies else ()",
        tests=(f"{TALLIES}::test_a_log_that_lost_rows_is_refused_until_that_is_accepted",),
    ),
    Fault(
        number=36,
        what="a writer continues in a file that has lost rows",
        where=_is_short,
        before="any(tallies.shortfalls(path, connection, acknowledged))",
        after="False",
        tests=(f"{TALLIES}::test_a_writer_leaves_a_file_that_lost_rows_as_it_is_and_takes_another",),
    ),
    Fault(
        number=37,
        what="the UI guard forbids queries to one path, which the router accepts in several spellings",
        where=_unsafe_read,
        before='not _takes_a_query(scope["path"])',
        after='scope["path"].rstrip("/") == GRAPHQL',
        tests=(f"{GUARD}::test_graphql_by_get_is_refused_and_its_playground_is_not",),
    ),
    Fault(
        number=37,
        what="the UI guard accepts line ends in a path",
        where=_wrong_address,
        before='not scope["path"].isprintable()',
        after="False",
        tests=(f"{GUARD}::test_an_address_with_control_characters_is_refused",),
    ),
    Fault(
        number=37,
        what="the UI guard looks for a media type anywhere in the header",
        where=_unsafe_post,
        before='media_types == ["application/json"]',
        after='"application/json" in headers.get("content-type", "")',
        tests=(f"{GUARD}::test_what_a_page_may_send_anywhere_without_asking_is_refused",),
    ),
    Fault(
        number=38,
        what="the check of a seal expects reading to fail, not resealing",
        where=unsealed,
        before="(ValueError, KeyError, TypeError, RecursionError)",
        after="(json.JSONDecodeError, KeyError, TypeError, RecursionError)",
        tests=(
            "tests/core/lake/test_store.py::"
            "test_a_store_that_lost_something_does_not_look_empty_and_is_mended_by_a_rebuild[pointer_with_infinity]",
        ),
        escapes="ValueError",
    ),
    Fault(
        number=39,
        what="the limit compares the output of a gzip with the gzip, not with the enclosing zip",
        where=Archive.packed_bytes,
        before="self.members[name][0].compress_size",
        after="self.members[name][0].file_size",
        tests=(f"{ARCHIVES}::test_a_bomb_within_a_gzip_within_the_zip_is_refused",),
    ),
)
