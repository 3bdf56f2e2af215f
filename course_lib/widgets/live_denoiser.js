// Diffusion sampling in the page: a seed, a class, guidance and a number of steps in the hand, one painted frame a step.
// Without the network, a recorded run to play and scrub.

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const recorded = await recordedFrames(model);
  const view = liveView(model, (value) => choose({ guidance: Math.round(value * 10) / 10 }), signal);
  const say = announcer(view.root, signal);
  // run: the number of the latest thing asked for; whatever was asked before ends. live: frames are our own, not recorded.
  const state = { ...chosen(model), k: 0, frames: recorded, network: null, live: false, run: 0, on: false };
  const last = () => (state.live ? model.get("plans")[state.steps].length : recorded.length) - 1;
  const words = () => frameWords(model, state, last());
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  const show = (k) => {
    state.k = Math.min(Math.max(k, 0), last());
    state.frames[state.k]?.paint(view.x, view.guess);
    view.show(state, last(), words());
  };
  // Begin something new; gives a function that says whether it is still what was asked for last.
  const begin = (on) => {
    const run = (state.run += 1);
    state.on = on;
    view.playing(on);
    return () => state.run === run && !signal.aborted;
  };
  const rest = () => {
    begin(false);
    say(words());
  };
  // Compute frames of this run until there is a k-th; true if nothing else was asked for meanwhile.
  const reach = async (k, current) => {
    const settings = { ...state };
    const { frames } = settings;
    try {
      while (k >= frames.length && current()) {
        const [i, began] = [frames.length, performance.now()];
        const frame = await nextLiveFrame(model, settings);
        if (frame.next) state.took = performance.now() - began;
        if (frames.length === i) frames.push(frame);
      }
    } catch (error) {
      if (!signal.aborted) withoutNetwork(`The network stopped: ${error.message}`);
      return false;
    }
    return current();
  };
  // One loop paints what is there, at an easy pace, and computes what is not, one frame a step.
  const play = async () => {
    const current = begin(true);
    const pace = calm.matches ? 1000 : Math.min(Math.max(2500 / last(), 30), 250); // milliseconds
    let painted = 0;
    while (state.k < last()) {
      const next = state.k + 1;
      const known = next < state.frames.length;
      if (!(await reach(next, current))) return;
      await (known ? pause(pace) : nextFrame());
      if (!current()) return;
      if (calm.matches && !known && next < last() && performance.now() - painted < pace) {
        state.k = next; // less motion: not every step is shown
        continue;
      }
      show(next);
      painted = performance.now();
    }
    rest();
  };
  const fromNoise = () => Object.assign(state, { live: true, frames: [], k: 0 });
  const restart = async () => {
    fromNoise();
    const current = begin(true);
    if (!(await reach(0, current))) return;
    show(0);
    play();
  };
  const choose = (changed) => {
    Object.assign(state, changed);
    for (const [name, value] of Object.entries(changed)) model.set(name, value);
    model.save_changes();
    restart();
  };
  const go = async (k) => {
    const current = begin(false);
    let wanted = Math.min(Math.max(k, 0), last());
    if (state.network && !state.live) {
      wanted = recorded[wanted].i;
      fromNoise();
    }
    if (!(await reach(wanted, current))) return;
    show(wanted);
    say(words());
  };
  const toggle = () => {
    if (state.on) rest();
    else if (state.network && !state.live) restart();
    else {
      if (state.k >= last()) show(0);
      play();
    }
  };
  const withoutNetwork = (sentence) => {
    Object.assign(state, { network: null, live: false, frames: recorded });
    view.without(sentence);
    show(last());
    rest();
  };
  const fromKernel = later(() => {
    const now = chosen(model);
    if (signal.aborted || !state.network || Object.keys(now).every((name) => now[name] === state[name])) return;
    Object.assign(state, now);
    restart();
  });

  view.wire({ choose, go, toggle, state, last }, signal);
  for (const name of CHOICES) listen(model, `change:${name}`, fromKernel, signal);
  followTheme(view.root, () => {}, signal);
  view.without(model.get("reason") || (model.alone ? recordedWords(model) : "The network is on its way to this page; until then, this is a recorded run."));
  show(last());
  openNetwork(model, signal).then((network) => {
    if (signal.aborted) return;
    if (!network) { view.without(model.get("reason") || recordedWords(model)); return; }
    state.network = network;
    view.withNetwork();
    view.show(state, last(), words());
    fromKernel();
  }, (error) => view.without(error.message));
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

