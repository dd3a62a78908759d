// The page: controls, link, and what the driver reports. The scripts above it are the worker's source as well.

const packed = JSON.parse($("data").textContent);
const data = { images: bytes(packed.images), labels: bytes(packed.labels), seeds: {} };
for (const [seed, { mean, std, logits }] of Object.entries(packed.seeds)) {
  data.seeds[seed] = { mean, std, logits: new Float32Array(bytes(logits).buffer) };
}
const table = choices(Object.keys(data.seeds).map(Number));
const KNOBS = ["alpha", "temperature", "lr"], MADE_OF = ["source", "missing", "images", "steps", "seed"];
const WORDS = { teacher: "teacher", labels: "no teacher", smoothing: "label smoothing", shuffled: "shuffled teacher" };
const MEANS = {
  teacher: "The teacher’s soft targets, weighed against the labels by alpha.",
  labels: "No teacher speaks; alpha has nothing to weigh.",
  smoothing: "No teacher speaks: a tenth of each label is spread evenly over all digits.",
  shuffled: "For each picture the teacher’s numbers of the nine wrong digits change places; that of the right one stays.",
};
const SHARES = { share: (y) => y, ticks: [[0, "0 %"], [0.25, ""], [0.5, "50 %"], [0.75, ""], [1, "100 %"]] };
const DECADES = { share: (y) => (Math.log10(y) + 4) / 6, // from 0.0001 to 100
  ticks: [[1e-4, "0.0001"], [1e-3, ""], [1e-2, "0.01"], [0.1, ""], [1, "1"], [10, ""], [100, "100"]] };
let settings, id = 0, frame = null, points = [], looks = [], before = [], finished = [], begun = null, asked = 0;

// --- the trainer: a worker made of this page's own scripts, because a page from disk may load no other file

function connect() {
  const source = ["random", "trainer", "driver"].map((name) => $(name).textContent).join("\n");
  try {
    const url = URL.createObjectURL(new Blob([`${source}\nonmessage = ((to) => (e) => to(e.data))(driver(postMessage));`]));
    const worker = new Worker(url);
    const waiting = [];
    let receive = (message) => { waiting.push(message); worker.postMessage(message); };
    worker.onmessage = (event) => show(event.data);
    worker.onerror = () => {
      if (frame) return tell("The training has stopped by an error; Reset starts it anew.");
      receive = onPage();
      waiting.forEach((message) => receive(message));
    };
    return (message) => receive(message);
  } catch {
    return onPage();
  }
}

function onPage() {
  tell("This browser starts no worker, so the training runs in small slices on the page itself: same numbers, but slower.");
  document.body.dataset.worker = "none";
  return driver(show);
}

function tell(sentence) {
  $("alert").hidden = false;
  $("alert").append(Object.assign(document.createElement("span"), { textContent: `${sentence} ` }));
}

// --- settings

const log2 = { temperature: true, lr: true };
const written = (name) => (name === "lr" ? String(Number(settings.lr.toPrecision(2))) : settings[name].toFixed(2));

