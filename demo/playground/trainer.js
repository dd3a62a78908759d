// The 64-32-10 student and kdlab's loop in float64: loss = alpha · T² · KL(teacher ‖ student) + (1 − alpha) · cross-entropy,
// AdamW without decay, a warm start and a cosine for the learning rate, all pictures in every step.

const CLASSES = 10, PIXELS = 64, TRAIN = 1000, SMOOTHING = 0.1;

// whether this source of targets is a teacher's answers
const isTaught = (source) => source === "teacher" || source === "shuffled";

// kdlab.data.load("digits", seed=…): pictures normalized as there (float32), labels, and the teacher's logits of train
function split(data, seed) {
  const { mean, std, logits } = data.seeds[seed];
  const order = randperm(data.labels.length, generator(seed));
  const [m, s] = [Math.fround(255 * Math.fround(mean)), Math.fround(255 * Math.fround(std))];
  const images = new Float64Array(order.length * PIXELS), labels = order.map((at) => data.labels[at]);
  order.forEach((at, row) => {
    for (let i = 0; i < PIXELS; i++) {
      const byte = Math.round(data.images[at * PIXELS + i] * 255 / 16);
      images[row * PIXELS + i] = Math.fround(Math.fround(byte - m) / s);
    }
  });
  return { order, images, labels, logits };
}

// Notebook 03's control: the wrong classes' numbers change places, anew for each picture
function shuffled({ logits, labels }) {
  const draw = generator(0), changed = Float32Array.from(logits);
  for (let row = 0; row < TRAIN; row++) {
    const wrong = [...Array(CLASSES).keys()].filter((c) => c !== labels[row]);
    randperm(CLASSES - 1, draw).forEach((from, to) => {
      changed[row * CLASSES + wrong[to]] = logits[row * CLASSES + wrong[from]];
    });
  }
  return changed;
}

function logSoftmax(z, at, t, out) {
  let top = -Infinity, sum = 0;
  for (let c = 0; c < CLASSES; c++) top = Math.max(top, z[at + c] / t);
  for (let c = 0; c < CLASSES; c++) sum += Math.exp(z[at + c] / t - top);
  for (let c = 0; c < CLASSES; c++) out[c] = z[at + c] / t - top - Math.log(sum);
}

// rows of pictures through one layer; negative numbers become 0 where `relu`
function forward({ before, after, weight, bias }, x, n, relu) {
  const y = new Float64Array(n * after);
  for (let r = 0; r < n; r++) {
    for (let o = 0; o < after; o++) {
      let sum = bias[o];
      for (let i = 0, w = o * before, at = r * before; i < before; i++) sum += weight[w + i] * x[at + i];
      y[r * after + o] = relu && sum < 0 ? 0 : sum;
    }
  }
  return y;
}

// the gradient of a layer's weights and bias, from that of its outputs
function backward({ before, after }, x, dy, n) {
  const weight = new Float64Array(after * before), bias = new Float64Array(after);
  for (let r = 0; r < n; r++) {
    for (let o = 0; o < after; o++) {
      const d = dy[r * after + o];
      if (d === 0) continue;
      bias[o] += d;
      for (let i = 0, w = o * before, at = r * before; i < before; i++) weight[w + i] += d * x[at + i];
    }
  }
  return { weight, bias };
}

// kdlab.training.warm_cosine, for numbers of steps that are multiples of ten
function warmCosine(step, steps) {
  const rise = steps / 10;
  return step <= rise ? step / rise : 0.5 * (1 + Math.cos(Math.PI * (step - rise) / (steps - rise + 1)));
}

class Run {
  // chosen: { seed, images, missing, source, steps }
  constructor(data, chosen) {
    Object.assign(this, chosen, { step: 0, parts: split(data, chosen.seed) });
    const draw = generator(chosen.seed);
    this.layers = [linear(PIXELS, 32, draw), linear(32, CLASSES, draw)];
    this.moments = this.layers.flatMap((layer) => [layer.weight, layer.bias])
      .map((values) => ({ values, first: new Float64Array(values.length), second: new Float64Array(values.length) }));
    const { images, labels, logits } = this.parts;
    this.rows = [...Array(chosen.images).keys()].filter((row) => labels[row] !== chosen.missing);
    this.x = new Float64Array(this.rows.length * PIXELS);
    this.rows.forEach((row, at) => this.x.set(images.subarray(row * PIXELS, (row + 1) * PIXELS), at * PIXELS));
    this.teacher = chosen.source === "shuffled" ? shuffled(this.parts) : logits;
    this.taught = isTaught(chosen.source);
    this.tests = images.subarray(TRAIN * PIXELS);
  }

