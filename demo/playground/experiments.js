// Three experiments: a guess, two runs with the same pictures and first weights, what came of them, and why.

const SAME = 0.01; // accuracies that differ by less count as alike
const ahead = (a, b) => (Math.abs(a - b) < SAME ? 2 : a > b ? 0 : 1);
// runs: their settings by name; figure: what is read off the end of a run; verdict: which of the buttons was right;
// usual: the verdicts that `why` explains
const EXPERIMENTS = {
  listening: {
    runs: { "Teacher alone": { alpha: 1 }, "labels alone": { alpha: 0 } }, figure: (end) => end.accuracy, verdict: ahead, usual: [0],
    why: ({ ends: [, labels] }) => `The labels’ student reads ${percent(labels.own)} of its own 50 pictures right: it has learnt what it was given.
      A label names one digit; a soft target also says how like the nine others the picture is, and this the teacher has from 1,000 digits.`,
  },
  temperature: {
    runs: { "T = 1": { temperature: 1 }, "T = 4": { temperature: 4 } }, figure: (end) => end.accuracy, verdict: ahead, usual: [1],
    why: ({ seed }) => `On these 50 pictures the teacher gives its first choice ${percent(firstShare(seed, 1))} on average at T = 1, much as a label does,
      and ${percent(firstShare(seed, 4))} at T = 4. What it gives the nine others is what a label does not tell.`,
  },
  missing: {
    runs: { "Threes from labels alone": { missing: "3", source: "labels" }, "from the teacher": { missing: "3" } }, figure: (end) => end.recall[3],
    verdict: (labels, teacher) => (teacher === 0 ? 0 : teacher < 0.5 ? 1 : 2), usual: [1, 2],
    why: ({ seed }) => {
      const { digit, share } = likeness(seed, 3, 4);
      return `No label speaks for a 3. The teacher does, in pictures of other digits: at T = 4 it gives the 3 most in those of the ${digit}, ${percent(share)} on average.
        Does the student recognise more when it learns from 1,000 pictures? Choose them above, and press Start.`;
    },
  },
};

// the teacher's soft targets of the first 50 training pictures of a seed, with their labels
function targets(seed, t) {
  const { logits, labels } = split(data, seed);
  return labels.slice(0, 50).map((label, row) => ({ label, shares: softmax([...logits.subarray(row * CLASSES, (row + 1) * CLASSES)], t) }));
}

const mean = (numbers) => numbers.reduce((a, b) => a + b) / numbers.length;
const firstShare = (seed, t) => mean(targets(seed, t).map(({ shares }) => Math.max(...shares)));

// in pictures of which other digit the teacher gives this one most, and how much of 1 on average
function likeness(seed, missing, t) {
  const known = targets(seed, t);
  const of = (digit) => ({ digit, share: mean(known.filter(({ label }) => label === digit).map(({ shares }) => shares[missing])) });
  const others = [...new Set(known.map(({ label }) => label))].filter((digit) => digit !== missing);
  return others.map(of).reduce((a, b) => (b.share > a.share ? b : a));
}

// --- a trial is one experiment with one seed

let trial = null; // { name, guess, seed, ends: of its runs, id: of the run that is on }
const verdicts = {}; // of each experiment, by seed
const part = (name, what) => document.querySelector(`[data-experiment=${name}] ${what}`);
const guesses = (name) => [...part(name, ".guesses").children];

function begin(name, guess, seed = settings.seed) {
  drop("Another experiment was begun before its end.");
  trial = { name, guess, seed, ends: [] };
  guesses(name).forEach((button, at) => button.setAttribute("aria-pressed", at === guess));
  part(name, "details").hidden = true;
  next();
}

function next() {
  const { name, seed, ends } = trial, runs = Object.entries(EXPERIMENTS[name].runs), [words, wanted] = runs[ends.length];
  part(name, ".answer").textContent = `Run ${ends.length + 1} of ${runs.length}, seed ${seed} … ${words}`;
  trial.id = id + 1;
  choose({ ...wanted, seed, speed: settings.speed === "slow" ? "steady" : settings.speed });
  start();
}

function drop(why) {
  if (trial) part(trial.name, ".answer").textContent = why;
  trial = null;
}

// of every run that has ended: its last look, and whether a slider was moved in it
function ended(end, steered) {
  if (!trial) return;
  if (steered) return drop("A slider was moved in the run, so the two do not compare. Choose again.");
  const now = trial;
  now.ends.push(end);
  if (now.ends.length === 2) conclude(now);
  else setTimeout(() => trial === now && next(), 400);
}

function conclude(done) {
  const { name, guess, seed, ends } = done, { runs, figure, verdict, usual, why } = EXPERIMENTS[name];
  const found = verdict(...ends.map(figure)), names = guesses(name).map((button) => button.textContent);
  const all = Object.values(Object.assign(verdicts[name] ??= {}, { [seed]: found }));
  const figures = Object.keys(runs).map((words, at) => `${words}: ${percent(figure(ends[at]))}`).join(", ");
  const count = all.length > 1 ? ` “${names[found]}” came out with ${all.filter((each) => each === found).length} of ${all.length} seeds.` : "";
  part(name, ".answer").textContent = `${figures} (seed ${seed}). ${found === guess ? "As you said" : `Not “${names[guess]}”, but “${names[found]}”`}.${count}`;
  part(name, "details p").textContent = (usual.includes(found) ? "" : "With this seed it came out otherwise than the reason says; try the next. ") + why(done);
  part(name, "details").hidden = false;
  const following = seed === table.seed.high ? table.seed.low : seed + 1;
  Object.assign(part(name, ".next"), { hidden: false, textContent: `The same with seed ${following}`, onclick: () => begin(name, guess, following) });
  trial = null;
}
