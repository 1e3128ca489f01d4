// How much a block helps, as far as the first so many seeds can tell: dots, mean and interval.
"use strict";

/** The mean of some differences, and its 95 % interval by Student's t. */
cbamTouch.interval = (values) => {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const half = cbamTouch.data.seeds.quantiles[n - 2] * Math.sqrt(squares / (n - 1) / n);
  return { mean, low: mean - half, high: mean + half };
};

cbamTouch.widgets.seeds = (place) => {
  const { element, slider, choice, interval } = cbamTouch;
  const { networks } = cbamTouch.data.seeds;
  const [HEIGHT, BASE] = [200, 150];
  let network = networks.find(({ name }) => name.includes("second try"));
  let [block] = network.blocks;
  let count = 5;

  const signed = (number, digits = 2) =>
    `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(digits)}`;
  const part = (tag, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  const answer = element("p", { "aria-live": "polite" });
  const about = element("p");
  const figure = part("svg", { role: "img" });

  function draw(values, { mean, low, high }) {
    // One axis for all blocks and seeds of a network, so that the interval is seen to change.
    const all = network.blocks.flatMap(({ differences }) => differences);
    const [least, most] = [Math.floor(Math.min(...all)) - 1, Math.ceil(Math.max(...all)) + 1];
    const width = Math.min(640, place.clientWidth - 34);
    const x = (points) => 20 + ((points - least) / (most - least)) * (width - 40);
    const inside = (points) => x(Math.min(most, Math.max(least, points)));
    const step = most - least > 12 ? 5 : 2;
    const text = (at, y, words) => part("text", { x: at, y, "text-anchor": "middle" }, words);

    const parts = [];
    for (let tick = Math.ceil(least / step) * step; tick <= most; tick += step) {
      const line = { x1: x(tick), x2: x(tick), y1: 10, y2: BASE };
      parts.push(part("line", { ...line, class: tick ? "touch-gridline" : "touch-zero" }),
        text(x(tick), BASE + 20, tick ? signed(tick, 0) : "0"));
    }
    parts.push(text(width / 2, HEIGHT - 6, "percentage points above the network without"));
    const ends = { x1: inside(low), x2: inside(high), y1: 35, y2: 35 };
    parts.push(part("line", { ...ends, class: "touch-interval" }));
    if (low < least) parts.push(text(x(least) - 6, 40, "◀"));
    if (high > most) parts.push(text(x(most) + 6, 40, "▶"));
    parts.push(part("circle", { class: "touch-mean", cx: x(mean), cy: 35, r: 7 }));
    values.forEach((value, n) => parts.push(part("circle",
      { class: "touch-dot", cx: x(value), cy: 60 + (80 * n) / values.length, r: 4 },
      part("title", {}, `seed ${block.seeds[n]}: ${signed(value)}`))));
    figure.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    figure.replaceChildren(...parts);
  }

  function update() {
    const values = block.differences.slice(0, count);
    const found = interval(values);
    const zero = found.low > 0 || found.high < 0 ? "does not contain" : "contains";
    answer.textContent = `${block.name}, seeds ${block.seeds[0]} to ${block.seeds[count - 1]}: `
      + `mean ${signed(found.mean)} points, 95 % interval ${signed(found.low)} to `
      + `${signed(found.high)}, which ${zero} zero.`;
    figure.setAttribute("aria-label", answer.textContent);
    draw(values, found);
    const { train, epochs, test, accuracy } = network;
    about.textContent = `Trained on ${train.toLocaleString("en")} images of CIFAR-10 for ${epochs} `
      + `epochs; the network without gets ${accuracy} % of ${test.toLocaleString("en")} test `
      + "images right on average. The interval is not corrected for looking at several blocks.";
  }

  const names = (list) => list.map(({ name }) => name);
  const seeds = slider("seeds", [2, 15, 1, count], 0, (now) => { count = now; update(); });
  const blocks = choice("block or control", [], (index) => {
    block = network.blocks[index];
    seeds.range.max = block.seeds.length;
    count = Math.min(count, block.seeds.length);
    seeds.set(count);
    update();
  });
  const which = choice("network", names(networks), (index) => {
    network = networks[index];
    blocks.fill(names(network.blocks));
    blocks.select.dispatchEvent(new Event("change"));
  });
  which.select.selectedIndex = networks.indexOf(network);
  which.select.dispatchEvent(new Event("change"));
  return element("div", { class: "touch-panel" },
    element("div", { class: "touch-row" }, which.label, blocks.label, seeds.label),
    answer, figure, about);
};
