// The translator of conventions.py: settings of one library in the words of all others, computed in the browser.
// The kernel hands over what each convention is, and hears of source, settings and classes.

const STYLE = `
.kd-conventions { --right: #009e73; --wrong: #d55e00; --stripe: #ffffff88; max-width: 66rem;
  padding: 0.4rem 0.6rem 0.8rem; font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 0.95rem;
  line-height: 1.4; color: var(--jp-content-font-color1, currentColor); }
[data-jp-theme-light="false"] .kd-conventions { --right: #35c79c; --wrong: #e69f00; --stripe: #00000088; }
.kd-conventions-controls { display: grid; grid-template-columns: max-content minmax(8rem, 20rem) 5rem; gap: 0.35rem 0.8rem;
  align-items: center; }
.kd-conventions label { font-weight: 600; white-space: nowrap; }
.kd-conventions select, .kd-conventions input { width: 100%; margin: 0; box-sizing: border-box; font: inherit;
  color: inherit; background: var(--jp-layout-color1, transparent); accent-color: var(--wrong); }
.kd-conventions select, .kd-conventions input[type="number"] { border: 1px solid #888; border-radius: 4px;
  padding: 0.2rem 0.3rem; }
.kd-conventions input[type="range"] { height: 1.6rem; cursor: pointer; }
.kd-conventions :focus-visible { outline: 3px solid #0072b2; outline-offset: 2px; border-radius: 4px; }
.kd-conventions output { font-variant-numeric: tabular-nums; font-weight: 600; }
.kd-conventions p { margin: 0.5rem 0; min-height: 1.4em; }
.kd-conventions code { font: 0.85rem var(--jp-code-font-family, monospace); overflow-wrap: anywhere; background: none; }
.kd-conventions table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 0.95rem; }
.kd-conventions th, .kd-conventions td { padding: 0.2rem 0.5rem; text-align: left; background: none; border: 0;
  white-space: normal; vertical-align: top; }
.kd-conventions tbody tr { border-top: 1px solid #8884; background: none; }
.kd-conventions col:nth-child(1) { width: 11rem; }
.kd-conventions col:nth-child(3) { width: 5.5rem; }
.kd-conventions col:nth-child(4) { width: 14rem; }
.kd-conventions button { font: inherit; font-size: 0.8rem; margin-left: 0.5rem; padding: 0 0.4rem; color: inherit;
  background: none; border: 1px solid #888; border-radius: 4px; cursor: pointer; }
.kd-conventions-track { position: relative; height: 0.6rem; background: #8882; border-radius: 2px; }
.kd-conventions-track::after { content: ""; position: absolute; left: 50%; top: -2px; bottom: -2px; width: 1px;
  background: currentColor; }
.kd-conventions-bar { position: absolute; top: 0; bottom: 0; border-radius: 2px;
  background: repeating-linear-gradient(135deg, transparent 0 5px, var(--stripe) 5px 8px), var(--wrong); }
.kd-conventions-right { color: var(--right); font-weight: 600; }
@media (forced-colors: active) { .kd-conventions-bar { forced-color-adjust: none; } }
`;

let count = 0; // labels point to their inputs by ids, which must differ between two panels on a page

