// Arithmetic on tensors. A tensor is {shape, data}: sides, and a Float32Array in row-major order.
"use strict";

const size = (shape) => shape.reduce((product, side) => product * side, 1);

const tensor = (shape, data) => ({ shape, data: data ?? new Float32Array(size(shape)) });

// Elements from one step along each axis to the next; 0 along axes of one, which broadcast.
function stridesOf(shape, rank = shape.length) {
  const strides = new Array(rank).fill(0);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis + rank - shape.length] = shape[axis] === 1 ? 0 : step;
    step *= shape[axis];
  }
  return strides;
}

// Call visit(place, offsets) for the first element of every last axis of a shape; the offsets
// follow the given strides, one list of strides each.
function eachRow(shape, strides, visit) {
  const outer = shape.slice(0, -1);
  const place = new Array(outer.length).fill(0);
  const offsets = strides.map(() => 0);
  for (let row = 0, rows = size(outer); row < rows; row++) {
    visit(row, offsets);
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      for (let side = 0; side < strides.length; side++) offsets[side] += strides[side][axis];
      if (++place[axis] < outer[axis]) break;
      for (let side = 0; side < strides.length; side++) {
        offsets[side] -= strides[side][axis] * outer[axis];
      }
      place[axis] = 0;
    }
  }
}

function mapped(x, change) {
  const result = tensor(x.shape);
  for (let i = 0; i < x.data.length; i++) result.data[i] = change(x.data[i]);
  return result;
}

// Combine two tensors as numpy broadcasts them.
function combined(x, y, combine) {
  const rank = Math.max(x.shape.length, y.shape.length, 1);
  const shape = new Array(rank).fill(1);
  for (const { shape: sides } of [x, y]) {
    sides.forEach((side, axis) => {
      const place = axis + rank - sides.length;
      if (side !== 1) shape[place] = side;
    });
  }
  const result = tensor(shape);
  const strides = [stridesOf(x.shape, rank), stridesOf(y.shape, rank)];
  const [stepX, stepY] = strides.map((steps) => steps[rank - 1]);
  const last = shape[rank - 1];
  eachRow(shape, strides, (row, [startX, startY]) => {
    for (let i = 0, at = row * last; i < last; i++) {
      result.data[at + i] = combine(x.data[startX + i * stepX], y.data[startY + i * stepY]);
    }
  });
  return result;
}

// Take elements by strides: what transposing, expanding and slicing have in common.
function picked(x, shape, strides, start = 0) {
  const result = tensor(shape);
  if (shape.length === 0) {
    result.data[0] = x.data[start];
    return result;
  }
  const last = shape[shape.length - 1];
  const step = strides[strides.length - 1];
  eachRow(shape, [strides], (row, [offset]) => {
    for (let i = 0, at = row * last; i < last; i++) result.data[at + i] = x.data[start + offset + i * step];
  });
  return result;
}

function reduced(x, axes, begin, step) {
  const shape = x.shape.map((side, axis) => (axes.includes(axis) ? 1 : side));
  const sums = new Float64Array(size(shape)).fill(begin);
  const own = stridesOf(x.shape);
  const target = stridesOf(shape);
  const last = x.shape[x.shape.length - 1];
  const [stepX, stepT] = [own[own.length - 1], target[target.length - 1]];
  eachRow(x.shape, [own, target], (row, [from, to]) => {
    for (let i = 0; i < last; i++) {
      const at = to + i * stepT;
      sums[at] = step(sums[at], x.data[from + i * stepX]);
    }
  });
  return tensor(shape, Float32Array.from(sums));
}

// result[m, n] = sum over k of a[m, k] b[n, k]: four rows by two at a time, which stay in registers.
function productOfRows(a, b, result, m, n, k, startA = 0, startResult = 0) {
  for (let i = 0; i < m; i += 4) {
    const rows = Math.min(4, m - i);
    const a0 = startA + i * k;
    const a1 = rows > 1 ? a0 + k : a0;
    const a2 = rows > 2 ? a1 + k : a0;
    const a3 = rows > 3 ? a2 + k : a0;
    for (let j = 0; j < n; j += 2) {
      const b0 = j * k;
      const b1 = j + 1 < n ? b0 + k : b0;
      let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
      for (let l = 0; l < k; l++) {
        const x = b[b0 + l], y = b[b1 + l];
        const p = a[a0 + l], q = a[a1 + l], r = a[a2 + l], s = a[a3 + l];
        s00 += p * x; s01 += p * y;
        s10 += q * x; s11 += q * y;
        s20 += r * x; s21 += r * y;
        s30 += s * x; s31 += s * y;
      }
      const at = startResult + i * n + j;
      const two = j + 1 < n;
      result[at] = s00;
      if (two) result[at + 1] = s01;
      if (rows > 1) { result[at + n] = s10; if (two) result[at + n + 1] = s11; }
      if (rows > 2) { result[at + 2 * n] = s20; if (two) result[at + 2 * n + 1] = s21; }
      if (rows > 3) { result[at + 3 * n] = s30; if (two) result[at + 3 * n + 1] = s31; }
    }
  }
}

// Rows and columns of a matrix exchanged: [rows, columns] from `start` on.
function turned(data, rows, columns, start = 0) {
  const result = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) result[j * rows + i] = data[start + i * columns + j];
  }
  return result;
}

