// A plane of latent points to drag over, and the image they decode to, blended from a sheet of decoded images or, live,
// decoded by the kernel.

const PLANE_STYLE = `
.cw-plane-row { display: flex; flex-wrap: wrap; gap: 24px; align-items: flex-start; }
.cw-plane-frame { width: 340px; max-width: 100%; padding: 0 0 20px 20px; position: relative; }
.cw-plane { position: relative; width: 100%; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 4px; overflow: hidden;
  background: var(--paper); cursor: crosshair; touch-action: none; user-select: none; }
.cw-plane canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-hand { position: absolute; inset: 0; pointer-events: none; }
.cw-hand::before, .cw-hand::after { content: ""; position: absolute; background: var(--ink); opacity: .35; }
.cw-hand::before { left: -100%; right: -100%; top: -.5px; height: 1px; }
.cw-hand::after { top: -100%; bottom: -100%; left: -.5px; width: 1px; }
.cw-dot { position: absolute; left: -9px; top: -9px; width: 18px; height: 18px; border-radius: 50%; border: 3px solid #fff;
  background: var(--accent); box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); }
.cw-tick { position: absolute; color: var(--quiet); font-size: 11px; line-height: 1; font-variant-numeric: tabular-nums; }
.cw-plane-side { display: flex; flex-direction: column; gap: 8px; align-items: flex-start; max-width: 100%; }
.cw-readout { font-variant-numeric: tabular-nums; white-space: pre; }
.cw-source { width: 240px; max-width: 100%; min-height: 2.9em; margin: 0; }
.cw-legend { display: flex; flex-wrap: wrap; gap: 4px; max-width: 240px; margin: 4px 0 0 -8px; }
.cw-chip { display: inline-flex; align-items: center; gap: 6px; padding: 2px 8px; border: 1px solid transparent; border-radius: 12px;
  background: none; color: var(--ink); font: inherit; font-size: 13px; cursor: pointer; }
.cw-chip:hover { border-color: var(--line); }
.cw-chip[aria-pressed=true] { border-color: var(--accent); background: var(--paper); }
.cw-swatch { width: 11px; height: 11px; border-radius: 50%; background: var(--light); flex: none; }
.cw[data-theme=dark] .cw-swatch { background: var(--dark); }
`;

const RESOLUTION = 640; // canvas pixels of the plane's side, twice its usual size on screen: sharp at any zoom

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const opening = openPlane(model);
  const view = planeView(model);
  const say = announcer(view.root, signal);
  const state = { z: model.get("z"), dark: false, map: !model.get("points").byteLength, only: -1 };
  let plane = null; // { sheet, space, points }

  const paintSheet = () => {
    const { sheet, space } = plane;
    [view.image.width, view.image.height] = [sheet.tileWidth, sheet.tileHeight]; // also clears
    paintBlend(view.image.getContext("2d"), sheet, ...space.cell(state.z), 0, 0, sheet.tileWidth, sheet.tileHeight);
  };
  const live = model.get("live") ? liveImage(model, view, () => paintSheet(), say, signal) : null;
  const paintPlane = () => {
    const context = view.canvas.getContext("2d");
    context.clearRect(0, 0, RESOLUTION, RESOLUTION);
    if (state.map) paintMap(context, plane.sheet);
    paintPoints(context, plane.points, state);
  };
  const show = () => {
    const { space, points } = plane;
    const [x, y] = space.place(state.z);
    view.hand.style.transform = `translate(${100 * x}%, ${100 * y}%)`;
    if (!live?.prompt()) paintSheet();
    const near = nearest(points, x, 1 - y);
    view.readout.textContent = `z = (${space.text(state.z)})${near ? `\nnearest data point: ${near}` : ""}`;
    view.image.setAttribute("aria-label", `Decoded image at z = (${space.text(state.z)})`);
  };
  const move = (z) => {
    state.z = plane.space.inside(z);
    show();
    model.set("z", state.z);
    if (live) live.ask(state.z);
    else model.save_changes();
    say(view.readout.textContent);
  };
  const moved = () => {
    const z = model.get("z");
    if (z[0] === state.z[0] && z[1] === state.z[1]) return; // our own move, coming back
    state.z = z;
    show();
    live?.ask(state.z);
  };
  const refreshed = async () => {
    plane = await openPlane(model);
    view.label();
    state.z = plane.space.inside(state.z);
    show();
    paintPlane();
    live?.ask(state.z);
  };

  plane = await opening;
  followPointer(view.plane, (x, y) => move(plane.space.point(x, y)), signal);
  const step = (dx, dy, large) => move(plane.space.step(state.z, dx, dy, large ? 0.1 : 0.01));
  followKeys(view.plane, step, () => move([0, 0]), signal);
  listen(model, "change:z", moved, signal);
  listen(model, "change:sheet", refreshed, signal);
  listen(model, "change:note", () => { view.label(); live?.ask(state.z); }, signal);
  view.map.setAttribute("aria-pressed", state.map);
  view.map.addEventListener("click", () => {
    state.map = !state.map;
    view.map.setAttribute("aria-pressed", state.map);
    paintPlane();
  }, { signal });
  view.chips.forEach((chip, kind) => chip.addEventListener("click", () => {
    state.only = state.only === kind ? -1 : kind;
    view.chips.forEach((other, index) => other.setAttribute("aria-pressed", index === state.only));
    paintPlane();
  }, { signal }));
  followTheme(view.root, (dark) => { state.dark = dark; paintPlane(); }, signal);
  show();
  paintPlane();
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// What the kernel gave, ready to paint.
async function openPlane(model) {
  const [columns, rows] = model.get("tile");
  const [space, points] = [planeSpace(model), planePoints(model)];
  return { sheet: await openSheet(model.get("sheet"), "image/webp", columns, rows), space, points };
}

