// Rows of images, one for each model; the chosen column stands above them, large, as images or as differences to the truth.

const COMPARE_STYLE = `
.cw-compare-now { margin: 10px 0 12px; }
.cw-scale { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; margin-top: 8px; color: var(--quiet); font-size: 13px; }
.cw-scale[hidden] { display: none; }
.cw-scale canvas { width: 120px; height: 12px; border: 1px solid var(--line); border-radius: 3px; }
`;

const VIEWS = ["images", "difference", "absolute difference"];
const LARGE = 144; // about so many pixels wide on screen
const SIGNED = [[11, 98, 168], [176, 80, 26]]; // below the truth, above it
const SIGNED_DARK = [[108, 184, 245], [255, 157, 92]];

async function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const rows = model.get("rows");
  const count = model.get("count");
  const [cellWidth, cellHeight] = model.get("cell");
  const { bitmap } = await openSheet(model.get("sheet"), "image/webp", cellWidth, cellHeight);
  const state = { column: model.get("column"), view: 0, dark: false };
  const differ = differences(bitmap, rows, model.get("cell"), model.get("scale"));
  const root = widgetRoot("cw-compare", model.get("title"));
  const say = announcer(root, signal);
  const views = choice("View", VIEWS, (view) => { state.view = view; show(); }, signal);
  const strips = rows.map(({ name, caption, width, height }, row) => ({
    canvas: stripCanvas(bitmap, count, 0, row * cellHeight, width, height, cellWidth),
    name: caption ? `${name}: ${caption}` : name,
  }));
  const pick = picker(`${model.get("alt")} Choose a column.`, count, strips, move, signal);
  const figures = rows.map((row) => figure(row.name, row.width, row.height, shownWidth(row, model.get("cell"))));
  const heading = element("div", { class: "cw-chosen" });
  const scale = scaleView(model.get("scale"));

  function show() {
    const { column, view, dark } = state;
    const text = `image ${column + 1} of ${count}${model.get("names")[column] ? `: ${model.get("names")[column]}` : ""}`;
    heading.textContent = text[0].toUpperCase() + text.slice(1);
    pick.show(column, text);
    views.show(view);
    figures.forEach(({ canvas, number }, index) => {
      const row = rows[index];
      const context = canvas.getContext("2d");
      if (view > 0 && row.errors.length) context.putImageData(differ.image(index, column, view, dark), 0, 0);
      else context.drawImage(bitmap, -column * cellWidth, -index * cellHeight);
      number.textContent = row.errors.length ? `squared error ${row.errors[column].toPrecision(2)}` : "";
      canvas.setAttribute("aria-label", `${row.name}, image ${column + 1}${view > 0 && row.errors.length ? `, ${VIEWS[view]} to the truth` : ""}`);
    });
    scale.root.hidden = view === 0;
    if (view > 0) scale.show(view, differ.colours(view, dark));
  }
  function move(column) {
    state.column = column;
    show();
    model.set("column", column);
    model.save_changes();
    say([heading.textContent, ...figures.map(({ number }, index) => number.textContent && `${rows[index].name}: ${number.textContent}`)].filter(Boolean).join("; "));
  }
  listen(model, "change:column", () => {
    if (model.get("column") === state.column) return; // our own move, coming back
    state.column = model.get("column");
    show();
  }, signal);

  const comparable = rows.some((row) => row.errors.length);
  root.append(element("style", {}, CHOOSE_STYLE + COMPARE_STYLE), element("div", { class: "cw-title" }, model.get("title")), heading, pick.root,
    element("div", { class: "cw-figures cw-compare-now" }, ...figures.map(({ root: one }) => one)), ...(comparable ? [views.root, scale.root] : []),
    element("div", { class: "cw-quiet" }, "Choose a column by pointer, or focus the rows and use the arrow keys (Shift: five at once, Home: the first)."));
  if (model.get("note")) root.append(element("div", { class: "cw-quiet" }, model.get("note")));
  followTheme(root, (dark) => { state.dark = dark; show(); }, signal);
  show();
  el.replaceChildren(root);
  return () => { ending.abort(); root.remove(); };
}

// How wide to show a row's image: images of every size at one, the largest by a whole factor.
function shownWidth({ width, height }, cell) {
  const largest = Math.max(...cell);
  return Math.round((largest * Math.max(1, Math.round(LARGE / largest)) * width) / Math.max(width, height));
}

// Pictures of image - truth, or of its absolute value, the mean over the channels, in colours that end at `scale`.
function differences(bitmap, rows, [cellWidth, cellHeight], scale) {
  const truth = rows.findIndex((row) => row.truth);
  const context = element("canvas", { width: bitmap.width, height: bitmap.height }).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const read = (row, column) => new Uint8ClampedArray(context.getImageData(column * cellWidth, row * cellHeight, rows[row].width, rows[row].height).data);
  const tables = {};
  // The colour of a difference of three channels' sum, -765..765, as index 0..1530; a value's 127.5 levels are 1.
  const colours = (view, dark) => (tables[`${view} ${dark}`] ??= Array.from({ length: 1531 }, (_, index) => {
    const share = Math.max(-1, Math.min(1, (index - 765) / 3 / 127.5 / scale));
    const none = dark ? [22, 24, 29] : [250, 250, 250];
    const most = view === 2 ? (dark ? [250, 250, 250] : [22, 24, 29]) : (dark ? SIGNED_DARK : SIGNED)[share < 0 ? 0 : 1];
    return none.map((value, channel) => Math.round(value + Math.abs(share) * (most[channel] - value)));
  }));
  const image = (row, column, view, dark) => {
    const [ours, theirs, table] = [read(row, column), read(truth, column), colours(view, dark)];
    const picture = new ImageData(rows[row].width, rows[row].height);
    for (let i = 0; i < ours.length; i += 4) {
      const [red, green, blue] = [ours[i] - theirs[i], ours[i + 1] - theirs[i + 1], ours[i + 2] - theirs[i + 2]];
      const sum = view === 2 ? Math.abs(red) + Math.abs(green) + Math.abs(blue) : red + green + blue;
      [picture.data[i], picture.data[i + 1], picture.data[i + 2]] = table[sum + 765];
      picture.data[i + 3] = 255;
    }
    return picture;
  };
  return { colours, image };
}

// The colours of a difference with their numbers.
function scaleView(scale) {
  const canvas = element("canvas", { width: 240, height: 1, "aria-hidden": "true" });
  const [low, high] = [element("span"), element("span")];
  const what = element("span");
  const root = element("div", { class: "cw-scale" }, low, canvas, high, what);
  const show = (view, table) => {
    low.textContent = view === 1 ? `−${scale}` : "0";
    high.textContent = `${view === 1 ? "+" : ""}${scale}`;
    what.textContent = `${view === 1 ? "model − truth" : "|model − truth|"}, the mean over the channels; images are in [−1, 1]`;
    const context = canvas.getContext("2d");
    for (let x = 0; x < 240; x++) {
      const share = view === 1 ? (2 * x) / 239 - 1 : x / 239;
      context.fillStyle = `rgb(${table[Math.max(0, Math.min(1530, Math.round(765 + share * scale * 382.5)))]})`;
      context.fillRect(x, 0, 1, 1);
    }
  };
  return { root, show };
}

export default { render };
