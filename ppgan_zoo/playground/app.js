// The page: what is chosen (state), what is drawn from it, and what the controls do to it.
"use strict";

const SHOWN = 8; // sliders at first, and by how many there are more
const CELLS = 16;
const NO_TRUNCATION = 3; // the slider's end: no limit to z; of a model with styles it ends at 1

const MODELS = JSON.parse(document.getElementById("models").textContent);
const at = (id) => document.getElementById(id);

const fresh = () => ({
  model: 0, seed: 0, label: 0, truncation: NO_TRUNCATION, codes: {}, amounts: {},
  mode: "seed", way: 0.5, amount: 1, a: null, b: null, kind: null, shown: SHOWN,
});
let state = fresh();
let words = WORDS.en;
const generators = new Map();

const model = () => MODELS[state.model];
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function generator() {
  if (!generators.has(state.model)) generators.set(state.model, makeGenerator(model().graph));
  return generators.get(state.model);
}

// ---- From the state to pictures

const hasStyles = () => model().styles > 0;
const limit = () => (hasStyles() ? 1 : NO_TRUNCATION);
const isTruncated = () => state.truncation < limit();

function zOfSeed(seed) {
  const { latent } = model();
  const z = drawn(latent, seed, isTruncated() && !hasStyles() ? state.truncation : Infinity);
  let start = latent.noise;
  latent.categorical.forEach((values, place) => {
    const chosen = state.codes[`c${place + 1}`];
    if (chosen !== undefined) {
      z.fill(0, start, start + values);
      z[start + chosen] = 1;
    }
    start += values;
  });
  return z;
}

// What a seed shows in the present mode, or what stands on the way from A to B: z, a class and,
// of a model with styles, what is added to w.
function codeOf(seed, way = state.way) {
  const { latent, styles, directions } = model();
  const { a, b } = state;
  let z = zOfSeed(seed);
  let offset = new Float32Array(styles);
  let label = state.label;
  if (isOnTheWay()) {
    z = between(latent, a.z, b.z, way);
    offset = offset.map((_, i) => (1 - way) * a.offset[i] + way * b.offset[i]);
    label = (way < 0.5 ? a : b).label;
  } else if (a && b && state.mode === "difference") {
    z = moved(latent, z, b.z.map((value, i) => value - a.z[i]), state.amount);
    offset = offset.map((_, i) => state.amount * (b.offset[i] - a.offset[i]));
  }
  for (const { id, space, vector } of directions) {
    const amount = state.amounts[id];
    if (!amount) continue;
    if (space === "w") offset = offset.map((value, i) => value + amount * vector[i]);
    else z = moved(latent, z, vector, amount);
  }
  return { z, label, offset };
}

function imageOf({ z, label, offset }) {
  const labels = model().classes.length ? [label] : undefined;
  const psi = Float32Array.of(isTruncated() ? state.truncation : 1);
  return generator()(z, labels, hasStyles() ? { psi, offset } : {});
}

// An image [1, C, H, W] of one map (grey) or three (RGB), in the model's range, as bytes [C, H, W].
function bytesOf({ data }) {
  const [low, high] = model().range;
  const bytes = new Uint8ClampedArray(data.length); // which rounds
  for (let i = 0; i < data.length; i++) bytes[i] = ((data[i] - low) * 255) / (high - low);
  return bytes;
}

