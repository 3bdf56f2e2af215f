// The way between two latent codes, as strips of decoded images over the curve of the code's norm. Four codes: the other file.

const WAY_STYLE = `
.cw-interpolation { --line-ink: #b0501a; --circle-ink: #0b62a8; }
.cw-interpolation[data-theme=dark] { --line-ink: #ff9d5c; --circle-ink: #6cb8f5; }
.cw-way-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; }
.cw-way { flex: 1 1 330px; max-width: 560px; min-width: 0; display: grid; grid-template-columns: minmax(0, 56px) minmax(0, 1fr) minmax(0, 56px); gap: 0 10px; }
.cw-way-end { align-self: center; font-size: 12.5px; line-height: 1.25; text-align: center; overflow-wrap: anywhere; }
.cw-way-end canvas { width: 100%; margin-bottom: 4px; }
.cw-track { position: relative; min-width: 0; padding: 2px 0; cursor: ew-resize; touch-action: none; user-select: none; border-radius: 4px; }
.cw-track canvas { display: block; width: 100%; }
.cw-way-name { display: flex; align-items: center; gap: 6px; margin: 4px 0 2px; font-size: 12.5px; line-height: 1.3; }
.cw-way-name::before { content: ""; width: 14px; border-top: 3px var(--dash, solid) var(--colour); }
.cw-norms { position: relative; height: 92px; margin-top: 2px; border-bottom: 1px solid var(--line); }
.cw-norms canvas { height: 100%; }
.cw-norms span { position: absolute; left: 0; bottom: 2px; color: var(--quiet); font-size: 11px; line-height: 1; }
.cw-norm { position: absolute; width: 9px; height: 9px; margin: 0 0 -4.5px -4.5px; border-radius: 50%; background: var(--colour); }
.cw-playhead { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: var(--ink); pointer-events: none; }
.cw-playhead::after { content: ""; position: absolute; bottom: -9px; left: -8px; width: 12px; height: 12px; border-radius: 50%;
  border: 3px solid #fff; background: var(--accent); box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); }
.cw-way-now { display: grid; grid-template-columns: repeat(2, minmax(0, max-content)); gap: 8px 16px; }
.cw-way-now .cw-readout { font-size: 13px; }
.cw-readout { font-variant-numeric: tabular-nums; white-space: pre-line; }
`;

const METHODS = ["linear", "spherical"]; // the two rows (or halves) of the sheet
const COLOURS = ["--line-ink", "--circle-ink"];
const SHOWN = 9; // small pictures on a strip

async function render({ model, el }) {
  const [tileWidth, tileHeight] = model.get("tile");
  const sheet = await openSheet(model.get("sheet"), "image/webp", tileWidth, tileHeight);
  const given = bytesOf(model.get("originals")).length > 0;
  const originals = given ? await openSheet(model.get("originals"), "image/webp", ...model.get("original")) : null;
  const four = model.get("names").length === 4;
  const ending = new AbortController();
  const root = four ? showSquare(model, sheet, originals, ending.signal) : showWay(model, sheet, originals, ending.signal);
  el.replaceChildren(root);
  return () => { ending.abort(); root.remove(); };
}

function showWay(model, sheet, originals, signal) {
  const view = wayView(model, sheet, originals);
  const gram = model.get("gram");
  const say = announcer(view.root, signal);
  const norms = (t) => codeNorms(gram, [1 - t, t]);
  const curve = [0, 1].map((method) => Array.from({ length: 101 }, (_, i) => norms(i / 100)[method]));
  const top = Math.max(...curve.flat(), 1e-9) * 1.12;
  let t = model.get("t");

  // A place in 0..1 of the track belongs to t so that the middle of the first small picture is 0 and of the last 1.
  const placeOf = (value) => (0.5 + value * (SHOWN - 1)) / SHOWN;
  const paintCurve = () => {
    const { width, height } = view.curve;
    const context = view.curve.getContext("2d");
    context.clearRect(0, 0, width, height);
    curve.forEach((values, method) => {
      context.strokeStyle = getComputedStyle(view.root).getPropertyValue(COLOURS[method]);
      context.lineWidth = 4;
      context.setLineDash(method === 0 ? [12, 7] : []); // told apart without colour too
      context.beginPath();
      values.forEach((norm, i) => context.lineTo(placeOf(i / 100) * width, height * (1 - norm / top)));
      context.stroke();
    });
  };
  const show = () => {
    view.playhead.style.left = `${100 * placeOf(t)}%`;
    view.images.forEach((image, method) => paintPlace(image, sheet, t * (sheet.columns - 1), method));
    norms(t).forEach((norm, method) => {
      view.dots[method].style.left = `${100 * placeOf(t)}%`;
      view.dots[method].style.bottom = `${(100 * norm) / top}%`;
    });
    const [line, circle] = norms(t).map(shortNumber);
    view.place.textContent = `t = ${t.toFixed(2)}`;
    view.readouts[0].textContent = `${METHODS[0]}: norm ${line}`;
    view.readouts[1].textContent = `${METHODS[1]}: norm ${circle}`;
    view.track.setAttribute("aria-valuenow", t.toFixed(2));
    view.track.setAttribute("aria-valuetext", `t = ${t.toFixed(2)}; norm ${line} on the linear way, ${circle} on the spherical one`);
  };
  const move = (value) => {
    t = Math.min(Math.max(value, 0), 1);
    show();
    model.set("t", t);
    model.save_changes();
    say(view.track.getAttribute("aria-valuetext"));
  };
  followPointer(view.track, (x) => move((x * SHOWN - 0.5) / (SHOWN - 1)), signal);
  followKeys(view.track, (dx, dy, large) => move(t + (dx + dy) * (large ? 0.1 : 0.01)), () => move(0), signal);
  listen(model, "change:t", () => {
    if (model.get("t") === t) return; // our own move, coming back
    t = model.get("t");
    show();
  }, signal);
  followTheme(view.root, paintCurve, signal);
  show();
  return view.root;
}

