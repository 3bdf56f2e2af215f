// Diffusion sampling in the page: the same arithmetic as samplers.py, and noise that Python can repeat (page_noise.py).

// `count` draws of N(0, 1), a pure function of (seed, stream): counters, hashed, and Box-Muller on pairs of them.
function pageNoise(seed, count, stream = 0) {
  const key = mixed((seed + Math.imul(0x9e3779b9, stream + 1)) >>> 0);
  const uniform = (counter) => mixed((Math.imul(counter, 0x9e3779b9) + key) >>> 0) / 2 ** 32; // in [0, 1)
  const noise = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform(i) + 2 ** -32));
    const angle = 2 * Math.PI * uniform(i + 1);
    noise[i] = radius * Math.cos(angle);
    if (i + 1 < count) noise[i + 1] = radius * Math.sin(angle);
  }
  return noise;
}

// The last steps of the hash MurmurHash3: each bit of the result depends on every bit of h.
function mixed(h) {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

// One step from x at (t, a) to the next time's a_s: { x0, next }, and x is left as it is. eta: share of fresh noise.
function ddimStep(x, eps, a, aNext, clip, eta, fresh) {
  const [signal, noise] = [Math.sqrt(a), Math.sqrt(1 - a)];
  const sigma = eta * Math.sqrt(((1 - aNext) / (1 - a)) * (1 - a / aNext));
  const [kept, signalNext] = [Math.sqrt(Math.max(1 - aNext - sigma ** 2, 0)), Math.sqrt(aNext)];
  const [x0, next] = [new Float32Array(x.length), new Float32Array(x.length)];
  for (let i = 0; i < x.length; i++) {
    const guess = (x[i] - noise * eps[i]) / signal;
    x0[i] = clip ? Math.min(Math.max(guess, -1), 1) : guess;
    next[i] = signalNext * x0[i] + (kept * (x[i] - signal * x0[i])) / noise + (sigma > 0 ? sigma * fresh[i] : 0);
  }
  return { x0, next };
}

// The noise that the network finds in x, pictures of `shape` one after another, at time t. Its input `name` is `told`, the same
// for all pictures, or has none where that is null. Guidance asks it a second time, for `untold`, all in one batch.
async function guidedEps(network, x, shape, t, { name, told, untold, guidance }) {
  const count = x.length / shape.reduce((a, b) => a * b);
  const rows = told !== null && untold !== null && guidance !== 1 ? [told, untold] : [told];
  const batch = count * rows.length;
  const data = new Float32Array(rows.length * x.length);
  rows.forEach((_, i) => data.set(x, i * x.length));
  const whole = (values, ...more) => ({ data: BigInt64Array.from(values, BigInt), dims: [batch, ...more] });
  const feeds = { x: { data, dims: [batch, ...shape] }, t: whole(Array(batch).fill(t)) };
  if (told !== null) {
    const width = Array.isArray(told) ? [told.length] : [];
    feeds[name] = whole(rows.flatMap((row) => Array(count).fill(row).flat()), ...width);
  }
  const { eps } = await network.run(feeds);
  if (rows.length === 1) return eps.data;
  return eps.data.slice(0, x.length).map((one, i) => eps.data[x.length + i] + guidance * (one - eps.data[x.length + i]));
}
