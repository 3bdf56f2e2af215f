// Pictures, their translations, and back: a divider parts two of them. Single wide pictures: the other file.

const TRANSLATE_STYLE = `
.cw-translate-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; margin: 10px 0 12px; }
.cw-translate-row .cw-figures { flex: 1 1 280px; max-width: 290px; }
.cw-wipe { max-width: 100%; }
.cw-wipe-names { display: flex; justify-content: space-between; gap: 12px; margin-bottom: 4px; font-size: 13px; line-height: 1.3; }
.cw-wipe-panel { position: relative; overflow: hidden; border: 1px solid var(--line); border-radius: 4px; touch-action: none; user-select: none; }
.cw-wipe-panel canvas { display: block; width: 100%; height: auto; }
.cw-divider { position: absolute; top: 0; bottom: 0; width: 28px; margin-left: -14px; cursor: ew-resize; touch-action: none; }
.cw .cw-divider:focus-visible { outline-offset: -3px; }
.cw-divider::before { content: ""; position: absolute; top: 0; bottom: 0; left: 13px; width: 2px; background: #fff; box-shadow: 0 0 0 1px #1f2328; }
.cw-divider::after { content: "‹ ›"; position: absolute; top: calc(50% - 13px); left: 1px; width: 26px; height: 26px; border-radius: 50%;
  background: #fff; color: #1f2328; box-shadow: 0 0 0 1px #1f2328; font: 14px/23px system-ui, sans-serif; text-align: center; }
.cw-wipe + .cw-choice, .cw-wipe .cw-choice { margin-top: 10px; }
`;

async function render({ model, el }) {
  const layers = {};
  for (const kind of ["a", "b", "back", "truth"]) {
    if (bytesOf(model.get(kind)).length) layers[kind] = (await openSheet(model.get(kind), "image/webp", 1, 1)).bitmap;
  }
  const ending = new AbortController();
  const root = await (model.get("panorama") ? showPanorama : showExamples)(model, layers, ending.signal);
  el.replaceChildren(root);
  return () => { ending.abort(); root.remove(); };
}