// Draw bytes [C, H, W] on a canvas of their size; return its pixels.
function paintBytes(canvas, bytes) {
  const [maps, height, width] = model().shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const plane = height * width;
  for (let i = 0; i < plane; i++) {
    for (let colour = 0; colour < 3; colour++) {
      pixels.data[4 * i + colour] = bytes[(maps === 3 ? colour * plane : 0) + i];
    }
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return pixels.data;
}

const paint = (canvas, image) => paintBytes(canvas, bytesOf(image));

// Show the training picture that is nearest to an image, of those that the page holds.
function showNearest(image) {
  const { pictures, shape } = model();
  at("nearest-row").hidden = !pictures;
  if (!pictures) return;
  model().known ??= Uint8Array.from(atob(pictures), (letter) => letter.charCodeAt(0));
  const { known } = model();
  const bytes = bytesOf(image);
  const length = size(shape);
  let best = 0, least = Infinity;
  for (let start = 0; start < known.length; start += length) {
    let squares = 0;
    for (let i = 0; i < length && squares < least; i++) squares += (known[start + i] - bytes[i]) ** 2;
    if (squares < least) [best, least] = [start, squares];
  }
  paintBytes(at("nearest"), known.subarray(best, best + length));
  at("nearest").setAttribute("aria-label", words.nearestLabel);
  const levels = Math.round(Math.sqrt(least / length));
  at("nearest-what").textContent = fill(words.nearest, { count: known.length / length, levels });
}

function described() {
  const what = {
    seed: words.ofSeed,
    between: words.ofMix,
    difference: words.ofDifference,
  }[state.a && state.b ? state.mode : "seed"];
  const said = fill(what, { seed: state.seed, percent: Math.round(state.way * 100), amount: state.amount });
  if (!model().classes.length) return said;
  const name = model().classes[codeOf(state.seed).label];
  return `${said}, ${fill(words.ofClass, { name })}`;
}

const isOnTheWay = () => Boolean(state.a && state.b && state.mode === "between");

const wayOf = (place) => place / (CELLS - 1); // of a cell of the grid

// ---- Drawing: the picture at once, the cells of the grid one after the other between events

let turn = 0; // counts the states; cells that belong to an older one are not drawn
let nextCell = 0;
let waiting = false;

function redraw() {
  turn += 1;
  if (waiting) return;
  waiting = true;
  setTimeout(() => { // once for all that one event changes
    waiting = false;
    drawPicture();
    drawCells(turn, CELLS);
  }, 0);
}

function drawPicture() {
  let start;
  try {
    generator(); // reads its weights, the first time
    start = performance.now();
    const image = imageOf(codeOf(state.seed));
    paint(at("picture"), image);
    showNearest(image);
  } catch (error) {
    at("what").textContent = fill(words.failed, { reason: String(error) });
    return;
  }
  const time = Math.max(1, Math.round(performance.now() - start));
  const what = described();
  at("picture").setAttribute("aria-label", fill(words.pictureLabel, { model: model().name, what }));
  at("what").textContent = fill(words.drawn, { what, time });
  for (const name of ["a", "b"]) {
    if (state[name]) paint(at(`kept-${name}`), imageOf(state[name]));
  }
  nameCells();
  writeHash();
}

function nameCells() {
  const heading = isOnTheWay() ? words.wholeWay : words.neighbours;
  if (at("grid-heading").textContent !== heading) at("grid-heading").textContent = heading;
  [...at("grid").children].forEach((cell, place) => {
    const percent = Math.round(wayOf(place) * 100);
    const text = isOnTheWay() ? fill(words.ofMix, { percent }) : fill(words.cell, cell.dataset);
    cell.setAttribute("aria-label", text);
  });
}

// Each turn begins where the last one stopped, so that all cells move while a slider is dragged.
function drawCells(mine, left) {
  if (mine !== turn || left === 0) return;
  const cell = at("grid").children[nextCell];
  paint(cell.firstChild, imageOf(codeOf(Number(cell.dataset.seed), wayOf(nextCell))));
  nextCell = (nextCell + 1) % CELLS;
  setTimeout(() => drawCells(mine, left - 1), 0);
}

// ---- The state in the address, so that a link holds it

function writeHash() {
  const said = new URLSearchParams();
  const usual = fresh();
  for (const key of ["model", "seed", "label", "mode", "way", "amount"]) {
    if (state[key] !== usual[key]) said.set(key, state[key]);
  }
  if (isTruncated()) said.set("truncation", state.truncation);
  const moved = Object.entries(state.amounts).filter(([, amount]) => amount);
  if (moved.length) said.set("moved", moved.map(([id, amount]) => `${id}:${amount}`).join(","));
  const chosen = Object.entries(state.codes);
  if (chosen.length) said.set("codes", chosen.map(([name, value]) => `${name}:${value}`).join(","));
  for (const name of ["a", "b"]) {
    if (!state[name]) continue;
    const { z, label, offset } = state[name];
    said.set(name, [toText(z), label, ...(offset.some(Boolean) ? [toText(offset)] : [])].join("."));
  }
  const hash = said.toString();
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : "#");
}

