// Pictures of a caption: type it, or press words, and the same sampler as in Python makes them in the page, one painted frame a
// step. Without the network, a recorded run to play and scrub.

async function render({ model, el }) {
  const ending = new AbortController();
  const { count } = model.get("recording");
  const recorded = await recordedFrames(model, { size: model.get("size"), parts: 1, count }, (view) => view.canvases(count));
  const view = captionView(model, (changed) => run.choose(changed), ending.signal);
  const run = liveRun({ model, choices: CHOICES, view, recorded, nextFrame, frameWords, recordedWords }, ending.signal);
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

const CHOICES = ["caption", "seed", "guidance", "steps", "count", "guess"];

// Frame number frames.length of a run: x is `count` pictures (C, H, W) one after another, `step` leads from it to the next.
async function nextFrame(model, settings, current) {
  const { frames, seed, count, guess } = settings;
  const plan = model.get("plans")[settings.steps];
  const shape = model.get("shape");
  const size = shape[0] * shape[1] * shape[2];
  const k = frames.length;
  const before = frames[k - 1];
  const frame = { x: null, step: null, asked: false };
  const ask = (x, i) => { frame.asked = true; return stepFrom(model, settings, x, i, current); };
  if (before && !(before.step ??= await ask(before.x, k - 1))) return null;
  frame.x = before?.step.next ?? firstNoise(seed, count, size);
  if (guess && k < plan.length - 1 && !(frame.step = await ask(frame.x, k))) return null;
  const shown = frame.step?.x0 ?? frame.x;
  frame.paint = (view) => view.canvases(count).forEach((canvas, i) => paintTensor(canvas, shown.subarray(i * size, (i + 1) * size), shape[0]));
  return frame;
}

// Picture i has its own noise, whatever their number.
function firstNoise(seed, count, size) {
  const x = new Float32Array(count * size);
  for (let i = 0; i < count; i++) x.set(pageNoise(seed, size, i), i * size);
  return x;
}

// The step from x at place k of the plan, { x0, next }. The network sees two pictures at a time, and before each two the page may
// paint, or answer a key or a hand; null if that asked for something else.
async function stepFrom(model, { caption, steps, guidance, network }, x, k, current) {
  const [[t, a], [, aNext]] = model.get("plans")[steps].slice(k, k + 2);
  const shape = model.get("shape");
  const part = 2 * shape[0] * shape[1] * shape[2];
  const condition = { name: "tokens", told: readCaption(caption, vocabulary(model)).tokens, untold: readCaption("", vocabulary(model)).tokens, guidance };
  const eps = new Float32Array(x.length);
  for (let from = 0; from < x.length; from += part) {
    await pause(0);
    if (!current()) return null;
    eps.set(await guidedEps(network, x.subarray(from, from + part), shape, t, condition), from);
  }
  return ddimStep(x, eps, a, aNext, model.get("clip"), 0, null);
}

const vocabulary = (model) => ({ words: model.get("words"), silent: model.get("silent"), length: model.get("length") });
const quoted = (caption) => (caption.trim() ? `“${caption.trim()}”` : "no caption");

function recordedWords(model) {
  const { caption, seed, guidance, steps } = model.get("recording");
  return `A recorded run: ${quoted(caption)}, seed ${seed}, guidance ${guidance.toFixed(1)}, ${steps} steps. Run this cell to type your own caption.`;
}

export default { render };
