"""Settings of a search are checked where they are made."""

import pytest

from handlab.teaching.search_config import SearchConfig
from handlab_core.errors import BadConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("generations", 0), ("poses", 1), ("population", 0), ("seed", -1), ("replay_weight", -1.0),
        ("noise", float("nan")), ("spread", 0.0),
    ],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_refused_by_name(setting, value):
    with pytest.raises(BadConfig, match=setting):
        SearchConfig(**{setting: value})
