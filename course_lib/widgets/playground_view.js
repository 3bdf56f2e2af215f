// How a Playground2D looks: its elements, and the painting of plane and losses. What it does is in playground.js.

const PLAY_STYLE = `
.cw-playground { --real: #a65300; --made: #1d5fa6; --high: #f5b26a; --low: #8ebae5; --half: #fafafa; --second: #0f6b4f; --third: #8a4a8f; }
.cw-playground[data-theme=dark] { --real: #ffb56b; --made: #7dc0ff; --high: #7d4a12; --low: #1f4f80; --half: #16181d; --second: #5fd3a8; --third: #d29ad6; }
.cw-play-row { display: flex; flex-wrap: wrap; gap: 12px 24px; align-items: flex-start; }
.cw-play-main { width: 360px; max-width: 100%; }
.cw-play-plane { position: relative; width: 100%; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 4px; overflow: hidden;
  background: var(--paper); user-select: none; }
.cw-play-plane[role=application] { cursor: crosshair; touch-action: none; }
.cw-play-plane canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-play-cursor { position: absolute; width: 22px; height: 22px; margin: -11px; border: 2px solid var(--ink); border-radius: 50%;
  box-shadow: 0 0 0 2px var(--paper); pointer-events: none; visibility: hidden; }
.cw-play-plane:focus-visible .cw-play-cursor { visibility: visible; }
.cw-play-side { display: flex; flex-direction: column; gap: 10px; width: 250px; max-width: 100%; }
.cw-play-keys { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 8px 0 0; }
.cw-play-keys label { display: inline-flex; gap: 6px; align-items: center; color: var(--quiet); font-size: 13px; }
.cw-play-keys select { padding: 3px 4px; border: 1px solid var(--line); border-radius: 6px; background: var(--paper); color: var(--ink); font: inherit; }
.cw-playground .cw-player { margin-top: 8px; }
.cw-play-keys select { max-width: 100px; }
.cw-play-setting label, .cw-play-setting select { min-width: 0; max-width: 100%; }
.cw-play-setting span { color: var(--quiet); font-size: 13px; }
.cw-play-go { min-width: 76px; }
.cw-play-legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 13px; }
.cw-play-legend span { display: inline-flex; gap: 6px; align-items: center; }
.cw-play-legend i { width: 10px; height: 10px; background: var(--real); border-radius: 50%; }
.cw-play-legend .cw-made i { width: 9px; height: 9px; background: var(--made); border-radius: 0; transform: rotate(45deg); }
.cw-play-scale { display: flex; gap: 8px; align-items: center; font-size: 13px; }
.cw-play-scale i { flex: 1; height: 10px; border: 1px solid var(--line); border-radius: 3px; background: linear-gradient(90deg, var(--low),
  color-mix(in srgb, var(--low) 66%, var(--half)) 25%, var(--half) 50%, color-mix(in srgb, var(--high) 66%, var(--half)) 75%, var(--high)); }
.cw-play-scale i::before { content: ""; display: block; width: 1px; height: 100%; margin: 0 auto; background: var(--quiet); }
.cw-play-scale[hidden] { display: none; }
.cw-play-step { font-variant-numeric: tabular-nums; }
.cw-play-number { display: flex; flex-wrap: wrap; gap: 0 12px; justify-content: space-between; align-items: baseline; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cw-play-number span { color: var(--quiet); font-size: 13px; }
.cw-play-losses { width: 100%; height: 92px; display: block; }
.cw-play-names { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-play-names span { display: inline-flex; gap: 6px; align-items: center; }
.cw-play-names i { width: 18px; border-top: 2.5px solid; }
.cw-play-said { min-height: 1.45em; }
.cw-play-said[data-failed=true] { color: var(--bad); }
`;

