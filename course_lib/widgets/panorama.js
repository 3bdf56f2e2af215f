// Two wide pictures under a divider, to pan and zoom: the whole Earth as map and as photo.

const PANORAMA_STYLE = `
.cw-panorama .cw-wipe { width: 100%; }
.cw-panorama .cw-wipe-panel { cursor: grab; }
.cw-panorama .cw-wipe-panel:active { cursor: grabbing; }
.cw .cw-wipe-panel:focus-visible { outline-offset: 0; }
.cw-panorama-foot { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-top: 10px; }
.cw-panorama-foot .cw-button { min-width: 34px; }
.cw-panorama-foot .cw-readout { margin-left: 6px; color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; }
`;

const PANORAMA_WIDTH = 960; // canvas pixels

async function showPanorama(model, layers, signal) {
  const { width, height } = layers.a;
  const levels = {};
  for (const [kind, bitmap] of Object.entries(layers)) levels[kind] = await halvings(bitmap);
  const root = widgetRoot("cw-translate cw-panorama", model.get("title"));
  const say = announcer(root, signal);
  const most = Math.max(2, (4 * width) / PANORAMA_WIDTH); // a pixel of the picture is four of the canvas
  const state = { wipe: model.get("wipe"), example: 0, x: 0.5, y: 0.5, zoom: 1 }; // x, y: what is in the middle
  const size = [PANORAMA_WIDTH, Math.max(1, Math.round((PANORAMA_WIDTH * height) / width))];
  const wipe = wipeView(model, layers, size, moveWipe, paint, signal);
  const readout = element("div", { class: "cw-readout" });
  const button = (text, label, press) => {
    const made = element("button", { class: "cw-button", type: "button", "aria-label": label }, text);
    made.addEventListener("click", press, { signal });
    return made;
  };
  const foot = element("div", { class: "cw-panorama-foot" }, button("+", "Zoom in", () => zoom(1.5)), button("−", "Zoom out", () => zoom(1 / 1.5)),
    button("Whole picture", "Whole picture", whole), readout);

  function paint() {
    const [left, right] = wipe.pair().map((kind) => sharpEnough(levels[kind], PANORAMA_WIDTH * state.zoom));
    const [w, h] = [left.width / state.zoom, left.height / state.zoom];
    paintWipe(wipe.canvas, left, right, [state.x * left.width - w / 2, state.y * left.height - h / 2, w, h], state.wipe, true);
  }
  function show() {
    wipe.show(state.wipe);
    readout.textContent = [`${state.zoom.toFixed(1)}×`, errorText(model, "b", 0)].filter(Boolean).join(", ");
    paint();
  }
  function moveWipe(place) {
    state.wipe = Math.min(Math.max(place, 0), 1);
    show();
    model.set("wipe", state.wipe);
    model.save_changes();
  }
  // Look at (x, y), shares of the picture, as near as its edges allow.
  function look(x, y, zoomed) {
    state.zoom = Math.min(Math.max(zoomed, 1), most);
    const half = 0.5 / state.zoom;
    [state.x, state.y] = [x, y].map((value) => Math.min(Math.max(value, half), 1 - half));
    show();
  }
  function pan(dx, dy) { // shares of the panel
    look(state.x + dx / state.zoom, state.y + dy / state.zoom, state.zoom);
  }
  // Zoom so that what is under (x, y) of the panel stays there.
  function zoom(factor, x = 0.5, y = 0.5) {
    const zoomed = Math.min(Math.max(state.zoom * factor, 1), most);
    const shift = 1 / state.zoom - 1 / zoomed;
    look(state.x + (x - 0.5) * shift, state.y + (y - 0.5) * shift, zoomed);
    say(`zoom ${state.zoom.toFixed(1)}`);
  }
  function whole() {
    look(0.5, 0.5, 1);
  }

  for (const [name, value] of Object.entries({
    tabindex: 0, role: "application", "aria-roledescription": "panorama",
    "aria-label": `${model.get("alt")} Arrow keys pan, with Shift in large steps; plus and minus zoom; Home shows the whole picture.`,
  })) wipe.panel.setAttribute(name, value);
  followPointer(wipe.handle, (x) => moveWipe(state.wipe + ((x - 0.5) * wipe.handle.offsetWidth) / wipe.panel.clientWidth), signal);
  followFingers(wipe.panel, pan, zoom, signal);
  followKeys(wipe.panel, (dx, dy, large) => pan(dx * (large ? 0.25 : 0.05), -dy * (large ? 0.25 : 0.05)), whole, signal);
  wipe.panel.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !["+", "=", "-"].includes(event.key)) return;
    zoom(event.key === "-" ? 1 / 1.25 : 1.25);
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
  wipe.panel.addEventListener("wheel", (event) => {
    if (!wipe.panel.matches(":focus")) return; // the page scrolls
    event.preventDefault();
    const box = wipe.panel.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 500), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }, { signal, passive: false });
  followTraits(model, state, show, signal);
  root.append(element("style", {}, CHOOSE_STYLE + TRANSLATE_STYLE + PANORAMA_STYLE), element("div", { class: "cw-title" }, model.get("title")), wipe.root, foot,
    element("div", { class: "cw-quiet" }, "Drag to pan, + and − or two fingers zoom, the wheel zooms after a click; arrow keys pan (Shift: large steps, Home: all). The divider has its own arrow keys."));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  followTheme(root, () => {}, signal);
  show();
  return root;
}

// The bitmap in smaller and smaller copies, the smallest first: from afar they are faster to paint, and smooth.
async function halvings(bitmap) {
  const levels = [bitmap];
  while (levels[0].width >= 2 * PANORAMA_WIDTH) {
    const [width, height] = [levels[0].width, levels[0].height].map((side) => Math.max(1, Math.round(side / 2)));
    levels.unshift(await createImageBitmap(levels[0], { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" }));
  }
  return levels;
}

function sharpEnough(levels, width) {
  return levels.find((level) => level.width >= width) ?? levels[levels.length - 1];
}

// Call `pan(dx, dy)` as the picture is dragged, in shares of the target, and `zoom(factor, x, y)` as two fingers part.
function followFingers(target, pan, zoom, signal) {
  const held = new Map(); // pointer -> its place
  const at = (event) => {
    const box = target.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const middle = () => [0, 1].map((axis) => [...held.values()].reduce((sum, place) => sum + place[axis], 0) / held.size);
  const spread = () => {
    const [first, second] = [...held.values()];
    return second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 0;
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".cw-divider")) return;
    event.preventDefault();
    target.focus({ preventScroll: true });
    target.setPointerCapture(event.pointerId);
    held.set(event.pointerId, at(event));
  }, { signal });
  target.addEventListener("pointermove", (event) => {
    if (!held.has(event.pointerId)) return;
    const [before, apart] = [middle(), spread()];
    held.set(event.pointerId, at(event));
    const now = middle();
    pan(before[0] - now[0], before[1] - now[1]);
    if (apart > 0 && spread() > 0) zoom(spread() / apart, ...now);
  }, { signal });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    target.addEventListener(end, (event) => held.delete(event.pointerId), { signal });
  }
}
