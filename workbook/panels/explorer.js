// The explorer of explorer.py: softmax, entropy and ranking of one row of logits, computed and drawn in the browser.
// The kernel hands over logits and pictures once as bytes, and hears of image, temperature and typed logits.

const SHOWN = 20; // classes with a row of their own; the least probable others share one line
const STYLE = `
.kd-explorer { --one: #0072b2; --at: #d55e00; --stripe: #ffffff88; max-width: 60rem; padding: 0.4rem 0.6rem 0.8rem;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 1rem; line-height: 1.4;
  color: var(--jp-content-font-color1, currentColor); }
[data-jp-theme-light="false"] .kd-explorer { --one: #56b4e9; --at: #e69f00; --stripe: #00000088; }
.kd-explorer-controls { display: grid; grid-template-columns: auto auto minmax(8rem, 1fr) 5.5rem; gap: 0.35rem 0.8rem;
  align-items: center; }
.kd-explorer-picture { grid-row: 1 / span 3; width: 7rem; height: 7rem; image-rendering: pixelated;
  border: 1px solid #8888; border-radius: 4px; }
.kd-explorer-typed .kd-explorer-picture { opacity: 0.12; }
.kd-explorer label { font-weight: 600; white-space: nowrap; }
.kd-explorer input { width: 100%; margin: 0; box-sizing: border-box; accent-color: var(--at); }
.kd-explorer input[type="range"] { height: 1.6rem; cursor: pointer; }
.kd-explorer-image { accent-color: var(--one); }
.kd-explorer input:focus-visible { outline: 3px solid var(--one); outline-offset: 2px; border-radius: 4px; }
.kd-explorer-logits { grid-column: 3 / span 2; padding: 0.3rem 0.5rem; color: inherit; border: 1px solid #888;
  border-radius: 4px; background: var(--jp-layout-color1, transparent);
  font: 0.95rem var(--jp-code-font-family, monospace); }
.kd-explorer-logits[aria-invalid="true"] { border: 2px solid var(--at); }
.kd-explorer output { font-variant-numeric: tabular-nums; font-weight: 600; }
.kd-explorer p { margin: 0.5rem 0; min-height: 1.4em; }
.kd-explorer p.kd-explorer-message { margin: 0.3rem 0 0; min-height: 1.4em;
  font: 700 0.95rem var(--jp-code-font-family, monospace); }
.kd-explorer-message:not(:empty)::before { content: "⚠ "; }
.kd-explorer-entropy { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.kd-explorer table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 1rem; }
.kd-explorer th, .kd-explorer td { padding: 0.1rem 0.5rem; text-align: left; background: none; border: 0;
  white-space: nowrap; }
.kd-explorer thead th { border-bottom: 1px solid #8888; font-size: 1.1rem; }
.kd-explorer col.kd-rank { width: 3.5rem; }
.kd-explorer col.kd-name { width: var(--kd-name); }
.kd-explorer tbody th { font: 700 1.15rem var(--jp-code-font-family, monospace); overflow: hidden;
  text-overflow: ellipsis; }
.kd-explorer-key { display: inline-block; width: 1.4em; height: 0.8em; margin-right: 0.4em; border-radius: 2px; }
.kd-explorer-cell { display: grid; grid-template-columns: 1fr 4.8rem; gap: 0.5rem; align-items: center;
  font-variant-numeric: tabular-nums; }
.kd-explorer-cell span { text-align: right; }
.kd-explorer-track { background: #8882; border-radius: 2px; }
.kd-explorer-bar { height: 1.05rem; min-width: 1px; border-radius: 2px; }
.kd-at-1 { background: var(--one); }
.kd-at-t { background: repeating-linear-gradient(135deg, transparent 0 5px, var(--stripe) 5px 8px), var(--at); }
@media (forced-colors: active) { .kd-explorer-bar { forced-color-adjust: none; } }
`;

let count = 0; // labels point to their inputs by ids, which must differ between two explorers on a page

