// The shapes network in plain JavaScript: 3x3 convolutions, ReLU, and a CBAM after each stage.
//
// A feature map is a Float32Array of [channels, size, size]. BatchNorm is folded into the
// convolutions; the weights are 16-bit integers, times one scale for each tensor.
"use strict";

(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const sigmoid = (score) => 1 / (1 + Math.exp(-score));
  const relu = (x) => x.map((value) => Math.max(0, value));
  const sum = (x) => x.reduce((a, b) => a + b, 0);

  /** The channels of a feature map, one array each. */
  function planes(x, channels) {
    const area = x.length / channels;
    return Array.from({ length: channels }, (_, c) => x.subarray(c * area, (c + 1) * area));
  }

  /** Convolve with zero padding, so that the size stays; weight [out, in, k, k], bias [out]. */
  function convolve(x, size, { shape: [outs, ins, k], values }, bias) {
    const output = new Float32Array(outs * size * size);
    const inputs = planes(x, ins);
    const half = (k - 1) / 2;
    planes(output, outs).forEach((plane, o) => {
      if (bias) plane.fill(bias.values[o]);
      inputs.forEach((input, i) => {
        for (let a = 0; a < k * k; a++) {
          const weight = values[(o * ins + i) * k * k + a];
          addShifted(plane, input, size, weight, Math.floor(a / k) - half, (a % k) - half);
        }
      });
    });
    return output;
  }

  /** plane[y, x] += weight * input[y + down, x + right], where that is inside. */
  function addShifted(plane, input, size, weight, down, right) {
    const last = Math.min(size, size - right);
    for (let y = Math.max(0, -down); y < Math.min(size, size - down); y++) {
      const from = (y + down) * size + right;
      for (let x = Math.max(0, -right); x < last; x++) {
        plane[y * size + x] += weight * input[from + x];
      }
    }
  }

  /** Halve the size: the largest of each two by two positions. */
  function maxPool(x, size) {
    return Float32Array.from({ length: x.length / 4 }, (_, n) => {
      const row = Math.floor(n / (size / 2));
      const first = 2 * row * size + 2 * (n % (size / 2));
      return Math.max(x[first], x[first + 1], x[first + size], x[first + size + 1]);
    });
  }

  /** weight [out, in] times x [in]. */
  function linear({ shape, values }, x) {
    return planes(values, shape[0]).map((row) => sum(x.map((value, i) => value * row[i])));
  }

  /** M_c = sigmoid(MLP(averages) + MLP(maxima)): one weight for each channel. */
  function channelMap(x, channels, first, second) {
    const mlp = (pooled) => linear(second, relu(linear(first, pooled)));
    const averages = mlp(planes(x, channels).map((plane) => sum(plane) / plane.length));
    const maxima = mlp(planes(x, channels).map((plane) => Math.max(...plane)));
    return averages.map((score, c) => sigmoid(score + maxima[c]));
  }

  /** M_s = sigmoid(conv7x7([average; maximum] over the channels)): one for each position. */
  function spatialMap(x, channels, size, weight) {
    const all = planes(x, channels);
    const pooled = new Float32Array(2 * size * size);
    all[0].forEach((_, p) => {
      const values = all.map((plane) => plane[p]);
      pooled[p] = sum(values) / channels;
      pooled[size * size + p] = Math.max(...values);
    });
    return convolve(pooled, size, weight).map(sigmoid);
  }

  function softmax(scores) {
    const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
    return powers.map((power) => power / sum(powers));
  }

  function readTensors({ tensors, weights }) {
    const integers = new Int16Array(bytes(weights).buffer);
    let start = 0;
    return Object.fromEntries(tensors.map(([name, shape, scale]) => {
      const end = start + shape.reduce((a, b) => a * b);
      const values = Float32Array.from(integers.subarray(start, end), (value) => value * scale);
      start = end;
      return [name, { shape, values }];
    }));
  }

  /**
   * Make the network from its data: `scenes` (32 * 32 * 3 bytes each) and `run(pixels, held)`.
   *
   * `held` has an entry for each block: `channel: true` or `spatial: true` sets that gate's map to
   * 1, and `weights: {5: 0.2}` sets single channel weights. All other maps are computed from what
   * reaches them. `run` gives the `probabilities` and, for each block, its `size` and the maps
   * that were used, `channel` and `spatial`.
   */
  cbamTouch.network = (data) => {
    const tensors = readTensors(data);

    function normalized(image) {
      const area = data.size ** 2;
      return Float32Array.from({ length: 3 * area }, (_, n) => {
        const color = Math.floor(n / area);
        return (image[(n % area) * 3 + color] / 255 - data.mean[color]) / data.std[color];
      });
    }

    function stage(x, b, size, held = {}) {
      const get = (name) => tensors[`${b}.${name}`];
      for (const layer of ["first", "second"]) {
        x = relu(convolve(x, size, get(`${layer}.weight`), get(`${layer}.bias`)));
      }
      const channels = get("second.bias").values.length;
      const channel = held.channel
        ? Array(channels).fill(1)
        : channelMap(x, channels, get("mlp1"), get("mlp2"));
      Object.assign(channel, held.weights);
      const once = x.map((value, n) => value * channel[Math.floor(n / size ** 2)]);
      const spatial = held.spatial
        ? new Float32Array(size ** 2).fill(1)
        : spatialMap(once, channels, size, get("spatial"));
      return { size, channel, spatial, refined: once.map((v, n) => v * spatial[n % size ** 2]) };
    }

    function run(image, held = []) {
      let x = normalized(image);
      const blocks = [];
      for (let b = 0; b < data.blocks; b++) {
        const size = data.size / 2 ** b;
        blocks.push(stage(b ? maxPool(x, 2 * size) : x, b, size, held[b]));
        x = blocks[b].refined;
      }
      const { shape } = tensors["classifier.weight"];
      const pooled = planes(x, shape[1]).map((plane) => sum(plane) / plane.length);
      const bias = tensors["classifier.bias"].values;
      const scores = linear(tensors["classifier.weight"], pooled);
      return { blocks, probabilities: softmax(scores.map((score, k) => score + bias[k])) };
    }

    return { scenes: planes(bytes(data.scenes), data.labels.length), run };
  };
})();