const CHOICES = ["seed", "label", "guidance", "steps", "fresh"];
const pause = (time) => new Promise((done) => setTimeout(done, time));
const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

// `act` once for any number of calls in a row.
function later(act) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => { asked = false; act(); });
  };
}

// What the reader may choose, as the model has it.
function chosen(model) {
  return Object.fromEntries(CHOICES.map((name) => [name, model.get(name)]));
}

// Frame number frames.length of a run: { x, x0, next, paint }, all of them floats (C, H, W).
async function nextLiveFrame(model, { frames, seed, label, guidance, steps, fresh, network }) {
  const shape = model.get("shape");
  const size = shape[0] * shape[1] * shape[2];
  const plan = model.get("plans")[steps];
  const k = frames.length;
  const x = k === 0 ? pageNoise(seed, size) : frames[k - 1].next;
  const frame = { x, x0: x, next: null };
  if (k < plan.length - 1) {
    const classes = model.get("names").length > 0;
    const none = model.get("null");
    const eps = await guidedEps(network, x, shape, plan[k][0], { label: classes ? label : null, none: none < 0 ? null : none, guidance });
    const noise = fresh ? pageNoise(seed, size, k + 1) : null;
    Object.assign(frame, ddimStep(x, eps, plan[k][1], plan[k + 1][1], model.get("clip"), fresh ? 1 : 0, noise));
  }
  frame.paint = (left, right) => { paintTensor(left, frame.x, shape[0]); paintTensor(right, frame.x0, shape[0]); };
  return frame;
}

// The frames of the recorded run: in the sheet all x_t come first, with their contrast lowered, then all guesses.
async function recordedFrames(model) {
  const [, height, width] = model.get("shape");
  const { at, contrasts } = model.get("recording");
  const sheet = await openSheet(model.get("sheet"), "image/webp", width, height);
  return at.map((i, frame) => ({
    i,
    paint(x, guess) {
      paintPart(x.getContext("2d"), sheet, frame, 0, width, 0, 0);
      contrast(x, contrasts[frame]);
      paintPart(guess.getContext("2d"), sheet, at.length + frame, 0, width, 0, 0);
    },
  }));
}

function contrast(canvas, factor) {
  if (factor === 1) return;
  const context = canvas.getContext("2d");
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i++) if (i % 4 < 3) pixels.data[i] = (pixels.data[i] - 127.5) / factor + 127.5;
  context.putImageData(pixels, 0, 0);
}

// "step 7 of 20, t = 650, noise level 0.42"
function frameWords(model, { live, steps, frames, k, took }, last) {
  const plan = model.get("plans")[live ? steps : model.get("recording").steps];
  const i = live ? k : frames[k].i;
  const [t, a] = plan[i];
  const speed = live && took ? `, ${took < 10 ? took.toFixed(1) : took.toFixed(0)} ms a step` : "";
  return `step ${i} of ${plan.length - 1}, t = ${t}, noise level ${Math.sqrt(1 - a).toFixed(2)}${k === last ? speed : ""}`;
}

function recordedWords(model) {
  const { seed, label, guidance, steps } = model.get("recording");
  const parts = [`seed ${seed}`, model.get("names")[label], model.get("null") < 0 ? "" : `guidance ${guidance.toFixed(1)}`, `${steps} steps`];
  return `A recorded run: ${parts.filter(Boolean).join(", ")}. Run this cell to sample in this page.`;
}

export default { render };