function showExamples(model, layers, signal) {
  const count = model.get("count");
  const [width, height] = [layers.a.width / count, layers.a.height];
  const root = widgetRoot("cw-translate", model.get("title"));
  const say = announcer(root, signal);
  const called = layerNames(model);
  const state = { example: model.get("example"), wipe: model.get("wipe") };
  const thumbnails = [{ canvas: stripCanvas(layers.a, count, 0, 0, width, height, width), name: "" }];
  const pick = picker(`${model.get("alt")} Choose an example.`, count, thumbnails, (example) => move({ example }), signal);
  const enlarged = Math.max(1, Math.round(320 / Math.max(width, height)));
  const wipe = wipeView(model, layers, [width * enlarged, height * enlarged], (place) => move({ wipe: place }), paint, signal);
  wipe.root.style.width = `${width * enlarged}px`;
  followPointer(wipe.panel, (x) => { wipe.focus(); move({ wipe: x }); }, signal);
  const small = Math.max(1, Math.round(128 / Math.max(width, height)));
  const figures = Object.keys(layers).map((kind) => ({ kind, ...figure(called[kind], width, height, width * small) }));
  const heading = element("div", { class: "cw-chosen" });

  function paint() {
    const [left, right] = wipe.pair().map((kind) => layers[kind]);
    paintWipe(wipe.canvas, left, right, [state.example * width, 0, width, height], state.wipe, false);
  }
  function show() {
    const label = model.get("labels")[state.example];
    const text = `example ${state.example + 1} of ${count}${label ? `: ${label}` : ""}`;
    heading.textContent = text[0].toUpperCase() + text.slice(1);
    pick.show(state.example, text);
    wipe.show(state.wipe);
    for (const { kind, canvas, number } of figures) {
      canvas.getContext("2d").drawImage(layers[kind], -state.example * width, 0);
      canvas.setAttribute("aria-label", `${called[kind]}, ${text}`);
      number.textContent = errorText(model, kind, state.example);
    }
    paint();
  }
  function move(change) {
    Object.assign(state, { example: change.example ?? state.example, wipe: Math.min(Math.max(change.wipe ?? state.wipe, 0), 1) });
    show();
    model.set("example", state.example);
    model.set("wipe", state.wipe);
    model.save_changes();
    if (change.example !== undefined) say([heading.textContent, ...figures.map(({ number }) => number.textContent)].filter(Boolean).join("; "));
  }
  followTraits(model, state, show, signal);
  root.append(element("style", {}, CHOOSE_STYLE + TRANSLATE_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    ...(count > 1 ? [heading, pick.root] : []),
    element("div", { class: "cw-translate-row" }, wipe.root, element("div", { class: "cw-figures" }, ...figures.map((one) => one.root))),
    element("div", { class: "cw-quiet" }, `Drag the divider, or focus it and use the arrow keys (Shift: large steps, Home: the middle).${count > 1 ? " The row above chooses the example in the same way." : ""}`));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  followTheme(root, () => {}, signal);
  show();
  return root;
}

// What the layers are called.
function layerNames(model) {
  const [a, b] = model.get("names");
  return { a, b, back: `${a} again`, truth: `true ${b}` };
}

function errorText(model, kind, example) {
  const errors = model.get("errors")[kind];
  return errors ? `squared error to ${kind === "b" ? "the truth" : layerNames(model).a} ${errors[example].toPrecision(2)}` : "";
}

// Keep `state` at what the kernel sets.
function followTraits(model, state, show, signal) {
  for (const name of ["example", "wipe"]) {
    listen(model, `change:${name}`, () => {
      if (model.get(name) === state[name]) return; // our own move, coming back
      state[name] = model.get(name);
      show();
    }, signal);
  }
}

// A panel for two layers with a divider, their names above and buttons for which two below. `pair()` gives the two kinds.
function wipeView(model, layers, [width, height], move, repaint, signal) {
  const called = layerNames(model);
  const pairs = [["truth", "b"], ["a", "b"], ["a", "back"]].filter((pair) => pair.every((kind) => layers[kind]));
  let [chosen, place] = [0, 0.5];
  const canvas = element("canvas", { width, height, role: "img" });
  const handle = element("div", { class: "cw-divider", tabindex: 0, role: "slider", "aria-label": "Divider", "aria-valuemin": 0, "aria-valuemax": 100 });
  const panel = element("div", { class: "cw-wipe-panel" }, canvas, handle);
  const [left, right] = [element("span"), element("span")];
  const choose = choice("What the divider parts", pairs.map((pair) => pair.map((kind) => called[kind]).join(" | ")), (pair) => {
    chosen = pair;
    show(place);
    repaint();
  }, signal);
  const root = element("div", { class: "cw-wipe" }, element("div", { class: "cw-wipe-names" }, left, right), panel, ...(pairs.length > 1 ? [choose.root] : []));
  followKeys(handle, (dx, dy, large) => move(place + (dx + dy) * (large ? 0.1 : 0.01)), () => move(0.5), signal);
  function show(wipe) {
    place = wipe;
    const [first, second] = pairs[chosen].map((kind) => called[kind]);
    [left.textContent, right.textContent] = [first, second];
    handle.style.left = `${100 * wipe}%`;
    handle.setAttribute("aria-valuenow", Math.round(100 * wipe));
    handle.setAttribute("aria-valuetext", `${first} on the left ${Math.round(100 * wipe)} per cent, ${second} on the right`);
    canvas.setAttribute("aria-label", `${first} left of the divider, ${second} right of it`);
    choose.show(chosen);
  }
  return { root, panel, canvas, handle, show, pair: () => pairs[chosen], focus: () => handle.focus({ preventScroll: true }) };
}

// Paint the region [x, y, width, height] of two bitmaps over the whole canvas: `left` up to the share `wipe`, `right` beyond.
function paintWipe(canvas, left, right, [x, y, width, height], wipe, smooth) {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = smooth;
  const cut = Math.round(wipe * canvas.width);
  for (const [bitmap, from, to] of [[left, 0, cut], [right, cut, canvas.width]]) {
    if (from === to) continue;
    const share = width / canvas.width;
    context.drawImage(bitmap, x + from * share, y, (to - from) * share, height, from, 0, to - from, canvas.height);
  }
}

export default { render };