// The image in hand, decoded by the kernel; `paintSheet` stands in while the kernel is late, and when it fails.
function liveImage(model, view, paintSheet, say, signal) {
  let prompt = false; // did the kernel answer in time?
  const standIn = (sentence) => {
    prompt = false;
    paintSheet();
    view.source.textContent = sentence;
  };
  const answered = ({ problem, size }, buffers, inTime, newest) => {
    if (newest) model.save_changes(); // `z` in the kernel: once the hand rests, for messages are what costs time here
    if (problem) {
      standIn(problem);
      say(problem);
      return;
    }
    prompt = inTime;
    if (!inTime && !newest) return; // the hand has gone on, and the sheet with it
    paintPixels(view.image, bytesOf(buffers[0]), ...size);
    view.source.textContent = "Decoded by the kernel, exactly here.";
  };
  const line = kernelLine(model, answered, () => standIn("The kernel is busy or gone: blended from decoded images nearby."), signal);
  view.source.textContent = "Move the point: the kernel decodes it.";
  return { ask: (z) => line.ask({ z }), prompt: () => prompt && line.waited() < PATIENCE / 2 };
}

// Pixels in rows from the top, one or three channels each.
function paintPixels(canvas, bytes, width, height, channels) {
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let j = 0; j < 3; j++) image.data[4 * i + j] = bytes[channels * i + (channels === 3 ? j : 0)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The elements of the widget, without behaviour.
function planeView(model) {
  const root = widgetRoot("cw-latent-plane", model.get("title"));
  const canvas = element("canvas", { width: RESOLUTION, height: RESOLUTION, "aria-hidden": "true" });
  const hand = element("div", { class: "cw-hand" }, element("div", { class: "cw-dot" }));
  const plane = element("div", {
    class: "cw-plane", tabindex: 0, role: "application", "aria-roledescription": "two-dimensional slider",
    "aria-label": `${model.get("alt")} Arrow keys move the latent point, with Shift in large steps; Home goes to the origin.`,
  }, canvas, hand);
  const tick = (style, ...text) => element("span", { class: "cw-tick", style, "aria-hidden": "true" }, ...text);
  const edges = [ // left, right, bottom, top
    tick("left:20px;bottom:4px"), tick("right:0;bottom:4px"),
    tick("right:calc(100% - 15px);bottom:21px"), tick("right:calc(100% - 15px);top:1px"),
  ];
  const frame = element("div", { class: "cw-plane-frame" }, plane, ...edges,
    tick("left:calc(50% + 10px);bottom:4px", "z₁"), tick("right:calc(100% - 15px);top:calc(50% - 15px)", "z₂"));
  const [width, height] = model.get("tile");
  const scale = Math.max(1, Math.round(224 / Math.max(width, height)));
  const image = element("canvas", { class: "cw-image", width, height, role: "img", style: `width:${width * scale}px` });
  const readout = element("div", { class: "cw-readout" });
  const source = element("div", { class: "cw-quiet cw-source" });
  const map = element("button", { class: "cw-button", type: "button" }, "Map of decoded images");
  const classes = model.get("classes");
  const chips = classes.length < 2 ? [] : classes.map(({ name, light, dark }) => element("button", {
    class: "cw-chip", type: "button", "aria-pressed": "false", title: `Show only ${name}`,
  }, element("span", { class: "cw-swatch", style: `--light:${light};--dark:${dark}` }), name));
  const legend = element("div", { class: "cw-legend", role: "group", "aria-label": "Classes" }, ...chips);
  const side = element("div", { class: "cw-plane-side" }, image, readout, ...(model.get("live") ? [source] : []), map, ...(chips.length ? [legend] : []));
  root.append(element("style", {}, PLANE_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-plane-row" }, frame, side),
    element("div", { class: "cw-quiet" }, "Drag over the plane, or focus it and use the arrow keys (Shift: large steps, Home: the origin)."));
  const note = element("div", { class: "cw-quiet" });
  root.append(note);
  const label = () => { // what may change with a refresh
    model.get("extent").forEach((value, i) => { edges[i].textContent = String(Number(value.toPrecision(3))).replace("-", "−"); });
    note.textContent = model.get("note");
    note.hidden = !note.textContent;
  };
  label();
  return { root, plane, canvas, hand, image, readout, source, map, chips, label };
}

// From latent points to places and back. A place is (x, y) in 0..1 from the top left of the plane.
function planeSpace(model) {
  const [left, right, bottom, top] = model.get("extent");
  const last = model.get("n") - 1;
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(0.01 * Math.min(right - left, top - bottom)))));
  const place = ([a, b]) => [(a - left) / (right - left), (top - b) / (top - bottom)];
  return {
    place,
    cell: (z) => place(z).map((value) => value * last),
    point: (x, y) => [left + x * (right - left), top - y * (top - bottom)],
    step: ([a, b], dx, dy, share) => [a + dx * share * (right - left), b + dy * share * (top - bottom)],
    inside: ([a, b]) => [Math.min(Math.max(a, left), right), Math.min(Math.max(b, bottom), top)],
    text: (z) => z.map((value) => value.toFixed(digits).replace("-", "−")).join(", "),
  };
}

