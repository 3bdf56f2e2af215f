// One sampler or several on their way from noise to picture, moved together by one bar.

const DENOISER_STYLE = `
.cw-runs { display: flex; flex-wrap: wrap; gap: 20px 32px; align-items: flex-start; margin-bottom: 16px; }
.cw-run { max-width: 100%; }
.cw-run-name { display: flex; gap: 8px; align-items: center; font-weight: 600; }
.cw-run-name::before { content: ""; width: 11px; height: 11px; border-radius: 50%; background: var(--light); flex: none; }
.cw[data-theme=dark] .cw-run-name::before { background: var(--dark); }
.cw-run-step { min-height: 20px; color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-run-row { margin: 8px 0 2px; font-size: 13px; }
.cw-run-row i { font-family: Georgia, serif; }
.cw-run .cw-strip { display: block; max-width: 100%; image-rendering: pixelated; }
.cw-captions { display: flex; max-width: 100%; margin-top: 2px; color: var(--quiet); font-size: 12px; line-height: 1.2; text-align: center; }
.cw-captions span { flex: 1 1 0; min-width: 0; padding: 0 2px; overflow-wrap: anywhere; }
.cw-noise { display: flex; gap: 8px; align-items: center; margin-top: 10px; font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-noise-bar { flex: 1; height: 8px; overflow: hidden; border-radius: 4px; background: var(--line); }
.cw-noise-bar div { height: 100%; transform-origin: left; background: var(--light); }
.cw[data-theme=dark] .cw-noise-bar div { background: var(--dark); }
.cw-noise span { min-width: 84px; }
.cw-scrub.cw-with-curve { height: 84px; }
.cw-ends { display: flex; justify-content: space-between; gap: 12px; margin: 4px 0 8px; color: var(--quiet); font-size: 12px; }
`;

