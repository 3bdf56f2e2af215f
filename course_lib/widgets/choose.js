// Choosing: one of a few buttons, or one column of small pictures. And a large picture over its name.

const CHOOSE_STYLE = `
.cw-choice { display: flex; flex-wrap: wrap; gap: 6px; }
.cw-picker { display: grid; grid-template-columns: minmax(0, max-content) minmax(0, var(--widest)); row-gap: 3px; max-width: 100%; }
.cw-chosen { margin: 0 0 8px; font-variant-numeric: tabular-nums; }
.cw-picker-name { grid-column: 1; align-self: center; max-width: min(180px, 30vw); padding-right: 10px; overflow-wrap: anywhere; font-size: 12.5px; line-height: 1.25; }
.cw-strip { grid-column: 2; display: block; width: 100%; height: auto; align-self: center; image-rendering: pixelated; border-radius: 3px; }
.cw-pick { grid-column: 2; position: relative; z-index: 1; cursor: pointer; touch-action: none; user-select: none; border-radius: 3px; }
.cw-mark { position: absolute; top: -3px; bottom: -3px; border: 2px solid #fff; outline: 2px solid var(--accent); border-radius: 4px; pointer-events: none; }
.cw-figures { display: flex; flex-wrap: wrap; gap: 14px 16px; }
.cw-figure { max-width: 100%; font-size: 13px; line-height: 1.3; }
.cw-figure canvas { max-width: 100%; margin-bottom: 4px; }
.cw-figure div { overflow-wrap: anywhere; }
.cw-figure .cw-number { color: var(--quiet); font-variant-numeric: tabular-nums; }
`;

// A few buttons of which one is pressed: `choose(index)` on a press. `show(index)` marks the one that is.
function choice(label, names, choose, signal) {
  const buttons = names.map((name, index) => {
    const button = element("button", { class: "cw-button", type: "button" }, name);
    button.addEventListener("click", () => choose(index), { signal });
    return button;
  });
  const root = element("div", { class: "cw-choice", role: "group", "aria-label": label }, ...buttons);
  return { root, show: (chosen) => buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === chosen)) };
}

// Rows of `count` small pictures, of which one column is chosen by pointer or keys: `choose(column)`, never outside 0..count - 1.
// strips: [{ canvas, name }], names may be empty. `show(column, text)` marks a column; text is what it is called.
function picker(label, count, strips, choose, signal) {
  const mark = element("div", { class: "cw-mark", style: `width:${100 / count}%` });
  const pick = element("div", {
    class: "cw-pick", tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": 1, "aria-valuemax": count,
    style: `grid-row: 1 / span ${strips.length}`,
  }, mark);
  const root = element("div", { class: "cw-picker", style: `--widest:${52 * count}px` });
  strips.forEach(({ canvas, name }, index) => {
    canvas.style.gridRow = index + 1;
    if (name) root.append(element("div", { class: "cw-picker-name", style: `grid-row:${index + 1}` }, name));
    root.append(canvas);
  });
  root.append(pick);
  let chosen = 0;
  const go = (column) => {
    const inside = Math.min(Math.max(column, 0), count - 1);
    if (inside !== chosen) choose(inside);
  };
  followPointer(pick, (x) => go(Math.floor(x * count)), signal);
  followKeys(pick, (dx, dy, large) => go(chosen + (dx + dy) * (large ? 5 : 1)), () => go(0), signal);
  const show = (column, text) => {
    chosen = column;
    mark.style.left = `${(100 * column) / count}%`;
    pick.setAttribute("aria-valuenow", column + 1);
    pick.setAttribute("aria-valuetext", text);
  };
  return { root, show };
}

// Part of a bitmap as a canvas of small pictures: `columns` tiles from (x, y), each tileWidth x tileHeight in cells `cell` apart.
function stripCanvas(bitmap, columns, x, y, tileWidth, tileHeight, cell) {
  const canvas = element("canvas", { class: "cw-strip", width: columns * tileWidth, height: tileHeight, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  for (let i = 0; i < columns; i++) context.drawImage(bitmap, x + i * cell, y, tileWidth, tileHeight, i * tileWidth, 0, tileWidth, tileHeight);
  return canvas;
}

// A large picture of width x height pixels, shown `shown` pixels wide, over its name and a number.
function figure(name, width, height, shown) {
  const canvas = element("canvas", { class: "cw-image", width, height, role: "img", style: `width:${shown}px` });
  const number = element("div", { class: "cw-number" });
  const root = element("div", { class: "cw-figure", style: `width:${Math.max(shown, 110)}px` }, canvas, element("div", {}, name), number);
  return { root, canvas, number };
}
