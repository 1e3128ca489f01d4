"""The site as a browser shows it."""

import pytest


def test_the_browser_sees_what_is_wrong_with_a_page(visit, tmp_path):
    (tmp_path / "good.html").write_text("<h1>Good</h1><script>console.log('fine')</script>")
    (tmp_path / "bad.html").write_text(
        "<img src='missing.png'><script>console.error('oh'); nothing.here()</script>"
        "<img src='https://example.org/map.png'>"
    )
    with visit((tmp_path / "good.html").as_uri()) as opened:
        assert opened.problems == []
    with visit((tmp_path / "bad.html").as_uri()) as opened:
        kinds = {problem.split(":")[0] for problem in opened.problems}
    assert kinds == {"console", "script", "failed", "outside"}
    assert len([problem for problem in opened.problems if problem.startswith("outside")]) == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_opens_from_a_server_and_from_disk(visit, address, site_folder, theme):
    name = "book/intro.html"
    for place in (address + name,):
        with visit(place, width=390, theme=theme) as opened:
            assert opened.problems == []
            assert opened.page.evaluate("innerWidth") == 390
            assert opened.page.get_attribute("html", "data-theme") == theme