function make(parent, tag, className = "", text = "", attributes = {}) {
  const node = parent.appendChild(document.createElement(tag));
  node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function softmax(logits, temperature) {
  const top = Math.max(...logits);
  const shares = logits.map((z) => Math.exp((z - top) / temperature));
  const sum = shares.reduce((a, b) => a + b);
  return shares.map((share) => share / sum);
}

function entropy(shares) {
  return shares.reduce((bits, p) => (p > 0 ? bits - p * Math.log2(p) : bits), 0);
}

const percent = (p) => (p > 0 && p < 5e-5 ? "< 0.01 %" : `${(100 * p).toFixed(2)} %`);
const short = (number) => String(Number(number.toFixed(2)));

// The numbers of a text, or one sentence that says what is wrong with it.
function parse(text, classes) {
  const words = text.replace(/−/g, "-").split(/[\s,;[\]()]+/).filter(Boolean);
  const wanted = `Type ${classes.length} numbers, one for each class (${classes.slice(0, 12).join(" ")}` +
    `${classes.length > 12 ? " …" : ""}), with spaces or commas between them`;
  const wrong = words.find((word) => !Number.isFinite(Number(word)));
  if (wrong !== undefined) return `${wanted}: “${wrong.slice(0, 20)}” is not a number.`;
  return words.length === classes.length || !words.length ? words.map(Number) : `${wanted}: here are ${words.length}.`;
}

function paint(canvas, bytes, [, channels, height, width], image) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height), size = width * height;
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      const value = bytes[(image * channels + (channels === 3 ? c : 0)) * size + i];
      pixels.data[4 * i + c] = channels === 1 ? 255 - value : value; // ink on paper, as plots.images draws it
    }
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