// The elements of the widget, without behaviour.
function wayView(model, sheet, originals) {
  const root = widgetRoot("cw-interpolation", model.get("title"));
  const names = model.get("names");
  const ends = names.map((name, index) => element("div", { class: "cw-way-end" }, cornerImage(sheet, originals, index, 2), name));
  const named = (method) => element("div", { class: "cw-way-name", style: `--colour:var(${COLOURS[method]});--dash:${method ? "solid" : "dashed"}` }, METHODS[method]);
  const curve = element("canvas", { width: 960, height: 184, "aria-hidden": "true" });
  const dots = COLOURS.map((colour) => element("div", { class: "cw-norm", style: `--colour:var(${colour})` }));
  const norms = element("div", { class: "cw-norms" }, curve, element("span", { "aria-hidden": "true" }, "0"), ...dots);
  const playhead = element("div", { class: "cw-playhead" });
  const track = element("div", {
    class: "cw-track", tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": 1, "aria-orientation": "horizontal",
    "aria-label": `${model.get("alt")} From ${names[0]} at 0 to ${names[1]} at 1.`,
  }, named(0), wayStrip(sheet, 0), named(1), wayStrip(sheet, 1), element("div", { class: "cw-quiet" }, "Length (norm) of the code"), norms, playhead);
  const images = METHODS.map((method) => bigImage(sheet, method, 160));
  const readouts = METHODS.map(() => element("div", { class: "cw-readout" }));
  const place = element("div", { class: "cw-readout" });
  const now = images.map((image, method) => element("div", {}, image, readouts[method]));
  root.append(element("style", {}, CHOOSE_STYLE + WAY_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-way-row" }, element("div", { class: "cw-way" }, ends[0], track, ends[1]), element("div", { class: "cw-way-now" }, ...now, place)),
    element("div", { class: "cw-quiet" }, "Drag along the strips, or focus them and use the arrow keys (Shift: large steps, Home: the start)."));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  return { root, track, curve, dots, playhead, images, readouts, place };
}

function wayStrip(sheet, method) {
  const { tileWidth, tileHeight } = sheet;
  const canvas = element("canvas", { class: "cw-strip", width: SHOWN * tileWidth, height: tileHeight, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  for (let i = 0; i < SHOWN; i++) {
    paintBlend(context, sheet, (i / (SHOWN - 1)) * (sheet.columns - 1), method, i * tileWidth, 0, tileWidth, tileHeight);
  }
  return canvas;
}

// A canvas for one image of the sheet, about `size` pixels on screen.
function bigImage(sheet, label, size) {
  const { tileWidth, tileHeight } = sheet;
  const scale = Math.max(1, Math.round(size / Math.max(tileWidth, tileHeight)));
  return element("canvas", {
    class: "cw-image", role: "img", "aria-label": `Decoded image: ${label}`, width: tileWidth, height: tileHeight,
    style: `width:${tileWidth * scale}px;max-width:100%`,
  });
}

function paintPlace(image, sheet, column, row) {
  image.width = sheet.tileWidth; // also clears
  paintBlend(image.getContext("2d"), sheet, column, row, 0, 0, sheet.tileWidth, sheet.tileHeight);
}

// What stands at a corner: the picture its code belongs to, or the decoded code. `across`: corners side by side.
function cornerImage(sheet, originals, index, across) {
  const { tileWidth, tileHeight } = originals ?? sheet;
  const canvas = element("canvas", { class: "cw-image", width: tileWidth, height: tileHeight, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  if (originals) context.drawImage(originals.bitmap, -index * tileWidth, 0);
  else paintBlend(context, sheet, (index % across) * (sheet.columns - 1), Math.floor(index / across) * (sheet.rows / 2 - 1), 0, 0, tileWidth, tileHeight);
  return canvas;
}

// The exact norms of the code with the given weights of its corners: [linear, spherical]. gram[i][j] is the inner
// product of corners i and j. On spheres the norm goes linearly, see course_lib/latent.py.
function codeNorms(gram, weights) {
  let [square, circle] = [0, 0];
  weights.forEach((weight, i) => {
    circle += weight * Math.sqrt(gram[i][i]);
    weights.forEach((other, j) => { square += weight * other * gram[i][j]; });
  });
  return [Math.sqrt(Math.max(square, 0)), circle];
}

function shortNumber(value) {
  return value >= 1000 || (value < 0.01 && value > 0) ? value.toExponential(1) : value.toFixed(2);
}

export default { render };
