// One slider per latent dimension, and the image that the network in the page decodes. Without the network, a sheet that
// holds every dimension swept on its own: then one slider moves at a time.

const SLIDERS_STYLE = `
.cw-sliders-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; }
.cw-sliders-side { display: flex; flex-direction: column; gap: 10px; max-width: 100%; }
.cw-sliders-side .cw-image { max-width: 100%; }
.cw-sliders-keys { display: flex; flex-wrap: wrap; gap: 6px; }
.cw-sliders-keys .cw-sweep { min-width: 96px; }
.cw-dims { flex: 1 1 260px; min-width: 0; max-width: 820px; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 0 28px; }
.cw-dims[data-many] { max-height: 363px; padding: 2px 14px 2px 4px; overflow-y: auto; scrollbar-width: thin; }
`;

const ALONE = "Here one slider moves at a time, through images decoded before: run this cell to move all of them together.";
const COMING = "The decoder is on its way to this page; until then one slider moves at a time.";

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const sheet = await openSheet(model.get("sheet"), "image/webp", ...model.get("tile"));
  const space = sliderSpace(model);
  let byHand = null;
  const view = slidersView(model, space, (i, value) => byHand(i, value), signal);
  const say = announcer(view.root, signal);
  const state = { values: model.get("values"), active: 0, network: null };

  const paintSheet = () => {
    const { width, height } = view.image;
    const place = space.place(state.active, state.values[state.active]);
    paintBlend(view.image.getContext("2d"), sheet, place * (sheet.columns - 1), state.active, 0, 0, width, height);
  };
  const decode = latest(async () => {
    try {
      const { x } = await state.network.run({ z: { data: space.point(state.values), dims: [1, space.dims] } });
      if (!signal.aborted) paintTensor(view.image, x.data, x.dims[1]);
    } catch (error) {
      if (signal.aborted) return;
      state.network = null;
      view.without(`The network stopped: ${error.message}`);
      paintSheet();
    }
  });
  const show = () => {
    state.values.forEach((value, i) => view.dims[i].show(value, i === state.active));
    if (!view.sweep.dataset.running) view.sweep.textContent = `Sweep ${space.sliders[state.active].name}`;
    if (state.network) decode();
    else paintSheet();
  };
  const tell = (sentence) => {
    model.set("values", state.values);
    model.save_changes();
    say(sentence);
  };
  const move = (i, value) => {
    const { name, start } = space.sliders[i];
    state.active = i;
    if (!state.network) state.values = state.values.map((_, j) => space.sliders[j].start);
    state.values = state.values.with(i, space.inside(i, value));
    show();
    tell(`${name} = ${space.text(i, state.values[i])}${state.values[i] === start ? ", the start" : ""}`);
  };
  const moveAll = (values, sentence) => {
    state.values = values;
    show();
    tell(sentence);
  };

  const sweep = sweeper(view.sweep, space, () => state, move, show, signal);
  byHand = (i, value) => { sweep.stop(); move(i, value); };
  view.dims.forEach(({ input }, i) => input.addEventListener("focus", () => {
    if (view.sweep.dataset.running || state.active === i) return;
    if (!state.network && state.values[state.active] !== space.sliders[state.active].start) return; // its image stays
    state.active = i;
    show();
  }, { signal }));
  let draw = -1;
  view.start.addEventListener("click", () => { sweep.stop(); moveAll(space.sliders.map(({ start }) => start), "All sliders are at the start."); }, { signal });
  view.random.addEventListener("click", () => {
    sweep.stop();
    draw = (draw + 1) % space.draws.length;
    moveAll(space.draws[draw], `Random point ${draw + 1}.`);
  }, { signal });
  listen(model, "change:values", () => {
    const values = model.get("values");
    const moved = values.findIndex((value, i) => value !== state.values[i]);
    if (moved < 0) return; // our own move, coming back
    state.values = values;
    if (!state.network) state.active = moved;
    show();
  }, signal);

  followTheme(view.root, () => {}, signal);
  view.without(model.get("reason") || (model.alone ? ALONE : COMING));
  show();
  openNetwork(model, signal).then((network) => {
    if (signal.aborted) return;
    if (!network) { view.without(model.get("reason") || ALONE); return; }
    state.network = network;
    view.withNetwork();
    show();
  }, (error) => view.without(error.message));
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// Run `work` again and again while it is asked for, never twice at once: of the requests meanwhile the latest counts.
function latest(work) {
  let [running, again] = [false, false];
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await work();
    }
    running = false;
  };
}

