// Diffusion sampling in the page: a seed, a class, guidance and a number of steps in the hand, one painted frame a step.
// Without the network, a recorded run to play and scrub.

const LIVE_STYLE = `
.cw-live-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; margin-bottom: 12px; }
.cw-live-images { display: flex; flex-wrap: wrap; gap: 12px 16px; }
.cw-live-row > div { min-width: 0; }
.cw-live-images > div { flex: 1 1 130px; min-width: 0; }
.cw-live-images .cw-image { max-width: 100%; }
.cw-live-label { margin: 0 0 4px; font-size: 13px; }
.cw-live-label i { font-family: Georgia, serif; }
.cw-live-form { flex: 1 1 220px; max-width: 340px; display: grid; gap: 8px; }
.cw-live-form[hidden] { display: none; }
.cw-field { display: grid; grid-template-columns: 76px minmax(0, 1fr); gap: 10px; align-items: center; }
.cw-field select, .cw-field input[type=number] { min-width: 0; height: 30px; padding: 3px 6px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: var(--ink); font: inherit; font-size: 13px; }
.cw-field .cw-seed { display: flex; gap: 6px; }
.cw-field .cw-seed input { width: 84px; }
.cw-check { display: flex; gap: 8px; align-items: center; cursor: pointer; }
.cw-check input { width: 16px; height: 16px; margin: 0; accent-color: var(--accent); }
.cw-live-step { min-height: 20px; margin-top: 8px; color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-live { --name: 76px; max-width: 780px; }
`;

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

// The elements of the widget. `show` paints the bar and the controls, `wire` connects them.
function liveView(model, guided, signal) {
  const root = widgetRoot("cw-live", model.get("title"));
  const [, height, width] = model.get("shape");
  const shown = Math.max(1, Math.round(196 / Math.max(width, height))) * width;
  const canvas = (label) => element("canvas", { class: "cw-image", width, height, role: "img", "aria-label": label, style: `width:${shown}px` });
  const [x, guess] = [canvas("What the sampler holds"), canvas("Its guess of the end")];
  x.getContext("2d", { willReadFrequently: true }); // for `contrast`
  const figure = (image, letter, index, text) => element("div", {}, element("div", { class: "cw-live-label" },
    element("i", {}, letter), element("sub", {}, index), `, ${text}`), image);
  const form = liveForm(model, guided, signal);
  const player = playerParts("How far along, from noise to sample", 2);
  player.speed.parentElement.remove(); // the network sets the speed
  const step = element("div", { class: "cw-live-step" });
  const quiet = () => element("div", { class: "cw-quiet", hidden: "" });
  const [why, note] = [quiet(), quiet()];
  const help = "Drag the bar, or focus it and use the arrow keys (Shift: ten steps, Home and End: first and last, space: play).";
  root.append(element("style", {}, SLIDER_STYLE + LIVE_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-live-row" },
      element("div", {}, element("div", { class: "cw-live-images" },
        figure(x, "x", "t", "what the sampler holds"), figure(guess, "x", "0", "its guess of the end")), step), form.root),
    player.root, element("div", { class: "cw-quiet" }, help), why, note);
  note.textContent = model.get("note");
  note.hidden = !note.textContent;
  return {
    root, x, guess,
    show(state, last, words) {
      const place = `${(100 * state.k) / Math.max(last, 1)}%`;
      player.place.style.left = player.done.style.width = place;
      player.scrub.setAttribute("aria-valuemax", last);
      player.scrub.setAttribute("aria-valuenow", state.k);
      player.scrub.setAttribute("aria-valuetext", words);
      step.textContent = words;
      form.show(state);
    },
    playing: (on) => { player.play.textContent = on ? "Pause" : "Play"; },
    without(sentence) {
      form.root.hidden = true;
      why.textContent = sentence;
      why.hidden = !sentence;
      delete root.dataset.samples;
    },
    withNetwork() {
      form.root.hidden = false;
      why.hidden = true;
      root.dataset.samples = "";
    },
    wire({ choose, go, toggle, state, last }, ending) {
      form.wire(choose, ending);
      player.play.addEventListener("click", toggle, { signal: ending });
      player.back.addEventListener("click", () => go(state.k - 1), { signal: ending });
      player.on.addEventListener("click", () => go(state.k + 1), { signal: ending });
      followPointer(player.scrub, (place) => go(Math.round(place * last())), ending);
      followPlayerKeys(player.root, { go: (by) => go(state.k + by), home: () => go(0), end: () => go(last()), toggle }, ending);
    },
  };
}

// Seed, class, guidance, steps, fresh noise.
function liveForm(model, guided, signal) {
  const [names, plans] = [model.get("names"), model.get("plans")];
  const select = (options) => element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
  const field = (name, control, tag = "label") => element(tag, { class: "cw-field" }, element("span", {}, name), control);
  const seed = element("input", { type: "number", min: 0, max: 4294967295, step: 1 });
  const another = element("button", { class: "cw-button", type: "button" }, "New seed");
  const label = select(names.map((name, i) => [i, name]));
  const steps = select(Object.keys(plans).map((n) => [n, n]));
  const fresh = element("input", { type: "checkbox" });
  const guidance = sliderRow({ name: "Guidance", low: 0, high: 8, start: 1, step: 0.1 }, (value) => value.toFixed(1), guided, signal);
  seed.setAttribute("aria-label", "Seed");
  const root = element("div", { class: "cw-live-form", role: "group", "aria-label": "What to sample" },
    field("Seed", element("span", { class: "cw-seed" }, seed, another), "div"),
    ...(names.length ? [field("Class", label)] : []),
    ...(model.get("null") < 0 ? [] : [guidance.row]),
    field("Steps", steps),
    element("label", { class: "cw-check" }, fresh, "Fresh noise at every step (DDPM)"));
  return {
    root,
    show(state) {
      if (document.activeElement !== seed || Number(seed.value) !== state.seed) seed.value = state.seed;
      label.value = state.label;
      steps.value = state.steps;
      fresh.checked = state.fresh;
      guidance.show(state.guidance);
    },
    wire(choose, ending) {
      const on = (node, event, act) => node.addEventListener(event, act, { signal: ending });
      on(seed, "change", () => choose({ seed: Math.min(Math.max(Math.trunc(Number(seed.value)) || 0, 0), 4294967295) }));
      on(another, "click", () => choose({ seed: Math.floor(Math.random() * 10000) }));
      on(label, "change", () => choose({ label: Number(label.value) }));
      on(steps, "change", () => choose({ steps: Number(steps.value) }));
      on(fresh, "change", () => choose({ fresh: fresh.checked }));
    },
  };
}

export default { render };
