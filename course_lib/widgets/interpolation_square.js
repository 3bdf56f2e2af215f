// The square between four latent codes: a place to drag in it, and the decoded image there.

const SQUARE_STYLE = `
.cw-square { display: grid; grid-template-columns: minmax(0, 56px) minmax(0, 260px) minmax(0, 56px); gap: 0 10px; flex: 0 1 392px; min-width: 0; }
.cw-square .cw-way-end { align-self: start; }
.cw-square .cw-way-end.cw-low { align-self: end; }
.cw-pad { grid-column: 2; grid-row: 1 / span 2; position: relative; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 4px; overflow: hidden;
  cursor: crosshair; touch-action: none; user-select: none; }
.cw-pad canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-pad-dot { position: absolute; width: 18px; height: 18px; margin: -9px; border-radius: 50%; border: 3px solid #fff;
  background: var(--accent); box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); pointer-events: none; }
.cw-square-side { display: flex; flex-direction: column; gap: 8px; align-items: flex-start; max-width: 100%; }
`;

function showSquare(model, sheet, originals, signal) {
  const side = sheet.columns;
  const gram = model.get("gram");
  const state = { t: model.get("t"), method: 0 };
  const methods = choice("Method", METHODS, (method) => { state.method = method; show(); paintMap(); }, signal);
  const view = squareView(model, sheet, originals, methods.root);
  const say = announcer(view.root, signal);

  const paintMap = () => {
    const context = view.map.getContext("2d");
    const [cells, size] = [7, view.map.width / 7];
    for (let i = 0; i < cells; i++) {
      for (let j = 0; j < cells; j++) {
        const place = [i, j].map((cell) => (cell / (cells - 1)) * (side - 1));
        paintBlend(context, sheet, place[0], place[1] + state.method * side, i * size, j * size, size, size);
      }
    }
  };
  const show = () => {
    const [x, y] = state.t;
    view.dot.style.left = `${100 * x}%`;
    view.dot.style.top = `${100 * y}%`;
    paintPlace(view.image, sheet, x * (side - 1), y * (side - 1) + state.method * side);
    const norms = codeNorms(gram, [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]).map(shortNumber);
    methods.show(state.method);
    view.readout.textContent = `t = (${x.toFixed(2)}, ${y.toFixed(2)})\nnorm of the code: ${norms[state.method]}\n(${METHODS[1 - state.method]}: ${norms[1 - state.method]})`;
    view.image.setAttribute("aria-label", `Decoded image at (${x.toFixed(2)}, ${y.toFixed(2)}), ${METHODS[state.method]}`);
  };
  const move = (x, y) => {
    state.t = [x, y].map((value) => Math.min(Math.max(value, 0), 1));
    show();
    model.set("t", state.t);
    model.save_changes();
    say(view.readout.textContent);
  };
  followPointer(view.pad, (x, y) => move(x, y), signal);
  followKeys(view.pad, (dx, dy, large) => {
    const step = large ? 0.1 : 0.01;
    move(state.t[0] + dx * step, state.t[1] - dy * step);
  }, () => move(0.5, 0.5), signal);
  listen(model, "change:t", () => {
    const t = model.get("t");
    if (t[0] === state.t[0] && t[1] === state.t[1]) return; // our own move, coming back
    state.t = t;
    show();
  }, signal);
  followTheme(view.root, () => {}, signal);
  show();
  paintMap();
  return view.root;
}

// The elements of the widget, without behaviour.
function squareView(model, sheet, originals, methods) {
  const root = widgetRoot("cw-interpolation", model.get("title"));
  const names = model.get("names");
  const ends = names.map((name, index) => element("div", {
    class: `cw-way-end${index > 1 ? " cw-low" : ""}`, style: `grid-column:${index % 2 ? 3 : 1};grid-row:${index > 1 ? 2 : 1}`,
  }, cornerImage(sheet, originals, index, 2), name));
  const map = element("canvas", { width: 7 * 64, height: 7 * 64, "aria-hidden": "true" });
  const dot = element("div", { class: "cw-pad-dot" });
  const pad = element("div", {
    class: "cw-pad", tabindex: 0, role: "application", "aria-roledescription": "two-dimensional slider",
    "aria-label": `${model.get("alt")} The corners are ${names.join(", ")}. Arrow keys move the place, with Shift in large steps; Home goes to the middle.`,
  }, map, dot);
  const image = bigImage(sheet, "", 224);
  const readout = element("div", { class: "cw-readout" });
  root.append(element("style", {}, CHOOSE_STYLE + WAY_STYLE + SQUARE_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-way-row" }, element("div", { class: "cw-square" }, ends[0], ends[1], ends[2], ends[3], pad),
      element("div", { class: "cw-square-side" }, image, readout, methods)),
    element("div", { class: "cw-quiet" }, "Drag over the square, or focus it and use the arrow keys (Shift: large steps, Home: the middle)."));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  return { root, pad, map, dot, image, readout };
}
