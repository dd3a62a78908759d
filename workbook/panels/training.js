// The pictures of the training panel: draws what training.py sends, and keeps the last message of each kind alone.
// Every curve differs by line style or marker as well as by colour (Okabe and Ito's, as in plots.py; text is darker).
const BLUE = "#0072B2", RED = "#D55E00", GREEN = "#00805d", PINK = "#B0568F", AMBER = "#B87800", INK = "#1a1a1a";
const GREY = "#666666", GRID = "#e4e4e4", FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const HEIGHT = 460, STYLE = `
.kd-live { position: relative; width: 100%; background: white; color: ${INK}; }
.kd-status { font: 600 15px ${FONT}; padding: 2px 0 4px 4px; min-height: 20px; }
.kd-status.failed { color: #a33c00; }
.kd-status.failed::before { content: "⚠ "; }
.kd-live canvas { display: block; width: 100%; height: ${HEIGHT}px; }
.kd-spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.kd-panel .noUi-handle:focus, .kd-panel button:focus-visible, .kd-panel select:focus-visible,
.kd-panel input:focus-visible { outline: 3px solid var(--jp-ui-font-color1, ${INK}); outline-offset: 1px; }`;

function render({ model, el }) {
  const seen = { setup: null, frame: null, runs: null };
  const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
  const root = make("div", "kd-live"), style = make("style", ""), status = make("div", "kd-status");
  const canvas = make("canvas", "kd-curves"), spoken = make("div", "kd-spoken");
  style.textContent = STYLE;
  status.textContent = "waiting for the kernel";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "training curves, nothing trained yet");
  spoken.setAttribute("aria-live", "polite");
  root.append(style, status, canvas, spoken);
  el.append(root);
  let asked = 0, said = 0, gone = false;

  function paint() {
    asked = 0;
    const width = root.clientWidth, ratio = window.devicePixelRatio || 1;
    if (!width || gone) return;
    if (canvas.width !== Math.round(width * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(HEIGHT * ratio);
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = "white";
    ctx.fillRect(0, 0, width, HEIGHT);
    draw(ctx, width, seen);
  }
  const ask = () => { asked = asked || requestAnimationFrame(paint); };

  function receive(content, buffers) {
    if (!(content.kind in seen)) return;
    const floats = (buffers || []).map(floatsOf);
    seen[content.kind] = { ...content, floats, bytes: buffers };
    if (content.kind === "frame") {
      const changed = root.dataset.state !== content.state;
      Object.assign(root.dataset, { state: content.state, step: content.step });
      status.textContent = content.status;
      status.classList.toggle("failed", content.state === "failed");
      if (changed) spoken.textContent = content.status;
      if (changed || Date.now() - said > 1000) {
        canvas.setAttribute("aria-label", content.summary);
        said = Date.now();
      }
    }
    ask();
  }
  model.on("msg:custom", receive);
  const watcher = new ResizeObserver(ask);
  watcher.observe(root);
  model.send({ kind: "ready" });
  return () => {
    gone = true;
    watcher.disconnect();
    model.off("msg:custom", receive);
  };
}

function draw(ctx, width, { setup, frame, runs }) {
  const split = Math.round(width * 0.56), left = 62, gap = width - split;
  const shown = runs ? runs.list.map((run, i) => ({ ...run, curve: runs.floats[i] })) : [];
  const drawn = shown.filter((run, i) => run.pinned || i >= shown.length - 8);
  const curves = frame && frame.floats.length ? frame.floats : [[], [], [], []];
  const end = Math.max(frame ? frame.step : 0, ...drawn.map((run) => run.steps), 10);
  const xs = [0, niceAbove(end)], box = (y, h) => ({ x: left, y, w: split - left - 84, h });

  // test accuracy
  const accuracy = column(curves[1], 2, 1).map((v) => 100 * v), top = box(20, 128);
  const all = accuracy.concat(...drawn.map((run) => column(run.curve, 2, 1).map((v) => 100 * v)));
  const low = all.length ? Math.max(0, Math.floor((quantile(all, 0.1) - 4) / 10) * 10) : 0;
  let plot = axes(ctx, top, xs, [low, 100], { title: "test accuracy (%)" });
  const tips = [];
  drawn.forEach((run) => {
    const points = column(run.curve, 2, 0).map((x, i) => [x, 100 * run.curve[2 * i + 1]]);
    line(ctx, plot, points, { color: run.pinned ? GREY : "#b5b5b5", width: run.pinned ? 1.8 : 1.2 });
    if (run.pinned && points.length) tips.push({ at: points.at(-1), text: run.name.slice(0, 10), color: GREY });
  });
  const measured = column(curves[1], 2, 0).map((x, i) => [x, accuracy[i]]);
  line(ctx, plot, measured, { color: GREEN, width: 2.4, dots: measured.length < 60 });
  if (measured.length) tips.push({ at: measured.at(-1), text: `${accuracy.at(-1).toFixed(1)} %`, color: GREEN });
  names(ctx, plot, tips);

  // losses
  const steps = column(curves[0], 4, 0), below = box(176, 136);
  const kinds = [["soft", 1, BLUE, [7, 4]], ["hard", 2, RED, [2, 3]], ["total", 3, INK, []]];
  const values = kinds.flatMap(([, i]) => column(curves[0], 4, i)).filter((v) => v > 1e-4);
  const range = values.length ? [Math.min(...values) / 1.3, Math.max(...values) * 1.3] : [0.01, 10];
  plot = axes(ctx, below, xs, range, { title: "loss (nats), total = α · soft + (1 − α) · hard", log: true });
  const ends = [];
  kinds.forEach(([text, i, color, dash]) => {
    const points = column(curves[0], 4, i).map((v, k) => [steps[k], Math.max(v, range[0])]);
    line(ctx, plot, points, { color, dash, width: text === "total" ? 1.6 : 2.4 });
    if (points.length) ends.push({ at: points.at(-1), text, color, dash });
  });
  names(ctx, plot, ends);

  // knobs along the same axis
  const knobs = curves[2], last = frame ? frame.step : 0, strips = [
    ["α", 1, BLUE, [0, 1], false, (v) => v.toFixed(2)], ["T", 2, PINK, [0.25, 32], true, (v) => v.toPrecision(3)],
    ["lr", 3, AMBER, [1e-4, 0.3], true, (v) => v.toPrecision(2)]];
  strips.forEach(([text, i, color, limits, log, words], k) => {
    const strip = box(338 + 31 * k, 26);
    const at = axes(ctx, strip, xs, limits, { log, bare: true, foot: k === 2 });
    ctx.textAlign = "right";
    put(ctx, text, left - 8, strip.y + 18, INK, 14, 600);
    const points = [];
    column(knobs, 4, i).forEach((v, row, list) => {
      if (row) points.push([knobs[4 * row], list[row - 1]]);
      points.push([knobs[4 * row], v]);
    });
    if (points.length) {
      points.push([Math.max(last, points.at(-1)[0]), points.at(-1)[1]]);
      line(ctx, at, points, { color, width: 2.4 });
      names(ctx, at, [{ at: points.at(-1), text: words(points.at(-1)[1]), color }]);
    }
  });
  ctx.textAlign = "center";
  put(ctx, "step", left + (split - left - 84) / 2, HEIGHT - 4, INK, 13);

  if (setup) targets(ctx, split + 6, 4, gap - 14, setup, curves[3], frame);
  share(ctx, split + 6, 248, gap - 14, frame);
  const half = (gap - 62) / 2;
  scatter(ctx, { x: split + 44, y: 338, w: half - 8, h: 76 }, shown, "alpha", [-0.06, 1.06], false, "final α");
  scatter(ctx, { x: split + 52 + half, y: 338, w: half - 8, h: 76 }, shown, "temperature", [0.2, 40], true, "final T");
}

function targets(ctx, x, y, width, setup, probabilities, frame) {
  const classes = setup.classes, n = classes.length, count = setup.labels.length, each = 74;
  const [, height, across] = setup.shape, bars = width - 76;
  const peak = Math.max(0.01, ...probabilities), scale = [0.1, 0.25, 0.5, 1].find((top) => top >= peak - 1e-3);
  ctx.textAlign = "left";
  const heat = frame && frame.temperature ? ` at T = ${frame.temperature.toPrecision(3)}` : "";
  put(ctx, `soft targets${heat}`, x, y + 14, INK, 14, 600);
  ctx.fillStyle = BLUE;
  ctx.fillRect(x + width - 166, y + 5, 11, 11);
  put(ctx, "teacher", x + width - 150, y + 15, INK, 13);
  hatch(ctx, x + width - 80, y + 5, 11, 11);
  put(ctx, "student", x + width - 64, y + 15, INK, 13);
  for (let i = 0; i < count; i++) {
    const base = y + 24 + i * each, floor = base + each - 20;
    picture(ctx, setup, i, x, base + 6, 46);
    const slot = bars / n, left = x + 70;
    ctx.fillStyle = GRID;
    ctx.fillRect(left, floor, bars, 1);
    ctx.fillRect(left, floor - each + 28, bars, 1);
    ctx.textAlign = "right";
    put(ctx, `${scale}`, left - 3, floor - each + 32, GREY, 11);
    for (let c = 0; c < n; c++) {
      const [teacher, student] = [i, count + i].map((row) => (probabilities[row * n + c] || 0) / scale);
      const wide = Math.max(2, slot * 0.38), high = each - 28;
      ctx.fillStyle = BLUE;
      ctx.fillRect(left + slot * c + slot * 0.1, floor - teacher * high, wide, teacher * high);
      hatch(ctx, left + slot * c + slot * 0.1 + wide + 1, floor - student * high, wide, student * high);
      ctx.textAlign = "center";
      const name = classes[c].slice(0, Math.max(1, slot / 8));
      put(ctx, name, left + slot * (c + 0.5), floor + 13, INK, 12, 400, "monospace");
      ctx.textAlign = "left";
    }
  }
}

const tiles = new WeakMap();
function picture(ctx, setup, i, x, y, size) {
  const [channels, height, width] = setup.shape;
  if (!tiles.has(setup)) tiles.set(setup, []);
  const made = tiles.get(setup);
  if (!made[i]) {
    const source = setup.bytes[0], plane = height * width, start = i * channels * plane;
    const data = new Uint8ClampedArray(4 * plane);
    for (let p = 0; p < plane; p++) {
      for (let c = 0; c < 3; c++) {
        const value = source.getUint8(start + (channels === 3 ? c : 0) * plane + p);
        data[4 * p + c] = channels === 1 ? 255 - value : value;
      }
      data[4 * p + 3] = 255;
    }
    made[i] = Object.assign(document.createElement("canvas"), { width, height });
    made[i].getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  }
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(made[i], x, y, size, size);
}

function share(ctx, x, y, width, frame) {
  const soft = frame ? frame.share : null;
  ctx.textAlign = "left";
  put(ctx, "whose gradient moves the student", x, y + 14, INK, 14, 600);
  ctx.strokeStyle = GREY;
  ctx.lineWidth = 1;
  ctx.strokeRect(x + 0.5, y + 22.5, width - 1, 15);
  if (soft === null || soft === undefined) return;
  ctx.fillStyle = BLUE;
  ctx.fillRect(x, y + 22, width * soft, 16);
  hatch(ctx, x + width * soft, y + 22, width * (1 - soft), 16, RED);
  put(ctx, `teacher ${Math.round(100 * soft)} %`, x, y + 52, BLUE, 13, 600);
  ctx.textAlign = "right";
  put(ctx, `labels ${Math.round(100 * (1 - soft))} %`, x + width, y + 52, RED, 13, 600);
  ctx.textAlign = "left";
}

function scatter(ctx, box, runs, key, limits, log, title) {
  const found = runs.filter((run) => run.accuracy !== null).map((run) => 100 * run.accuracy);
  const low = found.length ? Math.min(...found) : 0, high = found.length ? Math.max(...found) : 100;
  const pad = Math.max(1, (high - low) * 0.25);
  const range = [Math.max(0, low - pad), Math.min(101, high + pad)];
  const plot = axes(ctx, box, limits, range, { xlog: log, few: true, blank: log });
  ctx.textAlign = "center";
  put(ctx, title, box.x + box.w / 2, box.y + box.h + 31, INK, 13);
  if (key === "alpha") {
    ctx.textAlign = "left";
    put(ctx, "runs: test accuracy (%)", box.x - 36, box.y - 8, INK, 14, 600);
  }
  ctx.textAlign = "left";
  runs.forEach((run, i) => {
    if (run.accuracy === null) return;
    const x = plot.x(run[key]), y = plot.y(100 * run.accuracy), newest = i === runs.length - 1;
    ctx.beginPath();
    if (run.steered) [[0, -6], [6, 0], [0, 6], [-6, 0]].forEach(([dx, dy]) => ctx.lineTo(x + dx, y + dy));
    else ctx.arc(x, y, 5, 0, 7);
    ctx.closePath();
    ctx.fillStyle = run.state === "finished" ? (newest ? RED : BLUE) : "white";
    ctx.strokeStyle = newest ? RED : BLUE;
    ctx.lineWidth = 1.8;
    ctx.fill();
    ctx.stroke();
    if (!run.pinned && !newest) return;
    const fits = x + 9 + 7 * run.name.length < box.x + box.w;
    ctx.textAlign = fits ? "left" : "right";
    put(ctx, run.name, fits ? x + 9 : x - 9, y - 5, INK, 12);
    ctx.textAlign = "left";
  });
}

// The strokes that these pictures are made of.
function floatsOf(view) {
  const copy = view.buffer.slice(view.byteOffset, view.byteOffset + (view.byteLength & ~3));  // aligned
  return new Float32Array(copy);
}

const column = (table, width, i) => Array.from({ length: table.length / width }, (_, row) => table[row * width + i]);

function axes(ctx, box, xs, ys, looks) {
  const { title = "", log = false, xlog = false, bare = false, foot = true, few = false, blank = false } = looks;
  const map = ([a, b], from, span, logarithmic) => {
    const f = logarithmic ? Math.log : (v) => v;
    return (v) => from + span * ((f(v) - f(a)) / (f(b) - f(a) || 1));
  };
  const plot = { x: map(xs, box.x, box.w, xlog), y: map(ys, box.y + box.h, -box.h, log), box };
  ctx.fillStyle = bare ? "#f6f6f6" : "white";
  ctx.fillRect(box.x, box.y, box.w, box.h);
  ctx.textAlign = "right";
  if (!bare) ticks(ys, log, few ? 3 : 4).forEach((tick) => {
    ctx.fillStyle = GRID;
    ctx.fillRect(box.x, Math.round(plot.y(tick)), box.w, 1);
    if (!blank) put(ctx, short(tick), box.x - 6, plot.y(tick) + 4, INK, 12);
  });
  ctx.textAlign = "center";
  ticks(xs, xlog, few ? 3 : 5).forEach((tick) => {
    ctx.fillStyle = GRID;
    ctx.fillRect(Math.round(plot.x(tick)), box.y, 1, box.h);
    if (foot && (bare || few)) put(ctx, short(tick), plot.x(tick), box.y + box.h + 15, INK, 12);
  });
  ctx.fillStyle = GREY;
  ctx.fillRect(box.x, box.y, 1, box.h);
  ctx.fillRect(box.x, box.y + box.h, box.w, 1);
  ctx.textAlign = "left";
  if (title) put(ctx, title, box.x, box.y - 6, INK, 14, 600);
  return plot;
}

function line(ctx, plot, points, { color, width = 2, dash = [], dots = false }) {
  const { x, y, w, h } = plot.box;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y - 3, w + 3, h + 6);
  ctx.clip();
  stroke(ctx, points.map(([a, b]) => [plot.x(a), plot.y(b)]), color, width, dash);
  ctx.fillStyle = color;
  if (dots) points.forEach(([a, b]) => { ctx.beginPath(); ctx.arc(plot.x(a), plot.y(b), 3, 0, 7); ctx.fill(); });
  ctx.restore();
}

