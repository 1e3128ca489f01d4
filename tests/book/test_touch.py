"""The things to touch: their data, their numbers, and how they answer mouse, keyboard and finger.

Most tests open a page of their own from disk, with one thing on it below a tall empty space.
"""

import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from cbam_course import data, plotting, records, seeing
from tests.support import browser as browsers
from tests.support.project import ROOT
from tests.tools import touch_data

TOUCH = ROOT / "book" / "site" / "touch"
PAGES = {
    "book/intro.html": "gate",
    "notebooks/03_channel_attention.html": "pools",
    "notebooks/05_cbam.html": "order",
    "notebooks/09_does_it_help.html": "seeds",
    "notebooks/10_seeing_attention.html": "gate",
}
WIDGETS = ("gate", "pools", "order", "seeds")
START = {
    "gate": "The network says: heart, 60 %. Drawn is: heart.",
    "pools": "The hidden unit gives 0 for the averages and 3 for the maxima. "
    "The scores are −3 and 3, the weights 0.047 and 0.953.",
    "order": "What survives: 6 (channel first), 8 (position first), 4 (both from F).",
    "seeds": "CBAM (FC), seeds 5 to 9: mean −0.06 points, "
    "95 % interval −0.98 to +0.86, which contains zero.",
}
# axe-core lays out the whole page, whatever part of it is to be read.
ALONE = """() => {
  let kept = document.querySelector(".cbam-touch");
  for (; kept.tagName !== "ARTICLE"; kept = kept.parentElement) {
    for (const other of [...kept.parentElement.children]) other === kept || other.remove();
  }
}"""
DISC = "The network says: disc, 99 %. With all gates let go: heart, 60 %. Drawn is: heart."


@pytest.mark.parametrize("name", touch_data.FILES)
def test_the_data_are_what_the_command_writes(name):
    written = (TOUCH / f"{name}-data.js").read_text(encoding="utf-8")
    assert written == touch_data.script(name), "run python -m tests.tools.touch_data"


def test_colors_are_those_of_the_figures():
    css = (TOUCH / "touch.css").read_text(encoding="utf-8")
    for name, color in {
        "channel": plotting.CHANNEL_COLOR,
        "spatial": plotting.SPATIAL_COLOR,
        "answer": plotting.COLORS["cbam-fc"],
    }.items():
        assert f"--touch-{name}: {color.lower()};" in css
    colors = {color.lower() for color in plotting.COLORS.values()}
    assert set(re.findall(r"#\w+", css)) <= colors


# The numbers.


@contextmanager
def opened_page(browser, folder, widget="", **options):
    """Open a page with the widget on it, far below the window, in a fresh window."""
    place = f'<div class="cbam-touch" data-widget="{widget}"><p>Still.</p></div>' if widget else ""
    scripts = ["touch.js"] if widget else ["touch.js", "network.js", "seeds.js"]
    scripts += [] if widget else [f"{name}-data.js" for name in touch_data.FILES]
    tags = "".join(f'<script defer src="{(TOUCH / name).as_uri()}"></script>' for name in scripts)
    page = folder / "page.html"
    page.write_text(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Touch</title>"
        f"{tags}</head><body><main><h1>Touch</h1><div style='height: 3000px'></div>{place}"
        "</main></body></html>",
        encoding="utf-8",
    )
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(browsers.PATIENCE)
    try:
        opened = context.new_page()
        opened.goto(page.as_uri())
        yield opened
    finally:
        context.close()


def near(page):
    """Scroll to the widget, and return its place once it is there."""
    place = page.locator(".cbam-touch")
    place.scroll_into_view_if_needed()
    page.wait_for_selector(".cbam-touch[data-ready]")
    return place


def says(place, text):
    """Wait until the widget says `text` aloud."""
    expect(place.locator("[aria-live=polite]")).to_have_text(text, timeout=browsers.PATIENCE)


@pytest.fixture(scope="module")
def scenes():
    """The network, its scenes as a batch, and their maps."""
    run = seeing.shipped_run("shapes")
    x = seeing.image_tensors(data.shapes(), touch_data.SCENES)[0]
    return run.model, x, seeing.read_maps(run.model, x)


