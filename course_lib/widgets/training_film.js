// A training to play: pictures, points on a landscape, losses, all at the same step.

const FILM_STYLE = `
.cw-film-row { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; margin-bottom: 12px; }
.cw-film-row > div { max-width: 100%; }
.cw-film-images { display: block; max-width: 100%; image-rendering: pixelated; }
.cw-film-plane { position: relative; width: 300px; max-width: 100%; aspect-ratio: 1; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; background: var(--paper); }
.cw-film-plane canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-film-key { display: flex; flex-wrap: wrap; gap: 2px 14px; max-width: 300px; margin-top: 6px; font-size: 13px; }
.cw-film-key span { display: inline-flex; gap: 6px; align-items: center; }
.cw-film-key i { width: 10px; height: 10px; border-radius: 50%; background: var(--light); flex: none; }
.cw[data-theme=dark] .cw-film-key i { background: var(--dark); }
.cw-film-key b { width: 64px; height: 10px; border: 1px solid var(--line); border-radius: 3px; flex: none; background: linear-gradient(90deg, #325dba99, #fafafa, #ce881a99); }
.cw[data-theme=dark] .cw-film-key b { background: linear-gradient(90deg, #2396ff99, #16181d, #ff840099); }
.cw-film-step { margin-bottom: 8px; font-variant-numeric: tabular-nums; }
`;

const MADE = ["#325dba", "#2396ff"]; // of palette.py; light page, dark page
const REAL = ["#ce881a", "#ff8400"];
const PAPER = ["#fafafa", "#16181d"];
const PLANE = 600; // canvas pixels of the plane's side, twice its size on screen
const STRENGTH = 0.6; // of the heat map's colours: the points on it must show

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const [width, height] = model.get("tile");
  const [count, cells, moments, steps] = ["pictures", "cells", "moments", "steps"].map((name) => model.get(name));
  const [sheet, fields] = await Promise.all([
    count ? openSheet(model.get("sheet"), "image/webp", width * count, height) : null,
    cells ? openSheet(model.get("fields"), "image/webp", cells, cells) : null,
  ]);
  const view = filmView(model);
  const say = announcer(view.root, signal);
  const plane = model.get("extent").length ? filmPlane(model, view.plane, fields) : null;
  const line = model.get("line_tiles").length ? filmLine(model, signal) : null;
  const chart = model.get("lines").length ? lossChart(model.get("lines"), model.get("chart"), (x) => player.jump(x), signal) : null;
  let [dark, losses] = [false, ""];

  const show = (k) => {
    if (sheet) paintGrid(view.images, sheet, model.get("image_tiles")[k], count, width, height);
    if (plane) plane(k, dark);
    if (line) line.paint(k, dark);
    if (chart) losses = chart.show(moments[k]);
    view.step.textContent = `step ${steps[k].toLocaleString("en")}`;
  };
  const words = () => [view.step.textContent, losses].filter(Boolean).join(": ");
  const player = momentPlayer({
    label: "Moment of the training", places: moments, at: model.get("moment"), show, words, signal,
    moved(k, resting) {
      model.set("moment", k);
      if (!resting) return;
      model.save_changes();
      say(words());
    },
  });
  if (line) view.row.append(line.root);
  if (chart) view.row.append(chart.root);
  view.bar.append(player.root);
  listen(model, "change:moment", () => player.follow(model.get("moment")), signal);
  followTheme(view.root, (isDark) => {
    dark = isDark;
    chart?.theme(dark);
    show(player.now());
  }, signal);
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// The elements of the widget, without behaviour.
function filmView(model) {
  const root = widgetRoot("cw-training-film", model.get("title"));
  const step = element("div", { class: "cw-film-step" });
  const row = element("div", { class: "cw-film-row" });
  const bar = element("div");
  const count = model.get("pictures");
  const columns = Math.ceil(Math.sqrt(count));
  const [width, height] = model.get("tile");
  let images = null;
  if (count) {
    const [wide, high] = [columns * (width + 1) - 1, Math.ceil(count / columns) * (height + 1) - 1];
    const scale = Math.max(1, Math.round(320 / wide));
    images = element("canvas", {
      class: "cw-film-images", role: "img", "aria-label": "Pictures that the model makes at this step", width: wide, height: high, style: `width:${wide * scale}px`,
    });
    row.append(element("div", {}, images));
  }
  const plane = element("div", { class: "cw-film-plane", role: "img", "aria-label": "The plane at this step" });
  if (model.get("extent").length) row.append(element("div", {}, plane, planeKey(model)));
  const help = "Drag the bar, or focus it and use the arrow keys (Shift: ten moments, Home and End: first and last, space: play).";
  root.append(element("style", {}, FILM_STYLE), element("div", { class: "cw-title" }, model.get("title")),
    element("div", { class: "cw-fit" }, step, row, bar),
    element("div", { class: "cw-quiet" }, model.get("lines").length ? `${help} Press on the losses to jump to a step.` : help));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  return { root, step, row, bar, images, plane };
}