  // one step of training with these knobs; returns the losses in nats, as kdlab's Step names them
  advance({ alpha, temperature, lr }) {
    const n = this.rows.length, [hidden, last] = this.layers;
    const h = forward(hidden, this.x, n, true), z = forward(last, h, n, false);
    const { loss, soft, hard, dz } = this.losses(z, n, alpha, temperature);
    const dh = new Float64Array(n * last.before);
    for (let r = 0; r < n; r++) {
      for (let i = 0; i < last.before; i++) {
        if (h[r * last.before + i] <= 0) continue;
        for (let o = 0; o < CLASSES; o++) dh[r * last.before + i] += dz[r * CLASSES + o] * last.weight[o * last.before + i];
      }
    }
    const first = backward(hidden, this.x, dh, n), second = backward(last, h, dz, n);
    this.step += 1;
    this.update([first.weight, first.bias, second.weight, second.bias], lr * warmCosine(this.step, this.steps));
    return { step: this.step, loss, soft, hard };
  }

  losses(z, n, alpha, t) {
    const dz = new Float64Array(n * CLASSES), [q, qT, pT] = [0, 1, 2].map(() => new Float64Array(CLASSES));
    const weight = this.taught ? alpha : 0, even = this.source === "smoothing" ? SMOOTHING : 0;
    let soft = 0, hard = 0;
    for (let r = 0; r < n; r++) {
      const at = r * CLASSES, label = this.parts.labels[this.rows[r]];
      logSoftmax(z, at, 1, q);
      if (this.taught) {
        logSoftmax(z, at, t, qT);
        logSoftmax(this.teacher, this.rows[r] * CLASSES, t, pT);
      }
      for (let c = 0; c < CLASSES; c++) {
        const target = (c === label ? 1 - even : 0) + even / CLASSES;
        hard -= target * q[c] / n;
        dz[at + c] = (1 - weight) * (Math.exp(q[c]) - target) / n;
        if (!this.taught) continue;
        soft += t * t * Math.exp(pT[c]) * (pT[c] - qT[c]) / n;
        dz[at + c] += weight * t * (Math.exp(qT[c]) - Math.exp(pT[c])) / n;
      }
    }
    return { loss: weight * soft + (1 - weight) * hard, soft, hard, dz };
  }

  // torch.optim.AdamW(weight_decay=0)
  update(gradients, lr) {
    const [b1, b2, eps] = [0.9, 0.999, 1e-8];
    const rate = lr / (1 - b1 ** this.step), root = Math.sqrt(1 - b2 ** this.step);
    this.moments.forEach(({ values, first, second }, k) => {
      for (let i = 0; i < values.length; i++) {
        const g = gradients[k][i];
        first[i] += (1 - b1) * (g - first[i]);
        second[i] = b2 * second[i] + (1 - b2) * g * g;
        values[i] -= rate * first[i] / (Math.sqrt(second[i]) / root + eps);
      }
    });
  }

  logits(images) {
    const n = images.length / PIXELS;
    return forward(this.layers[1], forward(this.layers[0], images, n, true), n, false);
  }

  // accuracy on the test split and on the student's own pictures, and the test recall of each digit
  evaluate() {
    const { labels } = this.parts;
    const rate = (hits) => hits.filter(Boolean).length / hits.length;
    const own = this.right(this.x, this.rows.map((row) => labels[row])), tests = this.right(this.tests, labels.slice(TRAIN));
    const recall = [...Array(CLASSES).keys()].map((digit) => rate(tests.filter((hit, r) => labels[TRAIN + r] === digit)));
    return { accuracy: rate(tests), own: rate(own), recall };
  }

  // for each picture whether its largest logit is that of its label
  right(images, labels) {
    const z = this.logits(images);
    return labels.map((label, r) => {
      const row = z.subarray(r * CLASSES, (r + 1) * CLASSES);
      return row.indexOf(Math.max(...row)) === label;
    });
  }
}