// Names in the margin right of their curves, with a sample of the line style, kept apart where they would overlap.
function names(ctx, plot, ends) {
  const { x, y, w, h } = plot.box, floor = y + h;
  ends.forEach((end) => { end.y = Math.min(Math.max(plot.y(end.at[1]), y + 6), floor); });
  ends.sort((a, b) => a.y - b.y).forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + 15); });
  const over = ends.length ? Math.max(0, ends.at(-1).y - floor) : 0;
  ends.forEach(({ text, color, dash, y: height }) => {
    if (dash) stroke(ctx, [[x + w + 6, height - over], [x + w + 30, height - over]], color, 2.4, dash);
    ctx.textAlign = "left";
    put(ctx, text, x + w + (dash ? 35 : 6), height - over + 4, color, 13, 600);
  });
}

function stroke(ctx, points, color, width, dash) {
  ctx.beginPath();
  points.forEach(([a, b], i) => ctx[i ? "lineTo" : "moveTo"](a, b));
  Object.assign(ctx, { strokeStyle: color, lineWidth: width, lineJoin: "round" });
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

function hatch(ctx, x, y, w, h, color = RED) {
  if (h <= 0 || w <= 0) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, h);
  ctx.clip();
  ctx.fillStyle = "#fbe3d3";
  ctx.fillRect(x, y, w, h);
  Object.assign(ctx, { strokeStyle: color, lineWidth: 1.5 });
  ctx.beginPath();
  for (let k = -h; k < w; k += 5) { ctx.moveTo(x + k, y + h); ctx.lineTo(x + k + h, y); }
  ctx.stroke();
  ctx.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
  ctx.restore();
}

function put(ctx, text, x, y, color, size = 13, weight = 400, family = FONT) {
  ctx.font = `${weight} ${size}px ${family}`;
  ctx.fillStyle = color;
  ctx.fillText(text, x, y);
}

function ticks([low, high], log, about) {
  const found = [];
  if (log) {
    const decades = Math.log10(high / low), marks = decades > 2.2 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
    const binary = low === 0.2 && high === 40;
    if (binary) return [0.5, 2, 8, 32];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      marks.forEach((m) => { const v = m * 10 ** e; if (v >= low && v <= high) found.push(v); });
    return found;
  }
  const raw = (high - low) / about, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5, 10].find((m) => m * unit >= raw) || 10);
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) found.push(Number(v.toPrecision(12)));
  return found;
}

const niceAbove = (value) => {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * unit >= value * 0.999);
};
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))];
const short = (v) => (v >= 1e6 ? `${v / 1e6}M` : v >= 1e4 ? `${v / 1e3}k`
  : v.toLocaleString("en", { maximumFractionDigits: 4 }));

export default { render };
