// torch's random numbers on a CPU, so that a seed means here what it means in the notebooks: the Mersenne twister
// (M. Matsumoto, T. Nishimura 1998), and what torch makes of it for nn.Linear and randperm.

function generator(seed) {
  const state = new Uint32Array(624);
  let next = 624;
  state[0] = seed;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  function twist() {
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    next = 0;
  }
  return () => { // 32 bits
    if (next === 624) twist();
    let y = state[next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

// torch.randperm(n, generator=…)
function randperm(n, draw) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const other = i + (draw() % (n - i));
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

// count float32 numbers, uniform between −bound and bound, as tensor.uniform_ draws them: 24 bits for each, rounded once
function uniform(count, bound, draw) {
  const from = Math.fround(-bound), width = Math.fround(2 * Math.fround(bound));
  return Float64Array.from({ length: count }, () => Math.fround((draw() & 0xffffff) / 0x1000000 * width + from));
}

// nn.Linear(before, after): the bound of weights and bias is 1/√before
function linear(before, after, draw) {
  const bound = 1 / Math.sqrt(before);
  return { before, after, weight: uniform(after * before, bound, draw), bias: uniform(after, bound, draw) };
}
