// Two pictures drawn from plain numbers: curves as SVG, and soft targets as bars. Colours come from the style sheet.

const SVG = "http://www.w3.org/2000/svg";

function element(parent, name, attributes = {}, text = "") {
  const node = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

// list: [{ className, xy: [[x, y], …] }], on x from 0 to `end`; share: how high a y stands, 0 .. 1; ticks: [[y, its label or ""], …]
function curves(svg, { list, end, share, ticks }) {
  svg.replaceChildren();
  const { width, height } = svg.getBoundingClientRect();
  if (!width) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const letter = parseFloat(getComputedStyle(svg).fontSize), [left, right, above, below] = [3.6 * letter, 10, 8, 1.5 * letter];
  const x = (value) => left + value / end * (width - left - right);
  const y = (value) => above + (1 - Math.min(1, Math.max(0, share(value)))) * (height - above - below);
  for (const [value, label] of ticks) {
    element(svg, "line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" });
    element(svg, "text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, label);
  }
  for (const value of [0, end / 2, end]) {
    const anchor = value === end ? "end" : value ? "middle" : "start";
    element(svg, "text", { x: x(value), y: height - 5, "text-anchor": anchor }, value === end ? `step ${value}` : `${value}`);
  }
  for (const { className, xy } of list) {
    element(svg, "polyline", { points: xy.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), class: className });
    if (xy.length) element(svg, "circle", { cx: x(xy.at(-1)[0]), cy: y(xy.at(-1)[1]), r: 3.5, class: className });
  }
}

// ten rows of a table body, with a bar for teacher and student in each
function bars(body, teacher, student) {
  body.replaceChildren(...teacher.map((p, digit) => {
    const row = document.createElement("tr");
    const name = Object.assign(row.appendChild(document.createElement("th")), { textContent: digit, scope: "row" });
    name.className = p === Math.max(...teacher) ? "top" : "";
    for (const [who, share] of [["teacher", p], ["student", student[digit]]]) {
      const cell = row.appendChild(document.createElement("td"));
      const bar = cell.appendChild(document.createElement("i"));
      bar.className = who;
      bar.style.width = `${(52 * share).toFixed(2)}%`;
      cell.append(percent(share));
    }
    return row;
  }));
}