const PLAY_SIZE = 720; // canvas pixels of the plane's side
const EDGE = 128; // a place runs from 0 to 1023, and the plane from 128 to 896: see play_frames.py
const SPAN = 768;
const CONTRAST = 0.6; // an exponent below 1, so that small differences from one half are seen
const LINES = [["--ink", []], ["--second", [7, 4]], ["--third", [2, 3]], ["--quiet", [10, 3, 2, 3]]]; // colour and dashes of losses

// A button, or a button that stays pressed.
function playButton(text, pressed) {
  const button = element("button", { class: "cw-button", type: "button" }, text);
  if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
  return button;
}

function playView(model, signal) {
  const root = widgetRoot("cw-playground", model.get("title"));
  const live = model.get("live");
  const canvas = element("canvas", { width: PLAY_SIZE, height: PLAY_SIZE, "aria-hidden": "true" });
  const cursor = element("div", { class: "cw-play-cursor" });
  const plane = element("div", { class: "cw-play-plane", role: "img", "aria-label": model.get("alt") }, canvas);
  if (live) {
    plane.append(cursor);
    plane.setAttribute("role", "application");
    plane.setAttribute("aria-roledescription", "drawing plane");
    plane.setAttribute("tabindex", 0);
    plane.setAttribute("aria-label", `${model.get("alt")} Arrow keys move the pen, with Shift in large steps; Space draws or erases; Home goes to the centre.`);
  }
  const main = element("div", { class: "cw-play-main" }, plane);
  const legend = element("div", { class: "cw-play-legend" },
    element("span", {}, element("i"), "data"), element("span", { class: "cw-made" }, element("i"), "samples"));
  const scale = element("div", { class: "cw-play-scale" },
    element("span", {}, `${model.get("scale")}:`), element("span", {}, "0"), element("i"), element("span", {}, "1"));
  const [heat, arrows] = [playButton("Heat map", true), playButton("Arrows", true)];
  const toggles = element("div", { class: "cw-play-keys", role: "group", "aria-label": "What the plane shows", style: "margin:0" }, heat, arrows);
  const step = element("div", { class: "cw-play-step" });
  const numbers = element("div"); // not a live region: they change with every frame
  const losses = element("canvas", { class: "cw-play-losses", role: "img", "aria-label": "Losses over the run" });
  const names = element("div", { class: "cw-play-names" });
  const said = element("div", { class: "cw-quiet cw-play-said" });
  root.append(element("style", {}, PLAY_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-play-row" }, main,
      element("div", { class: "cw-play-side" }, legend, scale, toggles, step, numbers, losses, names)), said);
  return { root, main, plane, canvas, cursor, scale, heat, arrows, step, numbers, losses, names, said, say: announcer(root, signal) };
}

// state: { points, frame, history, heat, arrows, dark }
function paintPlay(view, state) {
  const style = getComputedStyle(view.root);
  const color = (name) => style.getPropertyValue(name).trim();
  const { frame } = state;
  const context = view.canvas.getContext("2d");
  context.fillStyle = color("--half");
  context.fillRect(0, 0, PLAY_SIZE, PLAY_SIZE);
  if (state.heat && frame?.side) paintField(context, frame, ["--low", "--half", "--high"].map(color));
  if (state.arrows && frame) paintArrows(context, frame.arrows, color("--ink"));
  const rim = color("--paper");
  paintDots(context, state.points, color("--real"), rim, (x, y) => context.arc(x, y, 6, 0, 2 * Math.PI));
  if (frame) paintDots(context, frame.samples, color("--made"), rim, (x, y) => diamond(context, x, y, 7.5));
  view.scale.hidden = view.heat.hidden = !frame?.side;
  view.arrows.hidden = !frame?.arrows.length;
  view.step.textContent = frame ? `Step ${frame.step}` : "";
  view.numbers.hidden = !frame?.numbers.length;
  view.numbers.replaceChildren(...(frame?.numbers ?? []).map(([name, value]) =>
    element("div", { class: "cw-play-number" }, element("span", {}, name), " ", element("b", {}, value))));
  paintLosses(view, state.history, color);
}