// The data's latent points as places from the bottom left, with an index into `classes` for each.
function planePoints(model) {
  const bytes = bytesOf(model.get("points")).slice(); // a copy, aligned for 16-bit numbers
  const places = Float32Array.from(new Uint16Array(bytes.buffer), (value) => value / 65535);
  return { places, count: places.length / 2, kinds: bytesOf(model.get("labels")), classes: model.get("classes") };
}

function nearest(points, x, y) {
  if (points.classes.length < 2) return "";
  let [best, least] = [-1, Infinity];
  for (let i = 0; i < points.count; i++) {
    const distance = (points.places[2 * i] - x) ** 2 + (points.places[2 * i + 1] - y) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best < 0 ? "" : points.classes[points.kinds[best]].name;
}

function paintPoints(context, points, { dark, map, only }) {
  const radius = (points.count > 500 ? 4.5 : 7) * (map ? 0.8 : 1);
  context.strokeStyle = dark ? "#16181d" : "#fafafa";
  context.lineWidth = 1.5;
  const order = [...points.kinds.keys()].sort((a, b) => (points.kinds[a] === only) - (points.kinds[b] === only));
  const every = map && points.count > 500 ? 3 : 1; // fewer, so that the images below stay visible
  for (const i of order) {
    if (i % every) continue;
    const kind = points.kinds[i];
    context.globalAlpha = only >= 0 && kind !== only ? 0.08 : 0.85;
    context.fillStyle = points.classes[kind][dark ? "dark" : "light"];
    context.beginPath();
    context.arc(points.places[2 * i] * RESOLUTION, (1 - points.places[2 * i + 1]) * RESOLUTION, radius, 0, 2 * Math.PI);
    context.fill();
    if (map) context.stroke(); // a rim, so that dark points show on dark images and light ones on light
  }
  context.globalAlpha = 1;
}

// The sheet as a background: ten cells a side, each the image at its centre.
function paintMap(context, sheet) {
  const cells = 10;
  const size = RESOLUTION / cells;
  for (let i = 0; i < cells; i++) {
    for (let j = 0; j < cells; j++) {
      const [column, row] = [((i + 0.5) / cells) * (sheet.columns - 1), ((j + 0.5) / cells) * (sheet.rows - 1)];
      paintBlend(context, sheet, column, row, i * size, j * size, size, size);
    }
  }
}

export default { render };