// numpy.matmul of tensors of two axes or more, or of a matrix and a vector.
function matmul(x, y) {
  if (y.shape.length === 1) {
    const product = matmul(x, tensor([y.shape[0], 1], y.data));
    return tensor(product.shape.slice(0, -1), product.data);
  }
  if (x.shape.length === 1) {
    const product = matmul(tensor([1, x.shape[0]], x.data), y);
    return tensor([...product.shape.slice(0, -2), product.shape.at(-1)], product.data);
  }
  const [m, k] = x.shape.slice(-2);
  const n = y.shape.at(-1);
  const batches = combined(tensor(x.shape.slice(0, -2)), tensor(y.shape.slice(0, -2)), () => 0).shape;
  const outer = x.shape.length === 2 && y.shape.length === 2 ? [] : batches;
  const result = tensor([...outer, m, n]);
  const strides = [x, y].map(({ shape }) => stridesOf(shape.slice(0, -2), outer.length));
  eachRow([...outer, 1], strides, (batch, [ofX, ofY]) => {
    multiply(x.data, ofX * m * k, y.data, ofY * k * n, result.data, batch * m * n, m, k, n);
  });
  return result;
}

function multiply(a, startA, b, startB, result, start, m, k, n) {
  if (m > 1) {
    productOfRows(a, turned(b, k, n, startB), result, m, n, k, startA, start);
    return;
  }
  const sums = new Float64Array(n); // a vector and a matrix, whose rows are read in order
  for (let l = 0; l < k; l++) {
    const factor = a[startA + l];
    if (factor === 0) continue;
    for (let j = 0, row = startB + l * n; j < n; j++) sums[j] += factor * b[row + j];
  }
  for (let j = 0; j < n; j++) result[start + j] = sums[j];
}

// [N, C, H, W] and weights [O, C / groups, h, w]: patches of the image as rows, then a product.
function conv2d(x, weight, { strides, padding, dilations, groups }) {
  const [count, maps, height, width] = x.shape;
  const [outputs, depth, tall, wide] = weight.shape;
  const [top, left, bottom, right] = padding;
  const side = (of, before, after, kernel, axis) =>
    Math.floor((of + before + after - dilations[axis] * (kernel - 1) - 1) / strides[axis]) + 1;
  const rows = side(height, top, bottom, tall, 0);
  const columns = side(width, left, right, wide, 1);
  const pixels = rows * columns;
  const patch = depth * tall * wide;
  const result = tensor([count, outputs, rows, columns]);
  const patches = new Float32Array(pixels * patch);
  const share = outputs / groups;
  for (let image = 0; image < count; image++) {
    for (let group = 0; group < groups; group++) {
      const first = (image * maps + group * depth) * height * width;
      takePatches(x.data, first, patches, { depth, height, width, tall, wide, rows, columns }, strides, padding, dilations);
      productOfRows(weight.data, patches, result.data, share, pixels, patch,
        group * share * patch, (image * outputs + group * share) * pixels);
    }
  }
  return result;
}

function takePatches(data, first, patches, sides, strides, [top, left], dilations) {
  const { depth, height, width, tall, wide, rows, columns } = sides;
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let map = 0; map < depth; map++) {
        for (let i = 0; i < tall; i++) {
          const y = row * strides[0] - top + i * dilations[0];
          const line = first + (map * height + y) * width;
          const inside = y >= 0 && y < height;
          for (let j = 0; j < wide; j++) {
            const x = column * strides[1] - left + j * dilations[1];
            patches[at++] = inside && x >= 0 && x < width ? data[line + x] : 0;
          }
        }
      }
    }
  }
}

// [N, C, H, W] and weights [C, O / groups, h, w]: what each pixel gives, added up where it falls.
function conv2dTranspose(x, weight, options) {
  const { strides, padding, dilations, groups, output_padding: more } = options;
  const [count, maps, height, width] = x.shape;
  const [, share, tall, wide] = weight.shape;
  const side = (of, kernel, axis) =>
    (of - 1) * strides[axis] - padding[axis] - padding[axis + 2] + dilations[axis] * (kernel - 1) + 1 + more[axis];
  const rows = side(height, tall, 0);
  const columns = side(width, wide, 1);
  const depth = maps / groups;
  const pixels = height * width;
  const patch = share * tall * wide;
  const result = tensor([count, share * groups, rows, columns]);
  const given = new Float32Array(patch * pixels);
  weight.turned ??= Array.from({ length: groups }, (_, group) =>
    turned(weight.data, depth, patch, group * depth * patch));
  for (let image = 0; image < count; image++) {
    for (let group = 0; group < groups; group++) {
      const source = turned(x.data, depth, pixels, (image * maps + group * depth) * pixels);
      productOfRows(weight.turned[group], source, given, patch, pixels, depth);
      const first = (image * groups + group) * share * rows * columns;
      addPatches(given, result.data, first, { share, height, width, tall, wide, rows, columns }, strides, padding, dilations);
    }
  }
  return result;
}

function addPatches(given, result, first, sides, strides, [top, left], dilations) {
  const { share, height, width, tall, wide, rows, columns } = sides;
  let at = 0;
  for (let map = 0; map < share; map++) {
    for (let i = 0; i < tall; i++) {
      for (let j = 0; j < wide; j++) {
        for (let row = 0; row < height; row++) {
          const y = row * strides[0] - top + i * dilations[0];
          const line = first + (map * rows + y) * columns;
          const inside = y >= 0 && y < rows;
          for (let column = 0; column < width; column++, at++) {
            const x = column * strides[1] - left + j * dilations[1];
            if (inside && x >= 0 && x < columns) result[line + x] += given[at];
          }
        }
      }
    }
  }
}
