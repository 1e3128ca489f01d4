// Things to touch: finds their places on a page, and loads each one's code when it comes near.
//
// A place is <div class="cbam-touch" data-widget="gate">; what stands in it is for readers without
// scripts. All files are plain scripts, data too: a page opened from disk may not fetch anything.
"use strict";

window.cbamTouch = { data: {}, widgets: {} };

(() => {
  const folder = new URL(".", document.currentScript.src);
  const FILES = {
    gate: ["network.js", "network-data.js", "gate.js"],
    pools: ["toys.js"],
    order: ["toys.js"],
    seeds: ["seeds-data.js", "seeds.js"],
  };
  const loaded = {};

  /** Make an element; functions among the attributes become listeners, false leaves one out. */
  const element = cbamTouch.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };

  cbamTouch.button = (text, click) => element("button", { type: "button", click }, text);

  /** Make a slider with its label; `heard(value)` hears of every change. */
  cbamTouch.slider = (text, [min, max, step, value], digits, heard) => {
    const output = element("output");
    const show = () => { output.textContent = Number(range.value).toFixed(digits); };
    const input = () => { show(); heard(Number(range.value)); };
    const range = element("input", { type: "range", min, max, step, value, input });
    const label = element("label", { class: "touch-slider" },
      element("span", {}, text), range, output);
    show();
    return { label, range, set: (number) => { range.value = number; show(); } };
  };

  /** Make a choice of names with its label; `heard(index)` hears of every change. */
  cbamTouch.choice = (text, names, heard) => {
    const select = element("select", { change: () => heard(select.selectedIndex) });
    const fill = (list) => select.replaceChildren(...list.map((n) => element("option", {}, n)));
    fill(names);
    return { label: element("label", { class: "touch-choice" }, text, select), select, fill };
  };

  const load = (name) => loaded[name] ??= new Promise((resolve, reject) => {
    const href = new URL(name, folder);
    const made = name.endsWith(".css")
      ? element("link", { rel: "stylesheet", href })
      : element("script", { src: href });
    made.onload = resolve;
    made.onerror = () => reject(new Error(`${name} does not load`));
    document.head.append(made);
  });

  async function start(place) {
    const { widget } = place.dataset;
    await Promise.all([...FILES[widget], "touch.css"].map(load));
    place.replaceChildren(cbamTouch.widgets[widget](place));
    place.dataset.ready = "";
  }

  const observer = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
      observer.unobserve(target);
      start(target);
    }
  }, { rootMargin: "300px" });
  for (const place of document.querySelectorAll(".cbam-touch")) observer.observe(place);
})();