function fillControls() {
  for (const name of Object.keys(table)) {
    const control = $(name);
    control.value = log2[name] ? Math.log2(settings[name]) : settings[name];
    if (KNOBS.includes(name)) {
      $(`${name}-shown`).value = written(name);
      control.setAttribute("aria-valuetext", written(name));
    }
  }
  $("alpha").disabled = !isTaught(settings.source);
  $("link").value = location.href.replace(/#.*/, "") + writeLink(settings);
  $("copy").textContent = "Copy";
  $("means").textContent = MEANS[settings.source];
}

function carry() {
  const link = writeLink(settings);
  try { history.replaceState(null, "", link); } catch { /* a browser that forbids it on disk: the field has the link */ }
}

function sendKnobs() {
  const knobs = Object.fromEntries(KNOBS.map((name) => [name, settings[name]]));
  send({ kind: "knobs", knobs, pace: settings.speed, picture: Number(settings.picture) });
}

function reset() {
  if (points.length) before = looks.map(({ step, accuracy }) => [step, accuracy]);
  [points, looks, frame, begun] = [[], [], null, null];
  id += 1; // from here on what the driver says of the run before is not heard
  const missing = settings.missing === "none" ? null : Number(settings.missing);
  const chosen = { seed: settings.seed, source: settings.source, missing, images: Number(settings.images), steps: Number(settings.steps) };
  sendKnobs();
  send({ kind: "reset", id, chosen });
}

function change(name, value) {
  settings[name] = value;
  fillControls();
  carry();
  if (MADE_OF.includes(name)) reset();
  else sendKnobs();
}

function choose(wanted) {
  settings = { ...usual(table), seed: settings.seed, speed: settings.speed, ...wanted };
  fillControls();
  carry();
  reset();
}

// --- what the driver says

// for those who hear the page; the same words again are not said again
function say(words) {
  if ($("spoken").textContent !== words) $("spoken").textContent = words;
}

function show(message) {
  if (message.id !== id) return; // of a run that was reset
  const earlier = frame && frame.state;
  frame = message;
  points.push(...message.points);
  looks.push(...message.looks);
  if (points.length && !begun) begun = describe(points[0]);
  if (message.state !== "training" || message.state !== earlier) say(status());
  asked = asked || requestAnimationFrame(paint);
  if (trial && trial.id !== id) drop("Another run was begun before its end.");
  if (message.state !== "finished" || earlier === "finished") return;
  note();
  ended(looks.at(-1), steered());
}

const isNamed = () => settings.missing !== "none";

function describe({ alpha, temperature, lr }) {
  const taught = isTaught(settings.source);
  const parts = [WORDS[settings.source], ...(taught ? [`alpha ${+alpha.toFixed(2)}`, `T ${+temperature.toFixed(2)}`] : [])];
  if (lr !== table.lr.usual) parts.push(`rate ${Number(lr.toPrecision(2))}`);
  if (isNamed()) parts.push(`no ${settings.missing}`);
  if (settings.images !== "50") parts.push(`${settings.images} pictures`);
  return [...parts, `seed ${settings.seed}`].join(", ");
}

const steered = () => points.some((point) => KNOBS.some((name) => point[name] !== points[0][name]));

function note() {
  const { accuracy, recall } = looks.at(-1);
  const missed = isNamed() ? `, recall of ${settings.missing}: ${percent(recall[settings.missing])}` : "";
  finished = [`${percent(accuracy)}${missed} — ${steered() ? `steered, at last ${describe(points.at(-1))}` : begun}`, ...finished].slice(0, 5);
  $("finished").replaceChildren(...finished.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

function status() {
  const found = looks.at(-1);
  const words = { ready: "ready", training: "training", paused: "paused", finished: "finished", failed: "failed: the loss is not finite; try a smaller learning rate" };
  return `${words[frame.state]}: step ${frame.step} of ${frame.steps}, ${frame.rows} pictures, test accuracy ${percent(found.accuracy)}`;
}

function paint() {
  asked = 0;
  if (!frame) return;
  const { state, step, steps, shown } = frame, found = looks.at(-1), last = points.at(-1);
  Object.assign(document.body.dataset, { state, step });
  $("status").textContent = status();
  $("go").textContent = state === "training" ? "Pause" : state === "finished" ? "Again" : "Start";
  $("step").disabled = state === "finished" || state === "failed";
  $("accuracy-now").textContent = percent(found.accuracy);
  $("recall-now").textContent = isNamed() ? percent(found.recall[settings.missing]) : "";
  $("recall-key").hidden = !isNamed();
  $("recall-name").textContent = settings.missing;
  $("before-key").hidden = !before.length;
  const taught = isTaught(settings.source);
  const of = (key) => points.map((point) => [point.step, point[key]]);
  const accuracy = [{ className: "before", xy: before }, { className: "accuracy", xy: looks.map((l) => [l.step, l.accuracy]) }];
  if (isNamed()) accuracy.push({ className: "recall", xy: looks.map((l) => [l.step, l.recall[settings.missing]]) });
  curves($("accuracy"), { list: accuracy, end: steps, ...SHARES });
  const parts = (taught ? ["soft", "hard"] : ["hard"]).map((key) => ({ className: key, xy: of(key) }));
  curves($("losses"), { list: parts, end: steps, ...DECADES });
  for (const key of ["soft", "hard", "loss"]) $(`${key}-now`).textContent = last && (taught || key !== "soft") ? last[key].toFixed(3) : "–";
  bars($("bars"), softmax(shown.teacher, settings.temperature), softmax(shown.student, settings.temperature));
  $("asked").textContent = taught ? WORDS[settings.source] : "teacher, silent";
  $("shown-t").textContent = settings.temperature.toFixed(2);
  $("used").textContent = shown.used ? "one of the training pictures" : "the student never sees this picture";
  const pixels = $("pixels").getContext("2d"), image = pixels.createImageData(8, 8);
  for (let i = 0; i < 64; i++) image.data.fill(255 - Math.round(data.images[shown.pixels * 64 + i] * 255 / 16), 4 * i, 4 * i + 3), (image.data[4 * i + 3] = 255);
  pixels.putImageData(image, 0, 0);
  $("pixels").setAttribute("aria-label", `A ${settings.picture} of 8 by 8 pixels`);
  nameCharts(steps);
}

// the charts in words
function nameCharts(steps) {
  const now = looks.at(-1), last = points.at(-1), at = `Curve from step 0 to ${now.step} of ${steps}`;
  const missed = isNamed() ? `, recall of the ${settings.missing} ${percent(now.recall[settings.missing])}` : "";
  const earlier = before.length ? `; the run before ended at ${percent(before.at(-1)[1])}` : "";
  $("accuracy").setAttribute("aria-label", `${at}. Accuracy from ${percent(looks[0].accuracy)} to ${percent(now.accuracy)}${missed}${earlier}`);
  const losses = last ? `soft loss from ${points[0].soft.toFixed(3)} to ${last.soft.toFixed(3)}, hard loss from ${points[0].hard.toFixed(3)} to ${last.hard.toFixed(3)} nats` : "no loss yet";
  $("losses").setAttribute("aria-label", `${at}; ${losses}`);
}

// --- start

function open() {
  const { settings: found, said } = readLink(location.hash, table);
  settings = found;
  $("alert").replaceChildren();
  $("alert").hidden = true;
  if (said) tell(said);
  fillControls();
}

for (const seed of Object.keys(data.seeds)) $("seed").add(new Option(seed));
for (const name of ["missing", "picture"]) for (const option of table[name].options) $(name).add(new Option(option));
open();
const send = connect();
send({ kind: "data", data });
reset();
for (const name of Object.keys(table)) {
  $(name).addEventListener("input", (event) => {
    const { value } = event.target, { low, high, options } = table[name];
    if (options) return change(name, value);
    change(name, Math.min(high, Math.max(low, log2[name] ? 2 ** value : Number(value))));
  });
}
const start = () => {
  if (frame && (frame.state === "finished" || frame.state === "failed")) reset();
  send({ kind: frame && frame.state === "training" ? "pause" : "go" });
};
$("go").addEventListener("click", start);
$("step").addEventListener("click", () => send({ kind: "step" }));
$("reset").addEventListener("click", reset);
$("copy").addEventListener("click", async () => {
  $("link").select();
  try { await navigator.clipboard.writeText($("link").value); $("copy").textContent = "Copied"; } catch { $("copy").textContent = "Press Ctrl-C or ⌘-C"; }
});
for (const name of Object.keys(EXPERIMENTS)) {
  guesses(name).forEach((button, at) => button.addEventListener("click", () => begin(name, at)));
}
addEventListener("hashchange", () => { if (location.hash !== writeLink(settings)) { open(); reset(); } });
addEventListener("resize", () => { asked = asked || requestAnimationFrame(paint); });
