// The toys of the chapters, with sliders for their numbers.
"use strict";

(() => {
  const { element, slider, button } = cbamTouch;

  /**
   * Sliders for the numbers of `values`, one group for each row, which call `update`.
   *
   * Returns the groups, and a button that sets all numbers back.
   */
  function sliders(values, titles, names, range, digits, update) {
    const start = structuredClone(values);
    const made = values.map((row, r) => row.map((value, n) =>
      slider(names[n], [...range, value], digits, (now) => { row[n] = now; update(); })));
    const back = () => {
      made.flat().forEach((one, k) => one.set(start.flat()[k]));
      values.forEach((row, r) => row.splice(0, row.length, ...start[r]));
      update();
    };
    const groups = made.map((row, r) => element("fieldset", { class: "touch-block" },
      element("legend", {}, titles[r]), ...row.map(({ label }) => label)));
    return [element("div", { class: "touch-blocks" }, ...groups),
      element("div", { class: "touch-row" }, button("back to the chapter's numbers", back))];
  }

  /** Channel attention: averages and maxima, one hidden unit, and two weights. */
  cbamTouch.widgets.pools = () => {
    const values = [[1, 1], [1, 4]];
    const names = ["channel 0", "channel 1"];
    const answer = element("p", { "aria-live": "polite" });
    const bars = names.map(() => element("span", { class: "touch-bar touch-channel" }));
    const sigmoid = (score) => 1 / (1 + Math.exp(-score));
    const text = (number) => String(number).replace("-", "−");

    // W_2 ReLU(W_1 z) for each of the two, with W_1 = (-1, 1) and W_2 = (-1, 1).
    function update() {
      const [average, maximum] = values.map(([z0, z1]) => Math.max(0, z1 - z0));
      const score = average + maximum;
      const weights = [sigmoid(-score), sigmoid(score)];
      bars.forEach((bar, c) => { bar.style.width = `${100 * weights[c]}%`; });
      const [w0, w1] = weights.map((weight) => weight.toFixed(3));
      answer.textContent = `The hidden unit gives ${average} for the averages and ${maximum} for `
        + `the maxima. The scores are ${text(-score)} and ${score}, the weights ${w0} and ${w1}.`;
    }

    const rows = names.map((name, c) => element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, element("span", { class: "touch-track" }, bars[c]))));
    const made = sliders(values, ["averages", "maxima"], names, [0, 6, 0.5], 1, update);
    update();
    return element("div", { class: "touch-panel" }, ...made, answer,
      element("table", { class: "touch-bars" }, element("tbody", {}, ...rows)));
  };

  /** Which number survives two blunt rules, in three arrangements. */
  cbamTouch.widgets.order = () => {
    const x = [[4, 4, 4, 6], [8, 0, 0, 0]];
    const where = ["top left", "top right", "bottom left", "bottom right"];
    const mean = (numbers) => numbers.reduce((a, b) => a + b) / numbers.length;
    const ofLargest = (numbers) => numbers.map((n) => Number(n === Math.max(...numbers)));

    // 1 for the channel, or the position, with the largest average; 0 for the others.
    const channelRule = (f) => ofLargest(f.map(mean));
    const positionRule = (f) => ofLargest(where.map((_, p) => mean(f.map((plane) => plane[p]))));
    const weigh = (f, channel, position) =>
      f.map((plane, c) => plane.map((n, p) => n * channel[c] * position[p]));

    const arrangements = {
      "channel first": () => {
        const channel = channelRule(x);
        return [channel, positionRule(weigh(x, channel, [1, 1, 1, 1]))];
      },
      "position first": () => {
        const position = positionRule(x);
        return [channelRule(weigh(x, [1, 1], position)), position];
      },
      "both from F": () => [channelRule(x), positionRule(x)],
    };

    const answer = element("p", { "aria-live": "polite" });
    const grids = Object.entries(arrangements).map(([name, rules]) => {
      const cells = x.map((plane) => plane.map(() => element("td")));
      const tables = cells.map((cell, c) => element("table", { class: "touch-grid" },
        element("caption", {}, `channel ${c}`), element("tbody", {},
          element("tr", {}, cell[0], cell[1]), element("tr", {}, cell[2], cell[3]))));
      const card = element("div", { class: "touch-block" }, element("p", {}, name),
        element("div", { class: "touch-row" }, ...tables));
      return { name, rules, cells, card };
    });

    function update() {
      const found = grids.map(({ name, rules, cells }) => {
        const [channel, position] = rules();
        cells.forEach((plane, c) => plane.forEach((cell, p) => {
          cell.textContent = x[c][p];
          cell.classList.toggle("touch-kept", channel[c] * position[p] === 1);
        }));
        return `${Math.max(...weigh(x, channel, position).flat())} (${name})`;
      });
      answer.textContent = `What survives: ${found.join(", ")}.`;
    }

    const titles = ["channel 0 of F", "channel 1 of F"];
    const made = sliders(x, titles, where, [0, 9, 1], 0, update);
    update();
    return element("div", { class: "touch-panel" }, ...made, answer,
      element("div", { class: "touch-blocks" }, ...grids.map(({ card }) => card)));
  };
})();