// The button that moves the active slider from end to end and back, until it is pressed again or a hand takes over. Where
// less motion is wanted, each press goes on by an eighth of the way.
function sweeper(button, space, state, move, show, signal) {
  const PERIOD = 5000; // milliseconds for there and back
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = 0;
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    delete button.dataset.running;
    button.removeAttribute("aria-pressed");
    show();
  };
  const go = (i, place) => {
    const { low, high } = space.sliders[i];
    move(i, low + place * (high - low));
  };
  const start = () => {
    const i = state().active;
    const phase = Math.acos(1 - 2 * space.place(i, state().values[i])) / Math.PI; // so that it starts where it is
    const began = performance.now() - (phase * PERIOD) / 2;
    const step = (now) => {
      if (!button.isConnected) return; // taken from the page without a goodbye
      frame = requestAnimationFrame(step);
      go(i, 0.5 - 0.5 * Math.cos((2 * Math.PI * (now - began)) / PERIOD));
    };
    button.dataset.running = "true";
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Stop";
    frame = requestAnimationFrame(step);
  };
  button.addEventListener("click", () => {
    const i = state().active;
    if (frame) stop();
    else if (calm.matches) go(i, (Math.round(space.place(i, state().values[i]) * 8 + 1) % 9) / 8);
    else start();
  }, { signal });
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  return { stop: () => { if (frame) stop(); } };
}

// From the sliders' values to latent points, places on the sliders, and text.
function sliderSpace(model) {
  const sliders = model.get("sliders");
  const dims = model.get("dims");
  const offset = model.get("offset");
  const directions = new Float32Array(bytesOf(model.get("directions")).slice().buffer); // (sliders, dims)
  const marks = bytesOf(model.get("draws")); // 0 is the low end of a slider, 255 the high one
  const digits = sliders.map(({ low, high }) => Math.max(0, Math.min(4, Math.ceil(-Math.log10(0.01 * (high - low))))));
  const valueOf = (mark, { low, high }) => low + (mark / 255) * (high - low);
  return {
    sliders, dims,
    draws: Array.from({ length: marks.length / sliders.length }, (_, n) => sliders.map((slider, i) => valueOf(marks[n * sliders.length + i], slider))),
    point(values) {
      const z = Float32Array.from(offset);
      values.forEach((value, i) => { for (let j = 0; j < dims; j++) z[j] += value * directions[i * dims + j]; });
      return z;
    },
    place: (i, value) => (value - sliders[i].low) / (sliders[i].high - sliders[i].low),
    inside: (i, value) => Math.min(Math.max(value, sliders[i].low), sliders[i].high),
    text: (i, value) => value.toFixed(digits[i]).replace(/^-(?=0(\.0+)?$)/, "").replace("-", "−"),
  };
}

// The elements of the widget, without behaviour.
function slidersView(model, space, moved, signal) {
  const root = widgetRoot("cw-latent-sliders", model.get("title"));
  const [width, height] = model.get("size");
  const scale = Math.max(1, Math.round(224 / Math.max(width, height)));
  const image = element("canvas", { class: "cw-image", width, height, role: "img", "aria-label": "The decoded image", style: `width:${width * scale}px` });
  const button = (name, text, title) => element("button", { class: `cw-button ${name}`, type: "button", title }, text);
  const start = button("", "Start", "All sliders back to the start");
  const random = button("", "Random", "Another random point");
  const sweep = button("cw-sweep", "Sweep", "Move the chosen slider from end to end");
  const dims = space.sliders.map((slider, i) => sliderRow(slider, (value) => space.text(i, value), (value) => moved(i, value), signal));
  const longest = Math.max(...space.sliders.map(({ name }) => name.length));
  const many = dims.length > 24 ? { "data-many": "" } : {};
  const panel = element("div", { class: "cw-dims", role: "group", "aria-label": "Latent dimensions", style: `--name:${longest}ch`, ...many }, ...dims.map(({ row }) => row));
  const help = "Drag a slider, or focus it and use the arrow keys (Shift: large steps, Home: the start).";
  const quiet = () => element("div", { class: "cw-quiet", hidden: "" });
  const [alone, note] = [quiet(), quiet()];
  root.append(element("style", {}, SLIDER_STYLE + SLIDERS_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-sliders-row" },
      element("div", { class: "cw-sliders-side" }, image, element("div", { class: "cw-sliders-keys" }, start, random, sweep)), panel),
    element("div", { class: "cw-quiet" }, [model.get("order"), help].filter(Boolean).join(" ")), alone, note);
  note.textContent = model.get("note");
  note.hidden = !note.textContent;
  const without = (sentence) => {
    random.hidden = true; // the sheet holds no such image
    alone.textContent = sentence;
    alone.hidden = !sentence;
    delete root.dataset.decodes;
  };
  const withNetwork = () => {
    random.hidden = alone.hidden = false;
    alone.hidden = true;
    root.dataset.decodes = "";
  };
  return { root, image, start, random, sweep, dims, without, withNetwork };
}

export default { render };
