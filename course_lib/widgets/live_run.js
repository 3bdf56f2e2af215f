// A sampler's run in the page: one loop paints what is there, and computes what is not. Whatever was asked for last counts.

// choices:   the names of the traits that the reader may choose; a change of one begins a run.
// view:      { root, show(state, last, words), playing(on), without(sentence), withNetwork(), wire(hands, signal) }.
// recorded:  the frames to show where there is no network; a frame is { i, paint(view), asked }, i its step of the run.
// nextFrame: (model, state, current) => frame number state.frames.length. It may give null where `current()` is false; `asked`
//            says that it asked the network.
// frameWords, recordedWords: what to call the frame that is shown, and the recorded run.
// Gives { choose(changed) }, which begins a run with other choices.
function liveRun({ model, choices, view, recorded, nextFrame, frameWords, recordedWords }, signal) {
  const say = announcer(view.root, signal);
  const chosen = () => Object.fromEntries(choices.map((name) => [name, model.get(name)]));
  // run: the number of the latest thing asked for; whatever was asked before ends. live: frames are our own, not recorded.
  const state = { ...chosen(), k: 0, frames: recorded, network: null, live: false, run: 0, on: false };
  const last = () => (state.live ? model.get("plans")[state.steps].length : recorded.length) - 1;
  const words = () => frameWords(model, state, last());
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  const show = (k) => {
    state.k = Math.min(Math.max(k, 0), last());
    state.frames[state.k]?.paint(view);
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
        const frame = await nextFrame(model, settings, current);
        if (frame?.asked) state.took = performance.now() - began;
        if (frame && frames.length === i) frames.push(frame);
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
      await (known ? pause(pace) : nextPaint());
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
    await nextPaint();
    if (!current()) return;
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
    const now = chosen();
    if (signal.aborted || !state.network || choices.every((name) => now[name] === state[name])) return;
    Object.assign(state, now);
    restart();
  });

  view.wire({ go, toggle, state, last }, signal);
  for (const name of choices) listen(model, `change:${name}`, fromKernel, signal);
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
  return { choose };
}

const pause = (time) => new Promise((done) => setTimeout(done, time));
const nextPaint = () => new Promise((done) => requestAnimationFrame(done));

// `act` once for any number of calls in a row.
function later(act) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => { asked = false; act(); });
  };
}

// The frames of a recorded run: `parts` rows of `count` pictures of size [width, height], on the canvases that `canvases(view)`
// gives. In the sheet a tile is a row; rows of the first part are faded.
async function recordedFrames(model, { size: [width, height], parts, count }, canvases) {
  const { at, contrasts } = model.get("recording");
  const sheet = await openSheet(model.get("sheet"), "image/webp", count * width, height);
  return at.map((i, frame) => ({
    i,
    paint(view) {
      canvases(view).forEach((canvas, n) => {
        const [part, place] = [Math.floor(n / count), n % count];
        paintPart(canvas.getContext("2d"), sheet, part * at.length + frame, place, width, 0, 0);
        if (part === 0) contrast(canvas, contrasts[frame]);
      });
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
