// Drives a Run when messages say so and reports what came of it: in a worker or, where there is none, on the page in small
// slices. Nothing here draws.

const PACES = { slow: 1000, steady: 20, full: 0 }; // ms from one step to the next
const SLICE = 30, EVERY = 5; // ms at a stretch between two looks at new messages; steps between two evaluations

function driver(post) {
  let data, run, knobs, pace, picture = 0, state = "ready", timer = 0, points = [], looks = [], posted = 0;

  function look() {
    const found = { step: run.step, ...run.evaluate() };
    looks.push(found);
    run.looked = run.step;
  }

  function report() {
    const { images, labels, order } = run.parts;
    const shown = labels.indexOf(picture); // the first training picture of that digit
    post({
      kind: "frame", id: run.id, state, step: run.step, steps: run.steps, points, looks,
      shown: { pixels: order[shown], teacher: [...run.teacher.subarray(shown * CLASSES, (shown + 1) * CLASSES)],
        student: [...run.logits(images.subarray(shown * PIXELS, (shown + 1) * PIXELS))], used: run.rows.includes(shown) },
      rows: run.rows.length,
    });
    [points, looks, posted] = [[], [], performance.now()];
  }

  function advance() {
    points.push({ ...run.advance(knobs), ...knobs });
    if (!Number.isFinite(points.at(-1).loss)) state = "failed";
    else if (run.step === run.steps) state = "finished";
    if (run.step % EVERY === 0 || state !== "training" || pace === "slow") look();
  }

  function slice() {
    const begun = performance.now();
    do advance(); while (state === "training" && !PACES[pace] && performance.now() - begun < SLICE);
    if (state !== "training" || performance.now() - posted > 60) report();
    plan(Math.max(0, PACES[pace] - (performance.now() - begun)));
  }

  function plan(wait) {
    clearTimeout(timer);
    if (state === "training") timer = setTimeout(slice, wait);
  }

  const over = () => state === "finished" || state === "failed";
  const does = {
    data: (message) => { data = message.data; },
    reset(message) {
      run = Object.assign(new Run(data, message.chosen), { id: message.id });
      [state, points, looks] = ["ready", [], []];
      look();
      report();
    },
    knobs: (message) => { ({ knobs, pace, picture } = message); if (run) report(); },
    go: () => { if (!over()) { state = "training"; report(); } },
    pause() {
      if (state !== "training") return;
      state = "paused";
      if (run.looked !== run.step) look();
      report();
    },
    step() {
      if (over()) return;
      state = "paused";
      advance();
      report();
    },
  };
  return (message) => { does[message.kind](message); plan(PACES[pace] || 0); };
}
