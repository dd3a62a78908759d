// The strokes that a panel's canvas is made of; it stands before the panel's own file in one module, see steer.py.
// Every curve differs by line style or marker as well as by colour (Okabe and Ito's, as in plots.py; text is darker).
const BLUE = "#0072B2", RED = "#D55E00", GREEN = "#00805d", PINK = "#B0568F", AMBER = "#B87800", INK = "#1a1a1a";
const GREY = "#666666", GRID = "#e4e4e4", FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";

function floatsOf(view) {
  const copy = view.buffer.slice(view.byteOffset, view.byteOffset + (view.byteLength & ~3));  // aligned
  return new Float32Array(copy);
}

const column = (table, width, i) => Array.from({ length: table.length / width }, (_, row) => table[row * width + i]);

function axes(ctx, box, xs, ys, { title = "", log = false, xlog = false, bare = false, foot = true, few = false, blank = false }) {
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
const short = (v) => (v >= 1e6 ? `${v / 1e6}M` : v >= 1e4 ? `${v / 1e3}k` : v.toLocaleString("en", { maximumFractionDigits: 4 }));
