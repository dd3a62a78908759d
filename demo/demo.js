// Draws, brings a drawing to 8x8 pixels as scikit-learn's digits were made, asks both networks, and times them here.
// What stands in the page as data: logits come from onnxruntime-web, everything after them is computed below.

const SAMPLES = 40;
const INK = 311; // of 1,024 pixels: the mean of scikit-learn's digits, nearly the same for each of the ten
const data = JSON.parse($("data").textContent);
const sessions = {};
const logits = {}; // of the picture that is shown, by network
const strokes = []; // of the drawing: lists of [x, y], both 0..1
let pixels = null; // what the networks see: 64 numbers in 0..16, or null
let chosen = null; // the test picture that is shown, or null
let temperature = 4;
let which = "student";
let busy = Promise.resolve(); // onnxruntime-web runs one thing at a time

function make(parent, tag, className = "", text = "") {
  const node = parent.appendChild(document.createElement(tag));
  node.className = className;
  node.textContent = text;
  return node;
}

// --- numbers

const entropy = (p) => p.reduce((bits, share) => (share > 0 ? bits - share * Math.log2(share) : bits), 0);
const largest = (values) => values.indexOf(Math.max(...values));
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
const time = (ms, micro) => (micro && ms < 1 ? `${Number((1000 * ms).toPrecision(2))} µs` : `${ms.toFixed(ms < 0.1 ? 3 : 2)} ms`);

// --- from strokes to 8x8, as NIST's programs did it for these digits: the ink's box fills the height of a 32x32
// bitmap and stands in its middle, strokes get one thickness, and each 4x4 block counts its black pixels.

const bitmap = Object.assign(document.createElement("canvas"), { width: 32, height: 32 });
const pen = bitmap.getContext("2d", { willReadFrequently: true });

function render(thickness) {
  const points = strokes.flat();
  const [left, right] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  const [top, bottom] = [Math.min(...points.map((p) => p[1])), Math.max(...points.map((p) => p[1]))];
  const room = 32 - thickness;
  const tall = room / Math.max(bottom - top, (right - left) / 2, 0.02); // a flat dash stays a dash
  const wide = (right - left) * tall < 10 ? tall : Math.min(22 - thickness, 2 * room) / Math.max(right - left, 0.02);
  const place = ([x, y]) => [16 + (x - (left + right) / 2) * wide, 16 + (y - (top + bottom) / 2) * tall];
  pen.clearRect(0, 0, 32, 32);
  Object.assign(pen, { lineWidth: thickness, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(...place(stroke[0]));
    for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) pen.lineTo(...place(point));
    pen.stroke();
  }
  const counts = new Array(64).fill(0);
  const { data: rgba } = pen.getImageData(0, 0, 32, 32);
  for (let i = 0; i < 1024; i++) if (rgba[4 * i + 3] > 127) counts[8 * (i >> 7) + ((i & 31) >> 2)] += 1;
  return counts;
}

function drawnPixels() {
  let [thin, thick] = [2, 10]; // the thickness that gives the usual amount of ink
  for (let i = 0; i < 6; i++) {
    const middle = (thin + thick) / 2;
    if (render(middle).reduce((a, b) => a + b) < INK) thin = middle;
    else thick = middle;
  }
  return render((thin + thick) / 2);
}

// --- pictures on canvases

function paint(canvas, values) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const size = canvas.width / 8;
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--pen");
  values?.forEach((value, i) => {
    context.globalAlpha = value / 16;
    context.fillRect((i % 8) * size, Math.floor(i / 8) * size, size, size);
  });
  context.globalAlpha = 1;
}

function paintPad() {
  const pad = $("pad");
  const side = Math.round(8 * Math.ceil((pad.clientWidth * devicePixelRatio) / 8));
  if (pad.width !== side) pad.width = pad.height = side;
  paint(pad, chosen?.pixels);
  const context = pad.getContext("2d");
  Object.assign(context, { lineWidth: side / 14, lineCap: "round", lineJoin: "round", strokeStyle: context.fillStyle });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    for (const [x, y] of stroke) context.lineTo(x * side, y * side);
    context.stroke();
  }
  $("hint").hidden = Boolean(chosen || strokes.length);
  $("undo").disabled = !strokes.length;
}