function make(parent, tag, className = "", text = "", attributes = {}) {
  const node = parent.appendChild(document.createElement(tag));
  node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// What follows says again what workbook/labs/conventions.py says; the browser's tests compare the two.

const perWeight = (c, T, classes) => (c.squared ? T * T : 1) / (c.per_number ? classes : 1);
const heat = (c, given) => c.temperature ? given[c.temperature] : 1;

function weights(c, given) {
  const soft = c.soft ? given[c.soft] : 1 - given[c.hard];
  return { soft, hard: c.hard ? given[c.hard] : c.fixed ? 1 : 1 - soft };
}

function pull(c, given, classes) { // hard · ∇CE + soft · ∇KL at T
  const { soft, hard } = weights(c, given), T = heat(c, given);
  return c.drops && !hard ? { hard: 0, soft: 1, T } : { hard, soft: soft * perWeight(c, T, classes), T };
}

function settingsFor(c, { hard, soft, T }, classes) { // settings and scale, or a sentence that says why not
  if (!c.translatable) return `another loss: ${c.form}`;
  if (!c.temperature && soft && T !== 1) return `it has no temperature: only T = 1 translates`;
  if (c.fixed && !hard) return "the labels always weigh 1 there";
  if (c.drops && !hard) return { settings: { [c.temperature]: T, [c.hard]: 0, [c.soft]: 1 }, scale: 1 / soft };
  const weight = soft / perWeight(c, c.temperature ? T : 1, classes);
  const total = c.fixed ? hard : c.soft && c.hard ? 1 : hard + weight;
  return { settings: { [c.temperature]: T, [c.hard]: hard / total, [c.soft]: weight / total }, scale: 1 / total };
}

function copied(one, other, given) {
  const { soft, hard } = weights(one, given), single = (c) => Boolean(c.soft) !== Boolean(c.hard);
  const found = single(one) && single(other)
    ? { [other.soft || other.hard]: given[one.soft || one.hard] } : { [other.soft]: soft, [other.hard]: hard };
  return { ...found, [other.temperature]: heat(one, given) };
}

function times(one, other, given, classes) {
  const numbers = copied(one, other, given), only = Boolean(other.soft) !== Boolean(other.hard) && !other.fixed;
  if (only && numbers[other.soft || other.hard] > 1) return null; // a number that it does not take
  const before = pull(one, given, classes), after = pull(other, numbers, classes);
  const was = before.soft * after.hard, is = after.soft * before.hard;
  if (was) return is / was;
  return is ? Infinity : before.hard === after.hard && before.soft === after.soft ? 1 : NaN;
}

function off(value) { // as workbook/plots/conventions.py says it
  if (Number.isNaN(value)) return "nothing to weigh: only the scale differs";
  if (value === 0) return "the teacher is lost";
  if (value === Infinity) return "the labels are lost";
  if (Math.abs(value - 1) < 1e-9) return "right";
  const much = Math.max(value, 1 / value);
  const text = much < 999.5 ? String(Number(much.toPrecision(3))) : Math.round(much).toLocaleString("en");
  return `${text} times too ${value < 1 ? "weak" : "strong"}`;
}

const short = (value) => String(Number(value.toPrecision(10)));
const line = (c, settings) => c.code.replace(/\{(\w+)\}/g, (_, name) => short(settings[name]));

function render({ model, el }) {
  const all = model.get("conventions"), id = `kd-conventions-${++count}`;
  const find = () => all.find((c) => c.name === model.get("source"));
  const settings = () => ({ ...find().start, ...model.get("settings") });
  const root = make(el, "div", "kd-conventions", "", { role: "group", "aria-label": "Translator of conventions" });
  make(root, "style", "", STYLE);
  const controls = make(root, "div", "kd-conventions-controls");
  const quiet = { "data-lm-suppress-shortcuts": "true" }; // JupyterLab's keys: arrow keys would be its own
  const message = make(root, "p", "kd-conventions-message", "", { role: "status" });
  const chart = make(root, "table"), columns = make(chart, "colgroup");
  for (let i = 0; i < 4; i++) make(columns, "col");
  const head = make(make(chart, "thead"), "tr");
  ["convention", "equal settings", "lr ×", "the numbers copied unchanged"]
    .forEach((text) => make(head, "th", "", text, { scope: "col" }));
  head.children[2].title = "what to multiply the learning rate of plain SGD with";
  const body = make(chart, "tbody");

  function field(tag, name, text, attributes) {
    make(controls, "label", "", text, { for: `${id}-${name}` });
    return make(controls, tag, `kd-conventions-${name}`, "", { id: `${id}-${name}`, "aria-label": text, ...quiet,
      ...attributes });
  }

  function build() { // the controls of the source's own numbers
    const c = find(), focused = root.getRootNode().activeElement?.id;
    controls.replaceChildren();
    const source = field("select", "source", "convention", {});
    make(controls, "span");
    all.filter((other) => other.translatable).forEach(({ name }) => make(source, "option", "", name, { value: name }));
    source.value = c.name;
    source.addEventListener("change", () => {
      const next = all.find((other) => other.name === source.value);
      model.set({ source: next.name, settings: { ...next.start } });
      model.save_changes();
    });
    for (const name of Object.keys(c.start)) {
      const range = name === c.temperature ? { min: 0.5, max: 20, step: 0.5 } : { min: 0, max: 1, step: 0.01 };
      const weighs = name === c.soft ? "weighs the teacher" : name === c.hard ? "weighs the labels" : "temperature";
      const slider = field("input", name, name === weighs ? name : `${name}: ${weighs}`, { type: "range", ...range });
      const output = make(controls, "output", "", "", { for: slider.id });
      const tell = () => {
        output.textContent = short(settings()[name]);
        slider.setAttribute("aria-valuetext", `${name} ${output.textContent}`);
      };
      slider.value = settings()[name];
      tell();
      slider.addEventListener("input", () => {
        model.set("settings", { ...settings(), [name]: Number(slider.value) });
        model.save_changes();
        tell();
      });
    }
    const classes = field("input", "classes", "classes", { type: "number", min: 2, step: 1 });
    make(controls, "span");
    classes.value = model.get("classes");
    classes.addEventListener("input", () => {
      const value = Number(classes.value), good = Number.isInteger(value) && value >= 2;
      classes.setAttribute("aria-invalid", !good);
      if (!good) return void (message.textContent = "⚠ classes must be a whole number, 2 or more");
      model.set("classes", value);
      model.save_changes();
      draw();
    });
    if (focused) document.getElementById(focused)?.focus();
    draw();
  }

  function draw() {
    const c = find(), given = settings(), classes = model.get("classes");
    body.replaceChildren();
    const here = pull(c, given, classes);
    if (!here.hard && !here.soft) {
      message.textContent = "⚠ both weights are 0: nothing would be learned";
      return;
    }
    const number = (value) => String(Number(value.toPrecision(4)));
    message.textContent = `The gradient is ${number(here.hard)} · ∇CE + ${number(here.soft)} · ∇KL at T = ` +
      `${number(here.T)}, with the KL summed over classes.${c.note ? ` Note: ${c.note}.` : ""}`;
    for (const other of all.filter((one) => one.name !== c.name)) {
      const row = make(body, "tr"), found = settingsFor(other, here, classes);
      make(row, "th", "", other.name, { scope: "row", title: other.source });
      const cell = make(row, "td"), rate = make(row, "td"), wrong = make(row, "td");
      row.dataset.name = other.name;
      if (typeof found === "string") cell.textContent = `no translation: ${found}`;
      else {
        const text = line(other, found.settings);
        make(cell, "code", "", text);
        const button = make(cell, "button", "", "copy", { type: "button", "aria-label": `copy: ${other.name}`, ...quiet });
        button.addEventListener("click", async () => {
          await navigator.clipboard?.writeText(text);
          button.textContent = navigator.clipboard ? "copied" : "select it";
        });
        rate.textContent = number(1 / found.scale);
        Object.assign(row.dataset, { line: text, scale: found.scale });
      }
      if (!other.translatable) continue;
      const value = times(c, other, given, classes);
      if (value === null) {
        wrong.textContent = "it takes no weight above 1";
        continue;
      }
      row.dataset.times = value;
      if (value > 0 && value < Infinity && Math.abs(value - 1) > 1e-9) {
        const bar = make(make(wrong, "div", "kd-conventions-track", "", { "aria-hidden": "true" }), "div",
          "kd-conventions-bar");
        bar.style[value < 1 ? "right" : "left"] = "50%";
        bar.style.width = `${Math.min(1, Math.abs(Math.log10(value)) / 4) * 50}%`; // to 10,000 times
      }
      make(wrong, "span", off(value) === "right" ? "kd-conventions-right" : "", off(value));
    }
  }

  model.on("change:source", build);
  model.on("change:settings change:classes", refresh);
  function refresh() { // other numbers, from the controls or from the kernel
    for (const [name, value] of Object.entries(settings())) {
      const slider = controls.querySelector(`.kd-conventions-${name}`);
      if (!slider) continue;
      slider.value = value;
      slider.nextElementSibling.textContent = short(value);
    }
    const field = controls.querySelector(".kd-conventions-classes");
    if (Number(field.value) !== model.get("classes")) {
      field.value = model.get("classes");
      field.setAttribute("aria-invalid", false);
    }
    draw();
  }
  build();
}

export default { render };
