// What a LiveDenoiser looks like: two images, a bar, and what to sample.

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