const GAP = 1; // image pixels between two images of a row
const CURVE = { height: 84, bottom: 24, top: 6 }; // pixels; the bar below takes `bottom`

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const runs = model.get("runs");
  const moments = model.get("moments");
  const [width, height] = model.get("tile");
  const count = model.get("pictures");
  const sheet = unfaded(await openSheet(model.get("sheet"), "image/webp", width * count, height), model.get("contrasts"));
  const view = denoiserView(model);
  const say = announcer(view.root, signal);
  const knowsNoise = runs.every((run) => run.noise[0] !== null);
  const most = Math.max(...runs.flatMap((run) => run.noise));

  const show = (k) => runs.forEach((run, r) => {
    const frame = nearestPlace(run.places, moments[k]);
    const panel = view.panels[r];
    paintRow(panel.x, sheet, run.start + frame, count, width);
    if (panel.guess) paintRow(panel.guess, sheet, run.guesses[frame], count, width);
    panel.step.textContent = stepText(run, frame);
    const share = knowsNoise ? run.noise[frame] / (most || 1) : run.places[frame];
    panel.bar.style.transform = `scaleX(${share})`;
    panel.level.textContent = knowsNoise ? `noise ${plain(run.noise[frame])}` : `${Math.round(100 * share)}% done`;
  });
  const words = (k) => runs.map((run, r) =>
    [run.name, view.panels[r].step.textContent, view.panels[r].level.textContent].filter(Boolean).join(", ")).join("; ");
  const player = momentPlayer({
    label: "How far along, from noise to sample", places: moments, at: model.get("moment"), show, words, signal,
    moved(k, resting) {
      model.set("moment", k);
      if (!resting) return;
      model.save_changes();
      say(words(k));
    },
  });
  if (knowsNoise) {
    player.scrub.classList.add("cw-with-curve");
    player.scrub.prepend(view.curve);
  }
  view.bar.append(player.root);
  player.scrub.after(element("div", { class: "cw-ends", "aria-hidden": "true" },
    element("span", {}, knowsNoise ? "all noise; the line is the noise level" : "all noise"), element("span", {}, "sample")));
  listen(model, "change:moment", () => player.follow(model.get("moment")), signal);
  const repaint = () => { if (knowsNoise) paintCurves(view.curve, runs, most, view.root.dataset.theme === "dark"); };
  const onSize = new ResizeObserver(repaint); // the curve is drawn for the width it has
  onSize.observe(view.curve);
  signal.addEventListener("abort", () => onSize.disconnect());
  followTheme(view.root, repaint, signal);
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// Noise is stored with its contrast lowered, which saves bytes; turn it up again, once.
function unfaded(sheet, contrasts) {
  const canvas = element("canvas", { width: sheet.bitmap.width, height: sheet.bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(sheet.bitmap, 0, 0);
  contrasts.forEach((contrast, index) => {
    if (contrast === 1) return;
    const [x, y] = [(index % sheet.columns) * sheet.tileWidth, Math.floor(index / sheet.columns) * sheet.tileHeight];
    const pixels = context.getImageData(x, y, sheet.tileWidth, sheet.tileHeight);
    const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => (value - 127.5) / contrast + 127.5);
    for (let i = 0; i < pixels.data.length; i++) if (i % 4 < 3) pixels.data[i] = table[pixels.data[i]];
    context.putImageData(pixels, x, y);
  });
  return { ...sheet, bitmap: canvas };
}

// The elements of the widget, without behaviour.
function denoiserView(model) {
  const root = widgetRoot("cw-denoiser", model.get("title"));
  const panels = model.get("runs").map((run, r) => runPanel(model, run, r));
  const curve = element("canvas", { "aria-hidden": "true" });
  const bar = element("div");
  const help = "Drag the bar, or focus it and use the arrow keys (Shift: ten moments, Home and End: first and last, space: play).";
  root.append(element("style", {}, DENOISER_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-fit" }, element("div", { class: "cw-runs" }, ...panels.map(({ panel }) => panel)), bar),
    element("div", { class: "cw-quiet" }, [model.get("reading"), help].filter(Boolean).join(" ")));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  return { root, panels, curve, bar };
}

function runPanel(model, run, r) {
  const count = model.get("pictures");
  const [width, height] = model.get("tile");
  const wide = imageSide(width, height, count) * count;
  const row = (label) => element("canvas", {
    class: "cw-strip", role: "img", "aria-label": label, width: count * (width + GAP) - GAP, height, style: `width:${wide}px`,
  });
  const name = run.name || "The sampler";
  const x = row(`${name}: what it holds`);
  const guess = run.guesses.some((tile) => tile >= 0) ? row(`${name}: its guess of the end`) : null;
  const step = element("div", { class: "cw-run-step" });
  const bar = element("div");
  const level = element("span");
  const colours = RUN_COLOURS[r % RUN_COLOURS.length];
  const panel = element("div", { class: "cw-run", role: "group", "aria-label": name, style: `width:${wide}px;--light:${colours[0]};--dark:${colours[1]}` });
  if (run.name) panel.append(element("div", { class: "cw-run-name" }, run.name));
  panel.append(step, rowLabel("x", "t", "what the sampler holds"), x);
  if (guess) panel.append(rowLabel("x", "0", "its guess of the end"), guess);
  const captions = model.get("captions");
  if (captions.length) panel.append(element("div", { class: "cw-captions" }, ...captions.map((text) => element("span", {}, text))));
  panel.append(element("div", { class: "cw-noise", "aria-hidden": "true" }, level, element("div", { class: "cw-noise-bar" }, bar)));
  return { panel, x, guess, step, bar, level };
}

const RUN_COLOURS = [["#325dba", "#2396ff"], ["#ce881a", "#ff8400"], ["#1eb087", "#00866b"], ["#c8412a", "#b45306"]]; // of palette.py

function rowLabel(letter, index, text) {
  return element("div", { class: "cw-run-row" }, element("i", {}, letter), element("sub", {}, index), `, ${text}`);
}

// The side of one image on the screen: a whole multiple of its pixels where it is small.
function imageSide(width, height, count) {
  const wished = { 1: 196, 2: 140, 3: 112, 4: 84 }[count] ?? 56;
  return Math.max(1, Math.round(wished / Math.max(width, height))) * width;
}

function paintRow(canvas, sheet, tile, count, width) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let part = 0; part < count && tile >= 0; part++) paintPart(context, sheet, tile, part, width, part * (width + GAP), 0);
}

function stepText(run, frame) {
  const step = `step ${run.steps[frame].toLocaleString("en")} of ${run.last.toLocaleString("en")}`;
  return run.notes[frame] ? `${step}, ${run.notes[frame]}` : step;
}

function plain(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

// The noise level of every run over the bar, with a dot for each frame.
function paintCurves(canvas, runs, most, dark) {
  const [width, height, sharp] = [canvas.clientWidth, CURVE.height, 2]; // twice the pixels, for fine screens
  if (width === 0) return;
  [canvas.width, canvas.height] = [width * sharp, height * sharp]; // also clears
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  const at = (run, frame) => [run.places[frame] * width, CURVE.top + (1 - run.noise[frame] / (most || 1)) * (height - CURVE.bottom - CURVE.top)];
  runs.forEach((run, r) => {
    context.strokeStyle = context.fillStyle = RUN_COLOURS[r % RUN_COLOURS.length][dark ? 1 : 0];
    context.lineWidth = 1.5;
    context.beginPath();
    run.places.forEach((_, frame) => context.lineTo(...at(run, frame)));
    context.stroke();
    run.places.forEach((_, frame) => {
      context.beginPath();
      context.arc(...at(run, frame), 2.5, 0, 2 * Math.PI);
      context.fill();
    });
  });
}

export default { render };