function planeKey(model) {
  const entry = (mark, text) => element("span", {}, mark, text);
  const dot = ([light, dark]) => element("i", { style: `--light:${light};--dark:${dark}` });
  const key = element("div", { class: "cw-film-key" });
  if (model.get("real").byteLength) key.append(entry(dot(REAL), "real"));
  if (model.get("points").byteLength) key.append(entry(dot(MADE), "generated"));
  const scale = model.get("field_scale");
  const text = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
  if (model.get("cells")) key.append(entry(element("b", {}), `${scale.name} from ${text(scale.low)} to ${text(scale.high)}`));
  return key;
}

function paintGrid(canvas, sheet, tile, count, width, height) {
  const context = canvas.getContext("2d");
  const columns = Math.ceil(Math.sqrt(count));
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let part = 0; part < count && tile >= 0; part++) {
    paintPart(context, sheet, tile, part, width, (part % columns) * (width + 1), Math.floor(part / columns) * (height + 1));
  }
}

// Gives `paint(k, dark)`. Three canvases lie one on the other: the heat map, one pixel a cell, which the browser
// enlarges; the real points, painted once a theme; the generated ones.
function filmPlane(model, plane, fields) {
  const cells = model.get("cells");
  const layer = (side, style = "") => {
    const canvas = element("canvas", { width: side, height: side, "aria-hidden": "true", style });
    plane.append(canvas);
    return canvas;
  };
  const spill = 50 / Math.max(cells - 1, 1); // the outer values lie on the edges, so the outer pixels reach half over them
  const field = fields ? layer(cells, `inset:${-spill}%;width:${100 + 2 * spill}%;height:${100 + 2 * spill}%`) : null;
  const [behind, front] = [layer(PLANE), layer(PLANE).getContext("2d")];
  const [made, real, ends] = [bytesOf(model.get("points")), bytesOf(model.get("real")), model.get("point_ends")];
  const tiles = model.get("field_tiles");
  let [theme, dot] = [null, null];
  return (k, dark) => {
    if (theme !== dark) {
      behind.width = PLANE; // also clears
      paintCloud(behind.getContext("2d"), real, 0, real.length / 2, pointDot(REAL[dark ? 1 : 0], dark));
      [theme, dot] = [dark, pointDot(MADE[dark ? 1 : 0], dark)];
    }
    if (fields) paintField(field, fields, tiles[k], cells, dark);
    front.clearRect(0, 0, PLANE, PLANE);
    paintCloud(front, made, ends[k - 1] ?? 0, ends[k], dot);
  };
}

// A grey tile in two colours that meet in the colour of the paper, where the value is neutral.
function paintField(canvas, fields, tile, cells, dark) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.clearRect(0, 0, cells, cells);
  if (tile < 0) return;
  paintPart(context, fields, tile, 0, cells, 0, 0);
  const pixels = context.getImageData(0, 0, cells, cells);
  const [low, high, paper] = [MADE, REAL, PAPER].map((pair) => rgb(pair[dark ? 1 : 0]));
  for (let i = 0; i < pixels.data.length; i += 4) {
    const value = (pixels.data[i] - 128) / 127;
    const [end, share] = [value < 0 ? low : high, STRENGTH * Math.min(1, Math.abs(value))];
    for (let c = 0; c < 3; c++) pixels.data[i + c] = paper[c] + share * (end[c] - paper[c]);
  }
  context.putImageData(pixels, 0, 0);
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

// One point, painted once and copied for all.
function pointDot(colour, dark) {
  const canvas = element("canvas", { width: 15, height: 15 });
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.strokeStyle = PAPER[dark ? 1 : 0]; // a rim, so that points show on their own colour
  context.lineWidth = 1.5;
  context.arc(7.5, 7.5, 6, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  return canvas;
}

function paintCloud(context, places, from, to, dot) {
  for (let i = from; i < to; i++) {
    context.drawImage(dot, (places[2 * i] / 255) * PLANE - 7.5, (1 - places[2 * i + 1] / 255) * PLANE - 7.5);
  }
}

export default { render };