function render({ model, el }) {
  const classes = model.get("classes"), shape = model.get("shape"), id = `kd-explorer-${++count}`;
  const bytes = (name) => { // a copy, because a view may begin anywhere
    const { buffer, byteOffset, byteLength } = model.get(name);
    return buffer.slice(byteOffset, byteOffset + byteLength);
  };
  let table = new Float32Array(bytes("table"));
  const pictures = new Uint8Array(bytes("pictures"));

  const root = make(el, "div", "kd-explorer");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Soft targets explorer");
  make(root, "style", "", STYLE);
  root.style.setProperty("--kd-name", `${Math.min(16, Math.max(8, ...classes.map((name) => name.length + 2)))}ch`);
  const controls = make(root, "div", "kd-explorer-controls");
  const canvas = make(controls, "canvas", "kd-explorer-picture", "", { role: "img" });
  const field = (name, text, attributes) => {
    make(controls, "label", "", text, { for: `${id}-${name}` });
    return make(controls, "input", `kd-explorer-${name}`, "", { id: `${id}-${name}`, "aria-label": text,
      "data-lm-suppress-shortcuts": "true", // JupyterLab looks from the focused element up: arrow keys would be its own
      ...attributes });
  };
  const image = field("image", "image", { type: "range", min: 0, max: shape[0] - 1, step: 1 });
  const imageText = make(controls, "output", "", "", { for: image.id });
  const [low, high] = model.get("bounds").map(Math.log2); // the slider's value is log2 of T
  const heat = field("temperature", "temperature T", { type: "range", min: low, max: high, step: 0.125 });
  const heatText = make(controls, "output", "", "", { for: heat.id });
  const logits = field("logits", "logits", { type: "text", spellcheck: "false", autocomplete: "off",
    "aria-describedby": `${id}-message`, title: `one number for each class: ${classes.join(" ")}` });
  const message = make(root, "p", "kd-explorer-message", "", { id: `${id}-message`, role: "status" });
  const bits = make(root, "p", "kd-explorer-entropy");

  const chart = make(root, "table");
  const columns = make(chart, "colgroup");
  ["kd-rank", "kd-name", "", ""].forEach((name) => make(columns, "col", name));
  const head = make(make(chart, "thead"), "tr");
  ["rank", "class", "", ""].forEach((text) => make(head, "th", "", text, { scope: "col" }));
  const titles = ["kd-at-1", "kd-at-t"].map((look, i) => {
    make(head.children[2 + i], "span", `kd-explorer-key ${look}`);
    return make(head.children[2 + i], "span");
  });
  const body = make(chart, "tbody");
  const rows = classes.slice(0, SHOWN).map((_, place) => {
    const row = make(body, "tr");
    make(row, "td", "kd-explorer-rank", `${place + 1}.`);
    const name = make(row, "th", "", "", { scope: "row" });
    const cells = ["kd-at-1", "kd-at-t"].map((look) => {
      const cell = make(make(row, "td"), "div", "kd-explorer-cell");
      const track = make(cell, "div", "kd-explorer-track", "", { "aria-hidden": "true" });
      return [make(track, "div", `kd-explorer-bar ${look}`), make(cell, "span")];
    });
    return { name, cells };
  });
  const others = make(root, "p", "kd-explorer-others");
  others.hidden = classes.length <= SHOWN;

  const typed = () => model.get("logits").length > 0;
  const current = () => typed() ? model.get("logits")
    : Array.from(table.subarray(model.get("image") * classes.length, (model.get("image") + 1) * classes.length));

  function draw() {
    const z = current(), T = model.get("temperature"), name = short(T);
    const order = z.map((_, i) => i).sort((a, b) => z[b] - z[a] || a - b);
    const both = [[1, softmax(z, 1)], [T, softmax(z, T)]];
    const [one, at] = both.map(([, shares]) => entropy(shares).toFixed(2));
    rows.forEach(({ name: label, cells }, place) => {
      const c = order[place];
      label.textContent = classes[c];
      cells.forEach(([bar, text], i) => {
        const [temperature, shares] = both[i];
        bar.style.width = `${100 * shares[c]}%`;
        text.textContent = percent(shares[c]);
        Object.assign(bar.dataset, { class: classes[c], probability: shares[c], temperature });
      });
    });
    const rest = both.map(([, shares]) => percent(order.slice(SHOWN).reduce((sum, c) => sum + shares[c], 0)));
    others.textContent =
      `The other ${classes.length - SHOWN} classes together: ${rest[0]} at T = 1, ${rest[1]} at T = ${name}`;
    titles[0].textContent = "T = 1";
    titles[1].textContent = `T = ${name}`;
    bits.textContent = `Entropy ${one} bits at T = 1, ${at} bits at T = ${name}; ` +
      `${classes.length} equal shares have ${Math.log2(classes.length).toFixed(2)}`;
    heat.value = Math.log2(T);
    heatText.textContent = name;
    heat.setAttribute("aria-valuetext", `T = ${name}, entropy ${at} bits`);
  }

  function choose() { // another image, or other logits: everything but the temperature is new
    root.classList.toggle("kd-explorer-typed", typed());
    image.value = model.get("image");
    imageText.textContent = typed() ? "typed" : model.get("image");
    canvas.setAttribute("aria-label", typed() ? "no picture, the logits were typed" : `image ${model.get("image")}`);
    image.setAttribute("aria-valuetext", typed() ? "no image, the logits were typed" : `image ${model.get("image")}`);
    paint(canvas, pictures, shape, model.get("image"));
    if (root.getRootNode().activeElement !== logits) fill();
    draw();
  }

  function fill() {
    logits.value = current().map(short).join(" ");
    say("");
  }

  function say(sentence) {
    message.textContent = sentence;
    logits.setAttribute("aria-invalid", Boolean(sentence));
  }

  image.addEventListener("input", () => {
    model.set({ image: Number(image.value), logits: [] });
    fill();
    model.save_changes();
  });
  heat.addEventListener("input", () => {
    model.set("temperature", 2 ** Number(heat.value));
    model.save_changes();
  });
  logits.addEventListener("input", () => {
    const found = parse(logits.value, classes);
    say(typeof found === "string" ? found : "");
    if (typeof found === "string") return; // the last good picture stays
    model.set("logits", found);
    model.save_changes();
  });
  model.on("change:temperature", draw);
  model.on("change:image", choose);
  model.on("change:logits", choose);
  model.on("change:table", () => { // other logits for the same pictures
    table = new Float32Array(bytes("table"));
    choose();
  });
  choose();
}

export default { render };
