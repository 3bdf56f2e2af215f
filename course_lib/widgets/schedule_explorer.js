// Clean pictures, one noise, several schedules: x_t at a moment, computed here, under the curves that set it.

const SCHEDULE_STYLE = `
.cw-schedules { display: flex; flex-wrap: wrap; gap: 16px 28px; margin-bottom: 14px; }
.cw-schedule { max-width: 100%; }
.cw-schedule-name { display: flex; gap: 8px; align-items: center; margin-bottom: 4px; font-weight: 600; overflow-wrap: anywhere; }
.cw-schedule-name svg { flex: none; }
.cw-schedule line { stroke: var(--light); stroke-width: 3; }
.cw[data-theme=dark] .cw-schedule line { stroke: var(--dark); }
.cw-schedule canvas { display: block; max-width: 100%; image-rendering: pixelated; }
.cw-schedule-now { margin-top: 6px; font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-schedule-now i { font-family: Georgia, serif; }
.cw-schedule-now .cw-half { color: var(--quiet); }
.cw-schedule-row { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between; margin-bottom: 8px; }
.cw-moment { font-weight: 600; font-variant-numeric: tabular-nums; }
.cw-curves { position: relative; height: 150px; margin: 0 10px 6px; border: 1px solid var(--line); border-radius: 4px; background: var(--paper);
  cursor: crosshair; touch-action: none; user-select: none; }
.cw-curves canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-curves span { position: absolute; left: 5px; transform: translateY(50%); padding: 0 2px; color: var(--quiet); background: var(--paper); font-size: 11px; line-height: 1; }
.cw-schedule-explorer .cw-fit { display: block; max-width: 780px; }
`;

const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3]]; // so that colour is not needed to tell them apart
const REACH = 10; // the log-SNR is drawn from -10 to 10
const HEIGHTS = [ // what can be drawn: its name, its height 0..1 for a share of signal a, and its ticks
  { name: "ᾱ, the share of signal", place: (a) => a, ticks: [[0, "0"], [0.5, "0.5"], [1, "1"]] },
  { name: "log-SNR", place: (a) => 0.5 + Math.min(Math.max(logSnr(a) / REACH, -1), 1) / 2, ticks: [[0, "−10"], [0.5, "0"], [1, "10"]] },
];

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const shape = model.get("shape");
  const clean = await cleanPictures(model.get("sheet"), shape);
  const eps = pageNoise(model.get("seed"), clean.length);
  const tables = readTables(model);
  const last = tables[0].length - 1;
  const view = scheduleView(model, tables);
  const say = announcer(view.root, signal);
  const state = { t: model.get("t"), height: 0 };

  const drawCurves = () => paintSchedules(view.canvas, tables, model.get("curves"), state, view.root.dataset.theme === "dark");
  const show = (t) => {
    state.t = t;
    tables.forEach((table, s) => {
      paintNoised(view.panels[s].canvas, clean, eps, table[t], shape);
      view.panels[s].show(table[t]);
    });
    view.moment.textContent = `t = ${t} of ${last}`;
    drawCurves();
  };
  const words = (t) => [`t = ${t} of ${last}`, ...tables.map((table, s) =>
    `${model.get("curves")[s].name}: alpha bar ${short(table[t])}, log SNR ${spoken(logSnr(table[t]))}`)].join("; ");
  const player = momentPlayer({
    label: "Time t, from the clean picture to noise", places: Array.from({ length: last + 1 }, (_, t) => t / last), at: state.t, show, words, signal,
    moved(t, resting) {
      model.set("t", t);
      if (!resting) return;
      model.save_changes();
      say(words(t));
    },
  });
  const heights = choice("Curve", HEIGHTS.map(({ name }) => name), (height) => {
    state.height = height;
    heights.show(height);
    view.ticks(HEIGHTS[height].ticks);
    drawCurves();
  }, signal);
  heights.show(0);
  view.ticks(HEIGHTS[0].ticks);
  view.row.append(heights.root);
  view.curves.after(player.root);
  followPointer(view.curves, (x) => player.jump(x), signal);
  listen(model, "change:t", () => player.follow(model.get("t")), signal);
  const onSize = new ResizeObserver(drawCurves); // they are drawn for the width they have
  onSize.observe(view.canvas);
  signal.addEventListener("abort", () => onSize.disconnect());
  followTheme(view.root, drawCurves, signal);
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// The log of the signal-to-noise ratio, natural; a = 1 has no noise and a = 0 no signal.
const logSnr = (a) => Math.log(a / (1 - a));
const short = (value) => (value !== 0 && value < 0.001 ? value.toExponential(1) : value.toFixed(3)).replace("-", "−");
const signed = (value) => (Number.isFinite(value) ? value.toFixed(2) : value > 0 ? "∞" : "-∞").replace("-", "−");
const spoken = (value) => signed(value).replace("−", "minus ").replace("∞", "infinity");

// The sheet as floats (N, C, H, W) in [-1, 1], as Python has them before the noise.
async function cleanPictures(bytes, [count, channels, height, width]) {
  const { bitmap } = await openSheet(bytes, "image/webp", width, height);
  const context = element("canvas", { width: bitmap.width, height }).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, height);
  const clean = new Float32Array(count * channels * height * width);
  let i = 0;
  for (let n = 0; n < count; n++) for (let c = 0; c < channels; c++) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    clean[i++] = data[4 * (y * bitmap.width + n * width + x) + c] / 127.5 - 1;
  }
  return clean;
}