def held_gates(maps):
    """Which gates are held: for the script, and as maps for `seeing.predict`."""
    ones = {name: torch.ones_like(values[:1]) for name, values in maps.items()}
    gates = list(maps)
    chosen = [[], gates, gates[::2], gates[1::2], *([gate] for gate in gates)]
    for names in chosen:
        script = [{}, {}, {}]
        for name in names:
            script[int(name.split(".")[1])]["channel" if "channel" in name else "spatial"] = True
        yield script, {name: ones[name] for name in names}
    turned = maps[gates[2]].clone()
    turned[:, 5] = 0.25
    yield [{}, {"weights": {"5": 0.25}}, {}], {gates[2]: turned}


def test_the_script_computes_what_pytorch_computes(browser, tmp_path, scenes):
    model, x, maps = scenes
    cases = list(held_gates(maps))
    with opened_page(browser, tmp_path) as page:
        answers = page.evaluate(
            """cases => {
                const { scenes, run } = cbamTouch.network(cbamTouch.data.network);
                return cases.map((held) => scenes.map((scene) => {
                    const { blocks, probabilities } = run(scene, held);
                    const maps = blocks.flatMap(({ channel, spatial }) =>
                        [Array.from(channel), Array.from(spatial)]);
                    return { maps, probabilities };
                }));
            }""",
            [script for script, _ in cases],
        )
    for (_, replaced), found in zip(cases, answers, strict=True):
        expected = seeing.predict(model, x, replaced).softmax(1)
        probabilities = torch.tensor([each["probabilities"] for each in found])
        torch.testing.assert_close(probabilities, expected, rtol=0, atol=1e-3)
        for position, name in enumerate(maps):
            used = torch.tensor([each["maps"][position] for each in found], dtype=torch.float32)
            # Gates behind one that is held compute other maps than their own.
            if not replaced or name in replaced:
                given = replaced.get(name, maps[name]).expand_as(maps[name])
                torch.testing.assert_close(used, given.flatten(1), rtol=0, atol=1e-3)


def test_what_the_pages_say_of_the_gates(scenes):
    model, x, maps = scenes
    ones = {name: torch.ones_like(values[:1]) for name, values in maps.items()}
    own = seeing.predict(model, x).softmax(1)
    open_two, open_three = "stages.1.attention.channel_attention", list(maps)[-1]
    discs = seeing.predict(model, x, {open_two: ones[open_two]}).argmax(1)
    assert discs.tolist() == [data.SHAPES_CLASSES.index("disc")] * len(x)
    last = seeing.predict(model, x, {open_three: ones[open_three]}).softmax(1)
    assert (last - own).abs().max() <= 0.01
    record = seeing.shipped_record("shapes")
    said = (record.data["train"], record.data["test"], round(100 * record.final["test_accuracy"]))
    assert said == (4000, 1000, 81)


def test_intervals_are_those_of_the_records(browser, tmp_path):
    with opened_page(browser, tmp_path) as page:
        networks = page.evaluate(
            """() => cbamTouch.data.seeds.networks.map(({ blocks }) =>
                blocks.map(({ differences }) => differences.slice(1).map((_, n) => {
                    const { mean, low, high } = cbamTouch.interval(differences.slice(0, n + 2));
                    return [mean, low, high];
                })))"""
        )
    shipped = touch_data.seeds()["networks"]
    for network, blocks in zip(shipped, networks, strict=True):
        for block, found in zip(network["blocks"], blocks, strict=True):
            for n, interval in enumerate(found, 2):
                expected = records.mean_interval(block["differences"][:n])
                if np.ptp(block["differences"][:n]):
                    np.testing.assert_allclose(interval, expected, rtol=0, atol=1e-3)
    by_name = {network["name"]: network["blocks"] for network in shipped}
    columns = ["difference", "difference_low", "difference_high"]
    for name, experiment, variants in (
        ("the tutorial's network", records.largest("blocks"), {"ECA": "ECA", "SE": "SE"}),
        ("ResNet-20", records.largest("order"), {"CBAM, in parallel": "in parallel"}),
        ("a wide ResNet-20", records.largest("backbone"), {"CBAM": "wide + CBAM"}),
        (
            "ResNet-20, a second try with fresh seeds",
            "small-replication",
            {"CBAM (FC)": "CBAM (FC)", "ECA, k = 3": "ECA, k = 3"},
        ),
    ):
        summary = records.summary(records.table(experiment))
        names = [block["name"] for block in by_name[name]]
        for block, variant in variants.items():
            found = networks[list(by_name).index(name)][names.index(block)][-1]
            expected = summary.loc[variant, columns].astype(float)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