// A film: from A to B and back, in that mode; otherwise through four seeds back to the first. A frame at a time, so that the page stays alive.
const FRAMES = 48;

function codeOfFrame(place) {
  if (isOnTheWay()) {
    return codeOf(state.seed, (1 - Math.cos((2 * Math.PI * place) / FRAMES)) / 2);
  }
  const way = (4 * place) / FRAMES;
  const stops = [0, 1, 2, 3, 0].map((step) => codeOf(state.seed + step));
  const start = Math.floor(way);
  const z = between(model().latent, stops[start].z, stops[start + 1].z, way - start);
  return { ...stops[start], z };
}

// It is of what was chosen when it was begun, whatever is chosen meanwhile.
function film(place = 0, kept = structuredClone(state), frames = [], canvas = element("canvas")) {
  at("film").disabled = place < FRAMES; // one at a time
  if (place < FRAMES) {
    frames.push(as(kept, () => paint(canvas, imageOf(codeOfFrame(place)))));
    say(fill(words.filming, { percent: Math.round((100 * place) / FRAMES) }));
    setTimeout(() => film(place + 1, kept, frames, canvas), 0);
    return;
  }
  const factor = Math.max(1, Math.ceil(224 / Math.max(canvas.width, canvas.height)));
  const large = frames.map((pixels) => enlarged(pixels, canvas.width, canvas.height, factor));
  const bytes = gif(large, canvas.width * factor, canvas.height * factor, 6);
  hand(new Blob([bytes], { type: "image/gif" }), `${as(kept, model).name}.gif`);
}

// Do something as if that were chosen.
function as(kept, act) {
  const chosen = state;
  state = kept;
  try {
    return act();
  } finally {
    state = chosen;
  }
}

function enlarged(pixels, width, height, factor) {
  const from = new Uint32Array(pixels.buffer);
  const result = new Uint32Array(from.length * factor * factor);
  for (let i = 0; i < result.length; i++) {
    const row = Math.floor(i / (width * factor * factor));
    result[i] = from[row * width + Math.floor((i % (width * factor)) / factor)];
  }
  return new Uint8Array(result.buffer);
}

const within = (text, low, high, otherwise) => {
  const number = text === null || text === "" ? NaN : Number(text);
  return number >= low && number <= high ? number : otherwise;
};

// Anybody may have written the address: what is no state of this page is left out.
function readHash() {
  const said = new URLSearchParams(location.hash.slice(1));
  const read = fresh();
  read.model = Math.floor(within(said.get("model"), 0, MODELS.length - 1, 0));
  const { classes, directions, latent, styles } = MODELS[read.model];
  read.seed = Math.floor(within(said.get("seed"), 0, 2 ** 32 - 1, 0));
  read.label = Math.floor(within(said.get("label"), 0, Math.max(classes.length - 1, 0), 0));
  read.truncation = within(said.get("truncation"), styles ? 0 : 0.1, NO_TRUNCATION, NO_TRUNCATION);
  if (["between", "difference"].includes(said.get("mode"))) read.mode = said.get("mode");
  read.way = within(said.get("way"), 0, 1, read.way);
  read.amount = within(said.get("amount"), -2, 2, read.amount);
  const pairs = (key) => (said.get(key) ?? "").split(",").map((pair) => pair.split(":"));
  for (const [id, amount] of pairs("moved")) {
    const known = directions.find((direction) => direction.id === id);
    if (known) read.amounts[id] = within(amount, -known.reach, known.reach, 0);
  }
  for (const [name, value] of pairs("codes")) {
    const values = latent.categorical[Number(name.slice(1)) - 1];
    const chosen = within(value, 0, (values ?? 0) - 1, -1);
    if (chosen >= 0) read.codes[name] = Math.floor(chosen);
  }
  for (const name of ["a", "b"]) {
    const [text, number, added] = (said.get(name) ?? "").split(".");
    const z = text ? fromText(text, latent.dim) : null;
    const label = Math.floor(within(number, 0, Math.max(classes.length - 1, 0), 0));
    const offset = (added && fromText(added, styles)) || new Float32Array(styles);
    if (z) read[name] = { z, label, offset };
  }
  state = read;
}

