"""gc; for ui see tests/end_to_end."""

from tests.assets.projects import Project
from tests.assets.test_publishing import materialize


def test_old_versions_go_and_what_is_current_stays(project: Project) -> None:
    before = project.versions()
    for n_rounds in (7, 8, 10):
        assert project.call(materialize, "ranker", f'{{"n_rounds": {n_rounds}}}').code == 0
    assert project.versions() == before
    kept = project.recsys("gc", "--json").json()  # the current one is the oldest, and two more are kept
    assert kept == {"versions": [], "bytes": 0, "swept": []}
    freed = project.recsys("gc", "--keep-last", "0", "--json").json()
    assert len(freed["versions"]) == 2
    assert all(one.startswith("ranker/") for one in freed["versions"])
    assert freed["bytes"] > 0
    assert project.versions() == before
    assert project.plan() == {}
    assert project.recsys("recommend", "--user", "1").code == 0
    assert "Removed 0 versions (0.0 MB)" in project.recsys("gc").out