# What a reader does.


@pytest.mark.parametrize("widget", WIDGETS)
def test_nothing_is_loaded_until_the_reader_is_near(browser, tmp_path, widget):
    with opened_page(browser, tmp_path, widget) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        assert page.locator(".cbam-touch").inner_text() == "Still."
        assert page.locator("script, link[rel=stylesheet]").count() == 1
        place = near(page)
        says(place, START[widget])
        assert {url.rpartition("/")[0] for url in asked} == {TOUCH.as_uri()}


@pytest.mark.parametrize("how", ["mouse", "finger"])
def test_gates_by_mouse_and_finger(browser, tmp_path, how):
    options = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 800}}
    with opened_page(browser, tmp_path, "gate", **(options if how == "finger" else {})) as page:
        place = near(page)

        def press(found):
            found.tap() if how == "finger" else found.click()

        second = place.get_by_role("group", name="Block 2")
        gate = second.get_by_label("hold the channel gate open")
        press(gate)
        says(place, DISC)
        press(gate)
        says(place, START["gate"])
        press(place.get_by_role("button", name="hold every gate open"))
        says(place, DISC.replace("99", "100"))
        press(place.get_by_role("button", name="image 4: ring"))
        says(
            place,
            "The network says: disc, 100 %. With all gates let go: ring, 96 %. Drawn is: ring.",
        )
        press(place.get_by_role("button", name="let every gate go"))
        says(place, "The network says: ring, 96 %. Drawn is: ring.")
        press(second.locator(".touch-weights span").nth(3))
        assert second.get_by_label("turn").input_value() == "channel 3"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_gates_by_keyboard(browser, tmp_path, scenes):
    model, x, maps = scenes
    name = "stages.1.attention.channel_attention"
    turned = maps[name].clone()
    turned[:, 0] = 0.0
    expected = seeing.predict(model, x, {name: turned}).softmax(1)[0]
    with opened_page(browser, tmp_path, "gate") as page:
        place = near(page)
        second = place.get_by_role("group", name="Block 2")
        gate = second.get_by_label("hold the channel gate open").element_handle()
        for _ in range(40):
            page.keyboard.press("Tab")
            if gate.evaluate("box => box === document.activeElement"):
                break
        page.keyboard.press("Space")
        says(place, DISC)
        page.keyboard.press("Space")
        says(place, START["gate"])
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        assert second.get_by_label("turn").input_value() == "channel 0"
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        assert second.get_by_label("its weight").input_value() == "0"
        best = f"{data.SHAPES_CLASSES[expected.argmax()]}, {100 * expected.max():.0f} %"
        says(
            place,
            f"The network says: {best}. With all gates let go: heart, 60 %. Drawn is: heart.",
        )


