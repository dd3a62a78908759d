// What the scripts of both pages need: elements by name, what is packed into the page, and probabilities.

const $ = (id) => document.getElementById(id);
const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const percent = (p) => (p > 0 && p < 5e-4 ? "< 0.1\u00a0%" : `${(100 * p).toFixed(1)}\u00a0%`);

// of logits divided by t
function softmax(z, t) {
  const top = Math.max(...z), shares = z.map((value) => Math.exp((value - top) / t));
  const sum = shares.reduce((a, b) => a + b);
  return shares.map((share) => share / sum);
}
