// The table of grid.py: a button for each student; a click or an arrow key selects one.
// The kernel hears of the selected cell; what it shows for it stands in grid.py.

const STYLE = `
.kd-map { max-width: 60rem; padding: 0.4rem 0.6rem; font-family: var(--jp-ui-font-family, system-ui, sans-serif);
  font-size: 1rem; line-height: 1.25; color: var(--jp-content-font-color1, currentColor); --ring: #d55e00; }
[data-jp-theme-light="false"] .kd-map { --ring: #e69f00; }
.kd-map table { border-collapse: separate; border-spacing: 3px; margin: 0; font-size: 1rem; }
.kd-map caption { caption-side: bottom; text-align: left; padding-top: 0.4rem; white-space: normal; color: inherit; }
.kd-map th, .kd-map td { padding: 0; text-align: center; background: none; border: 0; }
.kd-map th { padding: 0.1rem 0.6rem; font-weight: 600; white-space: nowrap; }
.kd-map button { width: 5.4rem; height: 3rem; padding: 0; color: inherit; font: inherit;
  font-variant-numeric: tabular-nums; border: 1px solid #8888; border-radius: 4px; cursor: pointer;
  white-space: pre-line; }
.kd-map button.kd-dark { color: white; }
.kd-map button[aria-pressed="true"] { outline: 3px solid var(--ring); outline-offset: 0; font-weight: 700; }
.kd-map button:focus-visible { outline: 3px dashed var(--ring); }
@media (forced-colors: active) { .kd-map button { forced-color-adjust: none; } }
`;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function make(parent, tag, text = "", attributes = {}) {
  const node = parent.appendChild(document.createElement(tag));
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function render({ model, el }) {
  const [rows, columns, texts, shades] = ["rows", "columns", "texts", "shades"].map((name) => model.get(name));
  const label = "Map of students by alpha and temperature";
  const root = make(el, "div", "", { class: "kd-map", role: "group", "aria-label": label });
  make(root, "style", STYLE);
  const table = make(root, "table");
  make(table, "caption", "Gain over the student alone in points ± half of its 95 % interval; in brackets where the " +
    "interval holds zero. A click or the arrow keys select a student.");
  const head = make(make(table, "thead"), "tr");
  make(head, "th", "alpha ↓  T →", { scope: "col" });
  columns.forEach((name) => make(head, "th", name, { scope: "col" }));
  const body = make(table, "tbody");
  const buttons = rows.map((row, i) => {
    const line = make(body, "tr");
    make(line, "th", row, { scope: "row" });
    return columns.map((column, j) => {
      const button = make(make(line, "td"), "button", texts[i][j], {
        type: "button", "aria-label": `alpha ${row}, T ${column}: ${texts[i][j].replace("\n", " ")} points`,
        "data-lm-suppress-shortcuts": "true", // JupyterLab would take the arrow keys
        "data-cell": `${i} ${j}`,
      });
      button.style.background = `rgb(0 114 178 / ${shades[i][j]})`;
      button.classList.toggle("kd-dark", shades[i][j] > 0.85);
      button.addEventListener("click", () => select(i, j));
      return button;
    });
  });

  function select(i, j) {
    buttons[i][j].focus();
    model.set("cell", [i, j]);
    model.save_changes();
  }

  function mark() { // one stop for the Tab key: the selected cell
    const [row, column] = model.get("cell");
    buttons.forEach((line, i) => line.forEach((button, j) => {
      button.setAttribute("aria-pressed", i === row && j === column);
      button.tabIndex = i === row && j === column ? 0 : -1;
    }));
  }

  table.addEventListener("keydown", (event) => {
    const step = STEPS[event.key], [row, column] = model.get("cell");
    if (!step) return;
    event.preventDefault();
    const within = (place, length) => Math.min(Math.max(place, 0), length - 1);
    select(within(row + step[0], rows.length), within(column + step[1], columns.length));
  });
  model.on("change:cell", mark);
  mark();
}

export default { render };