// --- asking the networks

function input(pictures) {
  const values = Float32Array.from(pictures.flat(), (v) => (Math.round((v * 255) / 16) / 255 - data.mean) / data.std);
  return { images: new ort.Tensor("float32", values, [pictures.length, 1, 8, 8]) };
}

async function ask(name, feeds) {
  const { logits: answer } = await sessions[name].run(feeds);
  return answer.data;
}

let wanted = 0;
function look() {
  $("bars").ariaBusy = "true";
  paintPad();
  paint($("seen"), pixels);
  const number = ++wanted;
  busy = busy.then(async () => {
    if (number !== wanted) return; // a newer picture waits already
    for (const name of data.networks) logits[name] = pixels ? [...(await ask(name, input([pixels])))] : null;
    if (number !== wanted) return;
    show();
    $("bars").ariaBusy = "false";
  });
  return busy;
}

// --- what is shown

const rows = data.classes.map((digit) => {
  const row = make($("bars"), "tr");
  Object.assign(make(row, "th", "", digit), { scope: "row" });
  return { row, ...Object.fromEntries(["teacher", "student"].map((role) => {
    const cell = make(make(row, "td"), "div", "cell");
    return [role, { bar: make(make(cell, "div", "track"), "div", `bar ${role}`), text: make(cell, "span") }];
  })) };
});

function show() {
  const both = { teacher: logits.teacher, student: logits[which] };
  for (const [role, z] of Object.entries(both)) {
    const p = z ? softmax(z, temperature) : null;
    rows.forEach((row, i) => {
      row[role].bar.style.width = `${100 * (p?.[i] ?? 0)}%`;
      row[role].bar.hidden = !p;
      row[role].text.textContent = p ? percent(p[i]) : "";
      row[role].text.dataset.p = p?.[i] ?? "";
      row[role].text.classList.toggle("most", Boolean(p) && i === largest(p));
    });
    $(`${role}-entropy`).textContent = p ? `entropy ${entropy(p).toFixed(2)} bits` : "";
    $(`${role}-says`).textContent = z ? data.classes[largest(z)] : "–";
  }
  $("mini").textContent = pixels ? `Teacher ${$("teacher-says").textContent} · Student ${$("student-says").textContent}` : "Teacher – · Student –";
  const same = both.teacher && largest(both.teacher) === largest(both.student);
  rows.forEach(({ row }, i) => row.classList.toggle("top", Boolean(both.teacher) && i === largest(both.teacher)));
  document.querySelector("#agree .sign").textContent = both.teacher ? (same ? "=" : "≠") : "";
  document.querySelector("#agree .words").textContent = both.teacher ? (same ? "they agree" : "they differ") : "no picture yet";
  $("truth").textContent = chosen ? `In truth: ${chosen.label}.` : pixels ? "Your own drawing; you know the truth." : "";
}

function setTemperature(value, fromSlider) {
  temperature = value;
  if (!fromSlider) $("temperature").value = Math.log2(value);
  $("shown").textContent = value.toFixed(2);
  $("temperature").setAttribute("aria-valuetext", `T = ${value.toFixed(2)}`);
  show();
}

// --- time

async function sample(name, feeds, calls) {
  const start = performance.now();
  for (let i = 0; i < calls; i++) await ask(name, feeds);
  return (performance.now() - start) / calls;
}

