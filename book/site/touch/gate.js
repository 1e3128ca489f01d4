// A gate to touch: an image, the maps of three CBAMs, the answer, and gates that may be held open.
"use strict";

cbamTouch.widgets.gate = () => {
  const { element, slider, choice, button } = cbamTouch;
  const data = cbamTouch.data.network;
  const network = cbamTouch.network(data);
  const { size, classes } = data;
  const held = Array.from({ length: data.blocks }, () => ({}));
  let [pixels, truth, untouched, waiting] = [];

  const percent = (share) => `${Math.round(100 * share)} %`;
  const range = (map) => `${Math.min(...map).toFixed(2)} to ${Math.max(...map).toFixed(2)}`;
  const pixel = (image, n) => image.slice(3 * n, 3 * n + 3);
  const colors = data.colormap.map((text) =>
    [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16)));

  /** The color of a weight from 0 to 1, between two colors of the figures' palette. */
  function mapColor(weight) {
    const low = Math.min(Math.floor(weight * (colors.length - 1)), colors.length - 2);
    const rest = weight * (colors.length - 1) - low;
    return colors[low].map((value, c) => value + rest * (colors[low + 1][c] - value));
  }

  function paint(canvas, color) {
    canvas.width = canvas.height = size;
    const image = new ImageData(size, size);
    for (let n = 0; n < size ** 2; n++) image.data.set([...color(n), 255], 4 * n);
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // The images.

  const shown = element("canvas", { class: "touch-image", role: "img" });
  const scenes = network.scenes.map((scene, n) => {
    const canvas = element("canvas");
    paint(canvas, (p) => pixel(scene, p));
    const made = button(canvas, () => show(scene, classes[data.labels[n]], made));
    made.setAttribute("aria-label", `image ${n + 1}: ${classes[data.labels[n]]}`);
    return made;
  });

  function show(image, label, chosen) {
    [pixels, truth] = [image, label];
    for (const scene of scenes) scene.setAttribute("aria-pressed", scene === chosen);
    paint(shown, (n) => pixel(image, n));
    shown.setAttribute("aria-label", label ? `A drawn scene with one ${label}.` : "Your image.");
    untouched = network.run(image).probabilities;
    update();
  }

  /** The middle of somebody's image, scaled to the network's size; it stays on this page. */
  async function read(file) {
    try {
      const image = await createImageBitmap(file);
      const side = Math.min(image.width, image.height);
      const corner = [(image.width - side) / 2, (image.height - side) / 2];
      const brush = element("canvas", { width: size, height: size }).getContext("2d");
      brush.imageSmoothingQuality = "high";
      brush.drawImage(image, ...corner, side, side, 0, 0, size, size);
      const colored = brush.getImageData(0, 0, size, size).data;
      show(colored.filter((_, n) => n % 4 < 3));
    } catch {
      answer.textContent = `${file.name} is no image that this browser reads; choose a PNG or JPEG.`;
    }
  }

  // The answer.

  const answer = element("p", { class: "touch-answer", "aria-live": "polite" });
  const rows = classes.map((name) => {
    const [bar, mark] = ["bar", "mark"].map((kind) => element("span", { class: `touch-${kind}` }));
    const value = element("td");
    const track = element("td", {}, element("span", { class: "touch-track" }, bar, mark));
    const row = element("tr", {}, element("th", { scope: "row" }, name), track, value);
    return { row, bar, mark, value };
  });
  const bars = element("table", { class: "touch-bars" },
    element("caption", {}, "Probability of each class; a line marks it with all gates let go."),
    element("tbody", {}, ...rows.map(({ row }) => row)));

  function tell(probabilities) {
    rows.forEach(({ bar, mark, value }, k) => {
      bar.style.width = `${100 * probabilities[k]}%`;
      mark.style.left = `${100 * untouched[k]}%`;
      value.textContent = percent(probabilities[k]);
    });
    const say = (shares) => {
      const largest = Math.max(...shares);
      return `${classes[shares.indexOf(largest)]}, ${percent(largest)}`;
    };
    const changed = probabilities.some((p, k) => Math.abs(p - untouched[k]) > 0.005);
    answer.replaceChildren(
      "The network says: ", element("strong", {}, say(probabilities)), ". ",
      changed ? `With all gates let go: ${say(untouched)}. ` : "",
      truth ? `Drawn is: ${truth}.` : "It knows ten drawn shapes, and has to name one of them.",
    );
  }

  // The blocks.

  const blocks = held.map((block, b) => {
    const channels = data.tensors.find(([name]) => name === `${b}.mlp1`)[1][1];
    const names = Array.from({ length: channels }, (_, c) => `channel ${c}`);
    const columns = names.map((_, c) =>
      element("span", { click: () => choose(c) }, element("i")));
    const weights = element("div", { class: "touch-weights", role: "img" }, ...columns);
    const map = element("canvas", { class: "touch-map", role: "img" });
    const about = element("p");
    const [channelGate, spatialGate] = ["channel", "spatial"].map((gate) => {
      const change = () => { block[gate] = box.checked; update(); };
      const box = element("input", { type: "checkbox", change });
      const set = (open) => { box.checked = block[gate] = open; };
      const text = ` hold the ${gate} gate open`;
      return { set, label: element("label", { class: "touch-check" }, box, text) };
    });

    const turn = slider("its weight", [0, 1, 0.01, 0], 2, (weight) => {
      block.weights = { [pick.select.selectedIndex - 1]: weight };
      update();
    });
    const pick = choice("turn", ["no channel", ...names], (index) => choose(index - 1));
    function choose(c) {
      pick.select.selectedIndex = c + 1;
      turn.label.hidden = c < 0;
      block.weights = {};
      if (c >= 0) turn.set(network.run(pixels, held).blocks[b].channel[c]);
      update();
    }
    turn.label.hidden = true;

    function draw({ channel, spatial, size: side }) {
      columns.forEach((column, c) => {
        column.firstChild.style.height = `${100 * channel[c]}%`;
        column.classList.toggle("touch-turned", c === pick.select.selectedIndex - 1);
      });
      weights.setAttribute("aria-label", `${channels} channel weights, ${range(channel)}`);
      paint(map, (n) => {
        const [y, x] = [Math.floor(n / size), n % size].map((at) => Math.floor(at * side / size));
        const gray = pixel(pixels, n).reduce((a, value) => a + value / 3, 0);
        return mapColor(spatial[y * side + x]).map((value) => 0.75 * value + 0.25 * gray);
      });
      about.textContent = `spatial map, ${side} × ${side}: ${range(spatial)}`;
      map.setAttribute("aria-label", `The ${about.textContent}, over the image`);
    }

    function hold(open) {
      channelGate.set(open);
      spatialGate.set(open);
      choose(-1);
    }

    const card = element("fieldset", { class: "touch-block" },
      element("legend", {}, `Block ${b + 1}`),
      element("p", {}, `${channels} channel weights, 0 to 1`), weights,
      channelGate.label, pick.label, turn.label, about, map, spatialGate.label);
    return { card, draw, hold };
  });

  function update() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const found = network.run(pixels, held);
      blocks.forEach(({ draw }, b) => draw(found.blocks[b]));
      tell(found.probabilities);
    });
  }

  const all = (open) => () => blocks.forEach(({ hold }) => hold(open));
  const change = ({ target }) => target.files.length && read(target.files[0]);
  const own = element("input", { type: "file", accept: "image/*", change });
  const style = `background: linear-gradient(to right, ${data.colormap})`;
  const drop = (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
  };
  show(network.scenes[0], classes[data.labels[0]], scenes[0]);
  return element("div", { class: "touch-panel", drop, dragover: (e) => e.preventDefault() },
    element("div", { class: "touch-row", role: "group", "aria-label": "images" }, ...scenes),
    element("label", {}, "or an image of your own ", own), answer,
    element("div", { class: "touch-top" }, shown, bars),
    element("div", { class: "touch-row" }, button("hold every gate open", all(true)),
      button("let every gate go", all(false)),
      element("span", {}, "map: 0 ", element("span", { class: "touch-key", style }), " 1")),
    element("div", { class: "touch-blocks" }, ...blocks.map(({ card }) => card)));
};
