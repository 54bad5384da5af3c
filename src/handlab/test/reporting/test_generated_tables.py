"""Tables of the pages."""

import pytest

from handlab.reporting import generated_tables
from handlab_core.system.paths import share


@pytest.mark.parametrize("page", generated_tables.PAGES)
def test_the_figures_of_a_page_are_those_of_the_results(page):
    text = (share() / page).read_text()
    assert (
        generated_tables.filled(page, text, generated_tables.read_results(share() / "results"))
        == text
    )
