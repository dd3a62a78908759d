// All that can be chosen, its range, and the link that carries it. A value out of its range is named in a sentence.

const number = (low, high, usual, digits) => ({ low, high, usual, digits });
const choice = (options, usual) => ({ options, usual });

function choices(seeds) {
  return {
    alpha: number(0, 1, 1, 2),
    temperature: number(0.5, 32, 4, 2),
    lr: number(0.0001, 0.1, 0.01, 4),
    source: choice(["teacher", "labels", "smoothing", "shuffled"], "teacher"),
    missing: choice(["none", ..."0123456789"], "none"),
    images: choice(["50", "1000"], "50"),
    steps: choice(["300", "600"], "300"),
    seed: { ...number(Math.min(...seeds), Math.max(...seeds), Math.min(...seeds), 0) },
    speed: choice(["slow", "steady", "full"], "steady"),
    picture: choice([..."0123456789"], "3"),
  };
}

const usual = (table) => Object.fromEntries(Object.entries(table).map(([name, { usual }]) => [name, usual]));

// settings from a link's part after #, and a sentence about what in it could not be taken as it stands, or ""
function readLink(hash, table) {
  const found = usual(table), wrong = [];
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const known = Object.hasOwn(table, name) ? table[name] : null, value = Number(text), shown = text.slice(0, 20) || "nothing";
    if (!known) {
      wrong.push(`“${name.slice(0, 20)}” is no setting and was left out`);
    } else if (known.options) {
      if (known.options.includes(text)) found[name] = text;
      else wrong.push(`${name} cannot be “${shown}” and is ${known.usual}`);
    } else if (text.trim() === "" || Number.isNaN(value)) {
      wrong.push(`${name} cannot be “${shown}” and is ${known.usual}`);
    } else {
      const inside = Math.min(known.high, Math.max(known.low, value));
      found[name] = known.digits === 0 ? Math.round(inside) : inside;
      if (found[name] !== value) wrong.push(`${name} must be ${known.digits ? "" : "a whole number "}from ${known.low} to ${known.high} and is ${found[name]}, not ${shown}`);
    }
  }
  return { settings: found, said: wrong.length ? `In this link ${wrong.join("; ")}.` : "" };
}

const writeLink = (settings) => `#${new URLSearchParams(settings)}`;