// All first bytes of the float32 numbers come first, then all second ones.
function readTables(model) {
  const planes = bytesOf(model.get("tables"));
  const count = planes.length / 4;
  const all = new Float32Array(Uint8Array.from(planes, (_, i) => planes[(i % 4) * count + (i >> 2)]).buffer);
  const length = all.length / model.get("curves").length;
  return model.get("curves").map((_, s) => all.subarray(s * length, (s + 1) * length));
}

// x_t = sqrt(a) x_0 + sqrt(1 - a) eps, clipped at [-1, 1] for the eye.
function paintNoised(canvas, clean, eps, a, [count, channels, height, width]) {
  const [signal, noise] = [Math.sqrt(a), Math.sqrt(1 - a)];
  const context = canvas.getContext("2d");
  const size = height * width;
  for (let n = 0; n < count; n++) {
    const image = new ImageData(width, height);
    for (let p = 0; p < size; p++) {
      for (let c = 0; c < 3; c++) {
        const i = (n * channels + (channels === 1 ? 0 : c)) * size + p;
        image.data[4 * p + c] = (signal * clean[i] + noise * eps[i] + 1) * 127.5;
      }
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, n * (width + 1), 0);
  }
}

// The elements of the widget, without behaviour.
function scheduleView(model, tables) {
  const root = widgetRoot("cw-schedule-explorer", model.get("title"));
  const panels = model.get("curves").map((curve, s) => schedulePanel(curve, DASHES[s], tables[s], model.get("shape")));
  const moment = element("div", { class: "cw-moment" });
  const row = element("div", { class: "cw-schedule-row" }, moment);
  const canvas = element("canvas", { "aria-hidden": "true" });
  const curves = element("div", { class: "cw-curves", role: "img", "aria-label": "The schedules from t = 0 to T, with the moment marked." }, canvas);
  root.append(element("style", {}, CHOOSE_STYLE + SCHEDULE_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-fit" }, element("div", { class: "cw-schedules" }, ...panels.map(({ panel }) => panel)), row, curves),
    element("div", { class: "cw-quiet" },
      "The noise is the same for all schedules and moments; pixels beyond black and white are shown clipped. Drag the bar or the curves, or focus the bar and use the arrow keys (Shift: ten steps, Home and End: first and last, space: play)."));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  const ticks = (marks) => curves.replaceChildren(canvas, ...marks.map(([place, text]) =>
    element("span", { style: `bottom:${8 + 84 * place}%`, "aria-hidden": "true" }, text)));
  return { root, panels, moment, row, curves, canvas, ticks };
}

function schedulePanel({ name, light, dark }, dash, table, [count, , height, width]) {
  const scale = Math.max(1, Math.round(({ 1: 168, 2: 140, 3: 112 }[count] ?? 84) / Math.max(width, height)));
  const pixels = count * (width + 1) - 1;
  const canvas = element("canvas", { role: "img", "aria-label": `The pictures at this moment, schedule ${name}`, width: pixels, height, style: `width:${pixels * scale}px` });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  line.setAttribute("width", 30);
  line.setAttribute("height", 4);
  line.setAttribute("aria-hidden", "true");
  line.innerHTML = `<line x1="0" y1="2" x2="30" y2="2" stroke-dasharray="${dash.join(" ")}"/>`;
  const [shares, ratio] = [element("div"), element("div")];
  const half = table.findIndex((a) => a <= 0.5);
  const from = half < 0 ? "More signal than noise to the end" : `As much noise as signal from t = ${half}`;
  const letter = (text, index) => [element("i", {}, text), element("sub", {}, index)];
  const panel = element("div", { class: "cw-schedule", role: "group", "aria-label": name, style: `width:${Math.max(pixels * scale, 210)}px;--light:${light};--dark:${dark}` },
    element("div", { class: "cw-schedule-name" }, line, name), canvas,
    element("div", { class: "cw-schedule-now" }, shares, ratio, element("div", { class: "cw-half" }, from)));
  return {
    panel, canvas,
    show(a) {
      shares.replaceChildren(...letter("x", "t"), ` = ${short(Math.sqrt(a))} `, ...letter("x", "0"), ` + ${short(Math.sqrt(1 - a))} `, element("i", {}, "ε"));
      ratio.textContent = `ᾱ = ${short(a)}, log-SNR ${signed(logSnr(a))}`;
    },
  };
}

// All curves, a line at the moment and a dot where it meets each of them.
function paintSchedules(canvas, tables, curves, { t, height }, dark) {
  const [wide, high, sharp] = [canvas.clientWidth, canvas.clientHeight, 2]; // twice the pixels, for fine screens
  if (wide === 0) return;
  [canvas.width, canvas.height] = [wide * sharp, high * sharp]; // also clears
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  const last = tables[0].length - 1;
  const [x, y] = [(time) => (time / last) * wide, (a) => high * (0.92 - 0.84 * HEIGHTS[height].place(a))];
  const style = getComputedStyle(canvas);
  context.fillStyle = style.getPropertyValue("--line");
  context.fillRect(0, Math.round(y(0.5)), wide, 1); // a = 1/2, log-SNR 0
  context.fillStyle = style.getPropertyValue("--accent");
  context.fillRect(Math.min(Math.max(x(t) - 1, 0), wide - 2), 0, 2, high);
  tables.forEach((table, s) => {
    context.strokeStyle = context.fillStyle = curves[s][dark ? "dark" : "light"];
    context.lineWidth = 2;
    context.setLineDash(DASHES[s]);
    context.beginPath();
    table.forEach((a, time) => context.lineTo(x(time), y(a)));
    context.stroke();
    context.beginPath();
    context.arc(x(t), y(table[t]), 4.5, 0, 2 * Math.PI);
    context.fill();
  });
}

export default { render };