async function measureRow(row, batch, progress) {
  const roles = ["teacher", which];
  const feeds = input(Array.from({ length: batch }, (_, i) => data.pictures[i % data.pictures.length].pixels));
  const calls = {};
  const times = Object.fromEntries(roles.map((name) => [name, []]));
  const turn = (work) => (busy = busy.then(work)).then(() => new Promise((done) => setTimeout(done)));
  for (const name of roles) {
    await turn(async () => {
      await sample(name, feeds, 20); // warm up
      for (calls[name] = 1; calls[name] < 4096 && (await sample(name, feeds, calls[name])) * calls[name] < 10; ) calls[name] *= 2;
    });
  }
  for (let i = 0; i < SAMPLES; i++) {
    for (const name of roles) await turn(async () => times[name].push((await sample(name, feeds, calls[name])) / batch));
    progress((i + 1) / SAMPLES);
  }
  const medians = roles.map((name) => quantile(times[name].sort((a, b) => a - b), 0.5));
  roles.forEach((name, i) => {
    const cell = row.cells[i + 1];
    cell.textContent = time(medians[i], medians[0] < 1);
    make(cell, "small", "", `p95 ${time(quantile(times[name], 0.95), medians[0] < 1)}`);
  });
  row.cells[3].textContent = `${Number((medians[0] / medians[1]).toPrecision(2))}×`;
}

async function measure() {
  $("measure").disabled = true;
  for (const [i, [id, batch]] of [["one", 1], ["many", 64]].entries())
    await measureRow($(id), batch, (part) => {
      $("progress").textContent = `measuring: ${Math.round(50 * (i + part))} %`;
    });
  $("progress").textContent = "measured on this device, just now";
  $("measure").disabled = false;
}

// --- mouse, pen, finger and keyboard

function choose(picture) {
  strokes.length = 0;
  chosen = picture;
  pixels = picture?.pixels ?? null;
  if (!picture) document.querySelectorAll(".pictures input:checked").forEach((radio) => { radio.checked = false; });
  return look();
}

function drawn() {
  pixels = strokes.length ? drawnPixels() : null;
  return look();
}

function listen() {
  const pad = $("pad");
  let stroke = null;
  const point = (event) => {
    const box = pad.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => Math.min(1, Math.max(0, v / box.width)));
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pad.setPointerCapture(event.pointerId);
    if (chosen) choose(null);
    strokes.push((stroke = [point(event)]));
    drawn();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) stroke.push(point(each));
    drawn();
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { stroke = null; });
  $("undo").addEventListener("click", () => { strokes.pop(); drawn(); });
  $("clear").addEventListener("click", () => choose(null));
  $("temperature").addEventListener("input", (event) => setTemperature(2 ** Number(event.target.value), true));
  for (const button of document.querySelectorAll("[data-t]"))
    button.addEventListener("click", () => setTemperature(Number(button.dataset.t)));
  for (const radio of document.querySelectorAll("[name=which]"))
    radio.addEventListener("change", () => { which = radio.value; show(); });
  $("measure").addEventListener("click", measure);
  addEventListener("resize", paintPad);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintAll);
}

function paintAll() {
  document.querySelectorAll(".pictures canvas").forEach((canvas, i) => paint(canvas, data.pictures[i].pixels));
  paintPad();
  paint($("seen"), pixels);
}

function fill() {
  for (const node of document.querySelectorAll("[data-fill]")) node.textContent = data.words[node.dataset.fill];
  data.pictures.forEach((picture, i) => {
    const label = make($(i < 10 ? "typical" : "hard"), "label");
    const radio = Object.assign(make(label, "input"), { type: "radio", name: "picture" });
    radio.setAttribute("aria-label", `test picture ${i + 1}, a ${picture.label}`);
    radio.addEventListener("change", () => choose(picture));
    Object.assign(make(label, "canvas"), { width: 8, height: 8 });
  });
  paintAll();
}

// --- the networks

const unpack = (base64) =>
  new Response(new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

let ort = null;
async function start() {
  fill();
  listen();
  const library = await unpack($("runtime").textContent);
  ort = await import(URL.createObjectURL(new Blob([library], { type: "text/javascript" })));
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: await unpack($("wasm").textContent) });
  for (const name of data.networks)
    sessions[name] = await ort.InferenceSession.create(new Uint8Array(await unpack(data.onnx[name])), { executionProviders: ["wasm"] });
  document.querySelector(".pictures input").checked = true;
  await choose(data.pictures[0]);
  await measure();
}

start().catch((error) => {
  console.error(error);
  $("alert").hidden = false;
  $("alert").textContent = `The networks could not be started: this page needs WebAssembly with SIMD and a browser of 2023 or newer (${error.message}).`;
  $("progress").textContent = "nothing was measured";
});
