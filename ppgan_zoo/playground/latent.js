// Latent vectors: drawn by a seed, moved along directions, mixed.
"use strict";

// Numbers in (0, 1) that follow a seed (mulberry32).
function uniforms(seed) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
}

// The number below which a normal one falls with a probability (Acklam's approximation, to 1e-9).
function normalQuantile(p) {
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572];
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
  const polynomial = (numbers, x) => numbers.reduce((sum, number) => sum * x + number, 0);
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(c, q) / (polynomial(d, q) * q + 1);
  }
  const q = p - 0.5;
  const r = q * q;
  return (polynomial(a, r) * q) / (polynomial(b, r) * r + 1);
}

const normalProbability = (x) => 0.5 * (1 + erf(x / Math.SQRT2));

// z of a seed, as the model's prior draws it; `truncation` keeps normal numbers within +-T.
// Codes come after the noise: one-hot vectors, then numbers in (-1, 1).
function drawn(latent, seed, truncation = Infinity) {
  const z = new Float32Array(latent.dim);
  const next = uniforms(seed);
  const tail = truncation === Infinity ? 0 : normalProbability(-truncation);
  for (let i = 0; i < latent.noise; i++) {
    const u = next();
    z[i] = latent.prior === "uniform" ? 2 * u - 1 : normalQuantile(tail + u * (1 - 2 * tail));
  }
  let at = latent.noise;
  for (const values of latent.categorical) {
    z[at + Math.floor(next() * values)] = 1;
    at += values;
  }
  for (; at < latent.dim; at++) z[at] = 2 * next() - 1;
  return z;
}

// The way from one z to another that stays where the prior's vectors lie: an arc for normal
// noise (slerp), a line for uniform noise and for codes.
function between(latent, a, b, t) {
  const z = Float32Array.from(a, (value, i) => (1 - t) * value + t * b[i]);
  if (latent.prior === "uniform") return z;
  let dot = 0, normA = 0, normB = 0;
  for (let i = 0; i < latent.noise; i++) {
    dot += a[i] * b[i];
    normA += a[i] * a[i];
    normB += b[i] * b[i];
  }
  const cosine = dot / Math.sqrt(normA * normB);
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  if (!(Math.sin(angle) > 1e-6)) return z; // on one line: the arc is that line
  const ofA = Math.sin((1 - t) * angle) / Math.sin(angle);
  const ofB = Math.sin(t * angle) / Math.sin(angle);
  for (let i = 0; i < latent.noise; i++) z[i] = ofA * a[i] + ofB * b[i];
  return z;
}

// z + amount * direction; of a uniform prior no number leaves -1 to 1.
function moved(latent, z, direction, amount) {
  const result = Float32Array.from(z);
  for (let i = 0; i < direction.length; i++) {
    result[i] += amount * direction[i];
    if (latent.prior === "uniform") result[i] = Math.min(Math.max(result[i], -1), 1);
  }
  return result;
}

// z as text for a link, in steps of 1/2048, and back.
function toText(z) {
  const steps = Int16Array.from(z, (value) => Math.round(Math.min(Math.max(value, -15), 15) * 2048));
  return btoa(String.fromCharCode(...new Uint8Array(steps.buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromText(text, dim) {
  try {
    const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    if (raw.length !== 2 * dim) return null;
    const bytes = Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
    return Float32Array.from(new Int16Array(bytes.buffer), (steps) => steps / 2048);
  } catch {
    return null;
  }
}