// ---- Controls

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", { value, textContent: text })));
  select.value = chosen;
}

function slider(id, text, reach, value, change) {
  const shown = element("output", { textContent: value });
  const input = element("input", { id, type: "range", min: -reach, max: reach, step: reach / 60, value });
  input.addEventListener("input", () => {
    const amount = Math.round(Number(input.value) * 1000) / 1000;
    shown.textContent = amount;
    change(amount);
  });
  return element("label", {}, element("span", { textContent: text }), input, shown);
}

function buildCodes() {
  const places = model().latent.categorical.map((values, place) => {
    const name = `c${place + 1}`;
    const select = element("select", { id: name });
    const numbers = Array.from({ length: values }, (_, value) => [value, value]);
    options(select, [["", words.ofTheSeed], ...numbers], state.codes[name] ?? "");
    select.addEventListener("change", () => {
      if (select.value === "") delete state.codes[name];
      else state.codes[name] = Number(select.value);
      redraw();
    });
    return element("label", {}, element("span", { textContent: fill(words.code, { name }) }), select);
  });
  at("codes").replaceChildren(...places);
}

function buildDirections() {
  const kinds = [...new Set(model().directions.map(({ kind }) => kind))];
  if (!kinds.includes(state.kind)) [state.kind] = kinds;
  options(at("kind"), kinds.map((kind) => [kind, words[kind]]), state.kind);
  at("kind-row").hidden = kinds.length < 2;
  const all = model().directions.filter(({ kind }) => kind === state.kind);
  at("directions").replaceChildren(...all.slice(0, state.shown).map(({ id, name, reach }) =>
    slider(`direction-${id}`, name, reach, state.amounts[id] ?? 0, (amount) => {
      state.amounts[id] = amount;
      redraw();
    })));
  at("more").hidden = all.length <= state.shown;
}

function buildGrid() {
  at("grid").replaceChildren(...Array.from({ length: CELLS }, (_, place) => {
    const seed = state.seed + place;
    const [, height, width] = model().shape;
    const button = element("button", { type: "button" }, element("canvas", { width, height }));
    button.dataset.seed = seed;
    button.addEventListener("click", () => {
      if (isOnTheWay()) state.way = wayOf(place);
      else state.seed = seed;
      show();
      at("picture").scrollIntoView({ block: "nearest" });
    });
    return button;
  }));
}

// Bring every control in line with the state and the language, and draw.
function show() {
  for (const labelled of document.querySelectorAll("[data-word]")) {
    labelled.textContent = words[labelled.dataset.word];
  }
  const { name, classes, latent, styles, iteration, precision, error } = model();
  document.title = `${words.title}: ${name}`;
  at("name").textContent = name;
  at("language").textContent = words.other;
  at("language").setAttribute("aria-label", words.otherLabel);
  options(at("model"), MODELS.map((other, place) => [place, other.name]), state.model);
  at("model-row").hidden = MODELS.length < 2;
  at("seed").value = state.seed;
  options(at("class"), classes.map((text, label) => [label, text]), state.label);
  at("class-row").hidden = !classes.length;
  at("truncation-row").hidden = latent.prior !== "normal" && !styles;
  Object.assign(at("truncation"), styles ? { min: 0, max: 1, step: 0.02 } : { min: 0.1, max: 3, step: 0.1 });
  state.truncation = Math.min(state.truncation, limit());
  for (const [id, value] of [["truncation", state.truncation], ["way", state.way], ["amount", state.amount]]) {
    at(id).value = value;
  }
  const both = Boolean(state.a && state.b);
  for (const radio of document.getElementsByName("mode")) {
    radio.checked = radio.value === state.mode;
    radio.disabled = radio.value !== "seed" && !both;
  }
  at("way").disabled = !both;
  at("amount").disabled = !both;
  for (const kept of ["a", "b"]) at(`kept-${kept}`).hidden = !state[kept];
  at("about").textContent = fill(words.about, { model: name, iteration, precision, error });
  buildCodes();
  buildDirections();
  buildGrid();
  nameCells();
  showNumbers();
  redraw();
}

