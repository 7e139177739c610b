import pytest

import curate
from curate.errors import UserError
from curate.workspace import Workspace


def test_functions_give_tables_again_and_again(demo_copy):
    folder = demo_copy / "train"
    files = curate.scan(folder, workers=1)
    assert curate.scan(folder, workers=1).equals(files)
    duplicates = curate.dedup(folder, workers=1)
    assert set(duplicates.path) <= set(files.path)
    assert Workspace.find(folder) is not None


def test_an_unknown_setting_is_named(demo_copy):
    with pytest.raises(UserError, match="there is no setting 'threshhold'"):
        curate.dedup(demo_copy / "train", threshhold=1)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'scann'"):
        curate.scann  # noqa: B018