function toPixel(x, y) {
  return [((x - EDGE) / SPAN) * PLAY_SIZE, (1 - (y - EDGE) / SPAN) * PLAY_SIZE];
}

function paintDots(context, places, fill, rim, outline) {
  context.fillStyle = fill;
  context.strokeStyle = rim;
  context.lineWidth = 2;
  for (let i = 0; i < places.length; i += 2) {
    context.beginPath();
    outline(...toPixel(places[i], places[i + 1]));
    context.fill();
    context.stroke();
  }
}

function diamond(context, x, y, r) {
  context.moveTo(x, y - r);
  context.lineTo(x + r, y);
  context.lineTo(x, y + r);
  context.lineTo(x - r, y);
  context.closePath();
}

// The outermost points of a field lie on the edges of the plane, so its picture is half a cell larger on every side.
function paintField(context, { side, field }, [low, half, high]) {
  const [a, b, c] = [low, half, high].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const image = new ImageData(side, side);
  for (let i = 0; i < field.length; i++) {
    const value = field[i] / 31 - 1; // -1..1
    for (let j = 0; j < 3; j++) image.data[4 * i + j] = b[j] + Math.abs(value) ** CONTRAST * ((value < 0 ? a : c)[j] - b[j]);
    image.data[4 * i + 3] = 255;
  }
  const small = element("canvas", { width: side, height: side });
  small.getContext("2d").putImageData(image, 0, 0);
  const cell = PLAY_SIZE / (side - 1);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, -cell / 2, -cell / 2, side * cell, side * cell);
}

function paintArrows(context, arrows, color) {
  context.strokeStyle = color;
  context.globalAlpha = 0.55;
  context.lineWidth = 2;
  context.beginPath();
  for (let i = 0; i < arrows.length; i += 4) {
    const [x0, y0] = toPixel(arrows[i], arrows[i + 1]);
    const [x1, y1] = toPixel(arrows[i + 2], arrows[i + 3]);
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length < 2) continue;
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    const head = Math.min(9, length / 2);
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.lineTo(x1 - head * (dx + 0.5 * dy), y1 - head * (dy - 0.5 * dx));
    context.moveTo(x1, y1);
    context.lineTo(x1 - head * (dx - 0.5 * dy), y1 - head * (dy + 0.5 * dx));
  }
  context.stroke();
  context.globalAlpha = 1;
}

// history: [{ step, losses }], in order. All curves share one axis.
function paintLosses(view, history, color) {
  const names = [...new Set(history.flatMap(({ losses }) => Object.keys(losses)))].sort().slice(0, LINES.length);
  view.losses.hidden = view.names.hidden = names.length === 0;
  if (names.length === 0) return;
  const [width, height] = [500, 184];
  Object.assign(view.losses, { width, height });
  const context = view.losses.getContext("2d");
  const values = history.flatMap(({ losses }) => names.map((name) => losses[name]).filter((value) => value !== undefined));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [history[0].step, history.at(-1).step];
  names.forEach((name, i) => {
    context.strokeStyle = color(LINES[i][0]);
    context.setLineDash(LINES[i][1]);
    context.lineWidth = 3;
    context.beginPath();
    for (const { step, losses } of history) {
      if (losses[name] === undefined) continue;
      context.lineTo(((step - first) / Math.max(last - first, 1)) * width, height - 6 - ((losses[name] - low) / (high - low || 1)) * (height - 12));
    }
    context.stroke();
  });
  const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  view.names.replaceChildren(...names.map((name, i) => {
    const newest = history.findLast(({ losses }) => losses[name] !== undefined).losses[name];
    const line = LINES[i][1].length ? "dashed" : "solid";
    return element("span", {}, element("i", { style: `border-top-style:${line};border-color:var(${LINES[i][0]})` }), `${name} ${short(newest)}`);
  }));
}
