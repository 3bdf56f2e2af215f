// What a reader has in hand to sample in the page: a seed, guidance, a number of steps, and a bar from noise to sample.

const LIVE_STYLE = `
.cw-live-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; margin-bottom: 12px; }
.cw-live-row > div { min-width: 0; }
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

const field = (name, control, tag = "label") => element(tag, { class: "cw-field" }, element("span", {}, name), control);

// Each of these is { row, show(state) }, and calls `choose` with what a hand or a key has chosen.
function seedField(choose, signal) {
  const seed = element("input", { type: "number", min: 0, max: 4294967295, step: 1, "aria-label": "Seed" });
  const another = element("button", { class: "cw-button", type: "button" }, "New seed");
  seed.addEventListener("change", () => choose({ seed: Math.min(Math.max(Math.trunc(Number(seed.value)) || 0, 0), 4294967295) }), { signal });
  another.addEventListener("click", () => choose({ seed: Math.floor(Math.random() * 10000) }), { signal });
  return {
    row: field("Seed", element("span", { class: "cw-seed" }, seed, another), "div"),
    show(state) { if (document.activeElement !== seed || Number(seed.value) !== state.seed) seed.value = state.seed; },
  };
}

// options: [[value, text], ...], whole numbers as values.
function selectField(name, trait, options, choose, signal) {
  const select = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
  select.addEventListener("change", () => choose({ [trait]: Number(select.value) }), { signal });
  return { row: field(name, select), show(state) { select.value = state[trait]; } };
}

function checkField(text, trait, choose, signal) {
  const box = element("input", { type: "checkbox" });
  box.addEventListener("change", () => choose({ [trait]: box.checked }), { signal });
  return { row: element("label", { class: "cw-check" }, box, text), show(state) { box.checked = state[trait]; } };
}

function guidanceField(choose, signal) {
  const moved = (value) => choose({ guidance: Math.round(value * 10) / 10 });
  const slider = sliderRow({ name: "Guidance", low: 0, high: 8, start: 1, step: 0.1 }, (value) => value.toFixed(1), moved, signal);
  return { row: slider.row, show(state) { slider.show(state.guidance); } };
}

const stepsField = (model, choose, signal) => selectField("Steps", "steps", Object.keys(model.get("plans")).map((n) => [n, n]), choose, signal);

// The parts of a widget that samples, below `head`: its pictures beside its fields, a bar, quiet lines. What a `liveRun` needs of a view.
function sampler(root, model, head, pictures, fields) {
  const form = element("div", { class: "cw-live-form", role: "group", "aria-label": "What to sample" }, ...fields.map(({ row }) => row));
  const player = playerParts("How far along, from noise to sample", 2);
  player.speed.parentElement.remove(); // the network sets the speed
  const step = element("div", { class: "cw-live-step" });
  const quiet = () => element("div", { class: "cw-quiet", hidden: "" });
  const [why, note] = [quiet(), quiet()];
  const help = "Drag the bar, or focus it and use the arrow keys (Shift: ten steps, Home and End: first and last, space: play).";
  root.append(...head, element("div", { class: "cw-live-row" }, element("div", {}, pictures, step), form),
    player.root, element("div", { class: "cw-quiet" }, help), why, note);
  note.textContent = model.get("note");
  note.hidden = !note.textContent;
  return {
    show(state, last, words) {
      const place = `${(100 * state.k) / Math.max(last, 1)}%`;
      player.place.style.left = player.done.style.width = place;
      player.scrub.setAttribute("aria-valuemax", last);
      player.scrub.setAttribute("aria-valuenow", state.k);
      player.scrub.setAttribute("aria-valuetext", words);
      step.textContent = words;
      for (const one of fields) one.show(state);
    },
    playing: (on) => { player.play.textContent = on ? "Pause" : "Play"; },
    without(sentence) {
      form.hidden = true;
      why.textContent = sentence;
      why.hidden = !sentence;
      delete root.dataset.samples;
    },
    withNetwork() {
      form.hidden = false;
      why.hidden = true;
      root.dataset.samples = "";
    },
    wire({ go, toggle, state, last }, signal) {
      player.play.addEventListener("click", toggle, { signal });
      player.back.addEventListener("click", () => go(state.k - 1), { signal });
      player.on.addEventListener("click", () => go(state.k + 1), { signal });
      followPointer(player.scrub, (place) => go(Math.round(place * last())), signal);
      followPlayerKeys(player.root, { go: (by) => go(state.k + by), home: () => go(0), end: () => go(last()), toggle }, signal);
    },
  };
}