function showNumbers() {
  const truncation = isTruncated() ? state.truncation : words.off;
  const texts = { truncation, way: `${Math.round(state.way * 100)} %`, amount: state.amount };
  for (const [id, text] of Object.entries(texts)) {
    document.querySelector(`output[for="${id}"]`).textContent = text;
  }
  at("truncation").setAttribute("aria-valuetext", truncation);
}

const say = (text) => { at("said").textContent = text; };

function keep(name) {
  state[name] = codeOf(state.seed);
  say(fill(words.kept, { name: name.toUpperCase() }));
  show();
}

// Canvases enlarged by a whole factor onto one, in rows, and handed to the browser as a PNG.
function save(canvases, columns, name) {
  const { width, height } = canvases[0];
  const factor = Math.max(1, Math.ceil((canvases.length > 1 ? 112 : 448) / Math.max(width, height)));
  const [wide, tall] = [width * factor, height * factor];
  const whole = element("canvas", { width: columns * wide, height: Math.ceil(canvases.length / columns) * tall });
  const context = whole.getContext("2d");
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, place) => {
    context.drawImage(canvas, (place % columns) * wide, Math.floor(place / columns) * tall, wide, tall);
  });
  whole.toBlob((blob) => hand(blob, name));
}

function hand(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(fill(words.saved, { name }));
}

async function copyLink() {
  writeHash();
  try {
    await navigator.clipboard.writeText(location.href);
    say(words.copied);
  } catch {
    say(words.notCopied);
  }
}

function change(id, kind, take, whole = false) {
  at(id).addEventListener(kind, () => {
    take(at(id).value);
    showNumbers();
    if (whole) show();
    else redraw();
  });
}

function changeSeed(seed) {
  state.seed = Math.min(Math.max(Math.floor(Number(seed)) || 0, 0), 2 ** 32 - 1);
  state.mode = "seed";
}

change("seed", "change", changeSeed, true);
change("class", "change", (value) => { state.label = Number(value); });
change("truncation", "input", (value) => { state.truncation = Number(value); });
change("way", "input", (value) => { state.way = Number(value); changeMode("between"); });
change("amount", "input", (value) => { state.amount = Number(value); changeMode("difference"); });
change("kind", "change", (value) => { state.kind = value; state.shown = SHOWN; }, true);
change("model", "change", (value) => {
  state = { ...fresh(), model: Number(value), seed: state.seed };
}, true);
for (const radio of document.getElementsByName("mode")) {
  radio.addEventListener("change", () => { changeMode(radio.value); redraw(); });
}

// A and B hold what the sliders did to them: on the way between them sliders begin at 0 again.
function changeMode(mode) {
  if (mode === state.mode) return;
  state.mode = mode;
  if (mode === "between") {
    state.amounts = {};
    buildDirections();
  }
  for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === mode;
}
const press = (id, act) => at(id).addEventListener("click", act);
press("random", () => { changeSeed(Math.random() * 1e6); show(); });
press("next", () => { changeSeed(state.seed + 1); show(); });
press("previous", () => { changeSeed(state.seed - 1); show(); });
press("more", () => { state.shown += SHOWN; show(); });
press("reset", () => { state.amounts = {}; show(); });
press("keep-a", () => keep("a"));
press("keep-b", () => keep("b"));
press("save", () => save([at("picture")], 1, `${model().name}-${state.seed}.png`));
press("save-grid", () => {
  save([...at("grid").children].map((cell) => cell.firstChild), 4, `${model().name}-grid.png`);
});
press("film", () => film());
press("link", copyLink);
press("language", () => setLanguage(words === WORDS.en ? "zh" : "en"));

function setLanguage(name) {
  words = WORDS[name];
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
  show();
}

addEventListener("hashchange", () => { readHash(); show(); });
readHash();
setLanguage((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