def test_an_image_of_ones_own(browser, tmp_path, scenes):
    model, x, _ = scenes
    answer = seeing.predict(model, x).softmax(1)[3]
    image = Image.fromarray(data.shapes().x_test[3])
    image.resize((320, 320), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    image.save(tmp_path / "ring.png")
    (tmp_path / "notes.txt").write_text("No image.")
    with opened_page(browser, tmp_path, "gate") as page:
        place = near(page)
        own = place.get_by_label("an image of your own")
        own.set_input_files(tmp_path / "ring.png")
        knows = "It knows ten drawn shapes, and has to name one of them."
        says(place, f"The network says: ring, {100 * answer[1]:.0f} %. {knows}")
        own.set_input_files(tmp_path / "notes.txt")
        says(place, "notes.txt is no image that this browser reads; choose a PNG or JPEG.")
        own.set_input_files(tmp_path / "large.png")
        says(place, re.compile("^The network says: ring, "))
        place.evaluate(
            """async (place) => {
                const star = place.querySelectorAll("button canvas")[2];
                const blob = await new Promise((resolve) => star.toBlob(resolve));
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([blob], "star.png", { type: "image/png" }));
                place.firstChild.dispatchEvent(new DragEvent("drop", { dataTransfer }));
            }"""
        )
        says(place, re.compile("^The network says: star, "))


def move(place, group, label, value):
    """Move a slider of a group with the keyboard, one step after the other."""
    slider = place.get_by_role("group", name=group).get_by_label(label)
    slider.focus()
    step = float(slider.get_attribute("step"))
    steps = round((value - float(slider.input_value())) / step)
    for _ in range(abs(steps)):
        slider.press("ArrowRight" if steps > 0 else "ArrowLeft")


def test_the_toy_of_the_pools(browser, tmp_path):
    with opened_page(browser, tmp_path, "pools") as page:
        place = near(page)
        move(place, "averages", "channel 0", 3)
        move(place, "maxima", "channel 0", 4)
        move(place, "maxima", "channel 1", 5)  # the chapter's second example
        says(
            place,
            "The hidden unit gives 0 for the averages and 1 for the maxima. "
            "The scores are −1 and 1, the weights 0.269 and 0.731.",
        )
        place.get_by_role("button").click()
        says(place, START["pools"])


def test_the_toy_of_the_order(browser, tmp_path):
    with opened_page(browser, tmp_path, "order") as page:
        place = near(page)
        move(place, "channel 1 of F", "top left", 1)
        says(place, "What survives: 6 (channel first), 6 (position first), 6 (both from F).")
        assert place.locator(".touch-kept").all_inner_texts() == ["6"] * 3
        place.get_by_role("button").click()
        says(place, START["order"])


def test_the_seeds(browser, tmp_path):
    with opened_page(browser, tmp_path, "seeds") as page:
        place = near(page)
        seeds = place.get_by_role("slider", name="seeds")
        network, block = (place.get_by_role("combobox", name=n) for n in ("network", "block"))
        seeds.press("End")
        says(
            place,
            "CBAM (FC), seeds 5 to 19: mean +1.43 points, "
            "95 % interval +0.47 to +2.38, which does not contain zero.",
        )
        assert place.locator(".touch-dot").count() == 15
        block.select_option("ECA, k = 3")
        says(
            place,
            "ECA, k = 3, seeds 5 to 19: mean +0.48 points, "
            "95 % interval −0.74 to +1.70, which contains zero.",
        )
        network.select_option("a network without shortcuts")
        says(
            place,
            "CBAM, seeds 0 to 4: mean −2.25 points, "
            "95 % interval −2.71 to −1.79, which does not contain zero.",
        )
        assert seeds.get_attribute("max") == "5"


# On the site.


@pytest.fixture(scope="module")
def phone(browser):
    """One narrow window for all pages, which keeps the files that they share."""
    with browsers.visit(browser, "about:blank", width=390) as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_the_site(phone, address, name):
    phone.open(address + name)
    before = [r.url for r in phone.requests if "/touch/" in r.url]
    assert [url.partition("?")[0].rpartition("/")[2] for url in before] == ["touch.js"]
    says(near(phone.page), START[PAGES[name]])
    assert phone.problems == []
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    phone.page.evaluate(ALONE)
    assert browsers.axe(phone.page, ".cbam-touch") == []


def test_other_pages_do_without(site_folder):
    pages = site_folder.rglob("*.html")
    names = {
        path.relative_to(site_folder).as_posix()
        for path in pages
        if "touch/touch.js" in path.read_text(encoding="utf-8")
    }
    assert names == {*PAGES, "index.html"}  # the front door is the first page


def test_without_scripts_there_is_a_sentence_and_a_figure(browser, site_folder):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in PAGES:
        page.goto((site_folder / name).as_uri(), wait_until="domcontentloaded")
        assert "scripts" in page.locator(".cbam-touch p").inner_text(), name
        assert page.locator("article figure img[alt]").count() > 0, name
    context.close()
