// Runs a generator: a list of nodes of few kinds (ppgan_zoo/export/graph.py), one function each.
"use strict";

function erf(x) {
  // Abramowitz and Stegun 7.1.26, to 1.5e-7.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const UNARY = {
  relu: (x) => (x > 0 ? x : 0),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  absolute: Math.abs,
  erf,
};

const BINARY = {
  add: (x, y) => x + y,
  subtract: (x, y) => x - y,
  multiply: (x, y) => x * y,
  divide: (x, y) => x / y,
  maximum: (x, y) => (x > y ? x : y),
  minimum: (x, y) => (x < y ? x : y),
  power: Math.pow,
};

function expanded(x, shape) {
  const rank = Math.max(shape.length, x.shape.length);
  const own = [...new Array(rank - x.shape.length).fill(1), ...x.shape];
  const wanted = [...new Array(rank - shape.length).fill(1), ...shape];
  return picked(x, own.map((side, axis) => Math.max(side, wanted[axis])), stridesOf(x.shape, rank));
}

function sliced(x, { axes, starts, ends, steps }) {
  const shape = [...x.shape];
  const strides = [];
  for (let axis = shape.length - 1, step = 1; axis >= 0; step *= x.shape[axis], axis--) strides[axis] = step;
  let offset = 0;
  axes.forEach((axis, place) => {
    const side = x.shape[axis];
    const step = steps[place];
    const [low, high] = step > 0 ? [0, side] : [-1, side - 1];
    const bound = (end) => Math.min(Math.max(end < 0 ? end + side : end, low), high);
    const start = bound(starts[place]);
    shape[axis] = Math.max(0, Math.ceil((bound(ends[place]) - start) / step));
    offset += start * strides[axis];
    strides[axis] *= step;
  });
  return picked(x, shape, strides, offset);
}

function reshaped(x, shape) {
  const known = shape.reduce((product, side) => (side < 0 ? product : product * side), 1);
  return tensor(shape.map((side) => (side < 0 ? x.data.length / known : side)), x.data);
}

function concatenated(parts, axis) {
  const shape = [...parts[0].shape];
  shape[axis] = parts.reduce((total, part) => total + part.shape[axis], 0);
  const result = tensor(shape);
  const inner = size(shape.slice(axis + 1));
  const outer = size(shape.slice(0, axis));
  let start = 0;
  for (const part of parts) {
    const length = part.shape[axis] * inner;
    for (let row = 0; row < outer; row++) {
      const rows = part.data.subarray(row * length, (row + 1) * length);
      result.data.set(rows, row * shape[axis] * inner + start);
    }
    start += length;
  }
  return result;
}

function softmax(x, axis) {
  const most = reduced(x, [axis], -Infinity, (a, b) => (a > b ? a : b));
  const raised = combined(x, most, (value, top) => Math.exp(value - top));
  return combined(raised, reduced(raised, [axis], 0, (a, b) => a + b), (a, b) => a / b);
}

function rows(weight, labels) {
  const width = size(weight.shape.slice(1));
  const result = tensor([labels.data.length, ...weight.shape.slice(1)]);
  labels.data.forEach((label, row) => {
    result.data.set(weight.data.subarray(label * width, (label + 1) * width), row * width);
  });
  return result;
}

const mean = (x, axes) => {
  const count = axes.reduce((product, axis) => product * x.shape[axis], 1);
  return mapped(reduced(x, axes, 0, (a, b) => a + b), (total) => total / count);
};

// The table: of each kind a function of its inputs and attributes.
const KINDS = {
  ...Object.fromEntries(Object.entries(UNARY).map(([kind, change]) => [kind, ([x]) => mapped(x, change)])),
  ...Object.fromEntries(Object.entries(BINARY).map(([kind, combine]) => [kind, ([x, y]) => combined(x, y, combine)])),
  leaky_relu: ([x], { alpha }) => mapped(x, (value) => (value < 0 ? alpha * value : value)),
  elu: ([x], { alpha }) => mapped(x, (value) => (value < 0 ? alpha * Math.expm1(value) : value)),
  matmul: ([x, y]) => matmul(x, y),
  sum: ([x], { axes }) => reduced(x, axes, 0, (a, b) => a + b),
  mean: ([x], { axes }) => mean(x, axes),
  max: ([x], { axes }) => reduced(x, axes, -Infinity, (a, b) => (a > b ? a : b)),
  softmax: ([x], { axis }) => softmax(x, axis),
  reshape: ([x], { shape }) => reshaped(x, shape),
  expand: ([x], { shape }) => expanded(x, shape),
  transpose: ([x], { order }) => {
    const strides = stridesOf(x.shape);
    return picked(x, order.map((axis) => x.shape[axis]), order.map((axis) => strides[axis]));
  },
  slice: ([x], attributes) => sliced(x, attributes),
  concat: (parts, { axis }) => concatenated(parts, axis),
  rows: ([weight, labels]) => rows(weight, labels),
  conv2d: ([x, weight], attributes) => conv2d(x, weight, attributes),
  conv2d_transpose: ([x, weight], attributes) => conv2dTranspose(x, weight, attributes),
};

// The number that 16 bits stand for (IEEE 754, half precision).
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let HALVES; // what each of the 65536 patterns stands for

// The weights that a text (base64) holds.
function decoded(text, precision) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  if (precision === "float32") return new Float32Array(bytes.buffer);
  HALVES ??= Float32Array.from({ length: 65536 }, (_, bits) => half(bits));
  const halves = new Uint16Array(bytes.buffer);
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = HALVES[halves[i]];
  return values;
}

// Return a function of z (Float32Array [N * dim]), labels (an array [N], or nothing) and further
// inputs by name (Float32Arrays), to the images, {shape: [N, C, H, W], data}.
function makeGenerator(graph) {
  const values = decoded(graph.values, graph.precision);
  const weights = new Map();
  let start = 0;
  for (const [name, shape] of graph.weights) {
    weights.set(name, tensor(shape, values.subarray(start, (start += size(shape)))));
  }
  const lastUse = new Map();
  graph.nodes.forEach(({ inputs }, place) => inputs.forEach((name) => lastUse.set(name, place)));
  return (z, labels, more = {}) => {
    const count = z.length / graph.dim;
    const found = new Map([["z", tensor([count, graph.dim], z)]]);
    if (labels) found.set("labels", { shape: [count], data: labels });
    for (const [name, data] of Object.entries(more)) found.set(name, tensor([data.length], data));
    graph.nodes.forEach((node, place) => {
      const inputs = node.inputs.map((name) => found.get(name) ?? weights.get(name));
      found.set(node.output, KINDS[node.kind](inputs, node.attributes));
      for (const name of node.inputs) {
        if (lastUse.get(name) === place && name !== graph.output) found.delete(name);
      }
    });
    return found.get(graph.output);
  };
}

if (typeof module !== "undefined") module.exports = { makeGenerator, KINDS };
