// The pictures of the training panel: draws what steer.py sends, and keeps nothing but the last message of each kind.
// The strokes are chart.js's.
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
  put(ctx, `soft targets${frame && frame.temperature ? ` at T = ${frame.temperature.toPrecision(3)}` : ""}`, x, y + 14, INK, 14, 600);
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
      const teacher = (probabilities[i * n + c] || 0) / scale, student = (probabilities[(count + i) * n + c] || 0) / scale;
      const wide = Math.max(2, slot * 0.38), high = each - 28;
      ctx.fillStyle = BLUE;
      ctx.fillRect(left + slot * c + slot * 0.1, floor - teacher * high, wide, teacher * high);
      hatch(ctx, left + slot * c + slot * 0.1 + wide + 1, floor - student * high, wide, student * high);
      ctx.textAlign = "center";
      put(ctx, classes[c].slice(0, Math.max(1, slot / 8)), left + slot * (c + 0.5), floor + 13, INK, 12, 400, "monospace");
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
  const plot = axes(ctx, box, limits, [Math.max(0, low - pad), Math.min(101, high + pad)], { xlog: log, few: true, blank: log });
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
    if (run.steered) ["moveTo", "lineTo", "lineTo", "lineTo"].forEach((to, k) => ctx[to](x + [0, 6, 0, -6][k], y + [-6, 0, 6, 0][k]));
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

export default { render };
