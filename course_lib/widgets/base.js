// What every widget of the course shares: elements, pointer, keyboard, theme, announcements, sheets of images.
// Python puts this file in front of a widget's own file, so that the two make one ES module.

const STYLE = `
.cw { --ink: #1f2328; --quiet: #59606a; --line: #d5d9df; --paper: #fafafa; --accent: #0b62a8; --good: #0f6b4f; --bad: #a8321f;
  box-sizing: border-box; max-width: 100%; padding: 4px; color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
.cw[data-theme=dark] { --ink: #e6e8eb; --quiet: #a9b0b9; --line: #3d434b; --paper: #16181d; --accent: #6cb8f5; --good: #5fd3a8; --bad: #ff9b85; }
.cw *, .cw *::before { box-sizing: border-box; }
.cw :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.cw-title { margin: 0 0 8px; font-weight: 600; }
.cw-quiet { margin: 8px 0 0; color: var(--quiet); font-size: 13px; }
.cw-button { padding: 4px 12px; border: 1px solid var(--line); border-radius: 6px; background: var(--paper); color: var(--ink);
  font: inherit; font-size: 13px; cursor: pointer; }
.cw-button:hover { border-color: var(--quiet); }
.cw-button[aria-pressed=true] { border-color: var(--accent); color: var(--accent); }
.cw-image { display: block; image-rendering: pixelated; border: 1px solid var(--line); border-radius: 4px; background: var(--paper); }
.cw-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;

// element("button", { type: "button" }, "text"): an element with its attributes and children. Text stands in "div",
// not "p": notebooks put their own margins on paragraphs.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The root of a widget. JupyterLab listens to keys before the page does; the attribute on whatever has the focus
// keeps its shortcuts out, so that "x" in a widget does not cut the cell.
function widgetRoot(name, label) {
  const root = element("div", { class: `cw ${name}`, role: "group", "aria-label": label }, element("style", {}, STYLE));
  root.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  return root;
}

// Listen to a model until the signal ends.
function listen(model, event, listener, signal) {
  model.on(event, listener);
  signal.addEventListener("abort", () => model.off(event, listener));
}

// Bytes arrive from the kernel or the page as an ArrayBuffer, a DataView or a typed array.
function bytesOf(value) {
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
}

// Call `move(x, y)` with the pointer's place in `target`, both in 0..1 from the top left, while it is held down.
// Mouse, pen and finger are the same here; CSS `touch-action: none` on the target keeps the page from scrolling.
function followPointer(target, move, signal) {
  const at = (event) => {
    const box = target.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    target.focus({ preventScroll: true });
    target.setPointerCapture(event.pointerId);
    at(event);
  }, { signal });
  target.addEventListener("pointermove", (event) => {
    if (target.hasPointerCapture(event.pointerId)) at(event);
  }, { signal });
}

// Call `step(dx, dy, large)` for an arrow key (up is +1), Shift for large, and `home()` for Home. Keys used stop here.
function followKeys(target, step, home, signal) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  target.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Home") home();
    else if (arrows[event.key]) step(...arrows[event.key], event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
}

// A polite live region: says the latest sentence once the hand rests.
function announcer(root, signal) {
  const region = element("div", { class: "cw-hidden", "aria-live": "polite" });
  root.append(region);
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return (sentence) => {
    clearTimeout(timer);
    timer = setTimeout(() => { region.textContent = sentence; }, 500);
  };
}

// Keep root.dataset.theme at "light" or "dark" and call `repaint(dark)` at first and on every change. JupyterLab, Sphinx
// themes and plain pages mark the theme differently; all of them change the colour of the text around us.
function followTheme(root, repaint, signal) {
  const update = () => {
    if (!root.isConnected) return;
    const theme = isLight(getComputedStyle(root.parentElement).color) ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    repaint(theme === "dark");
  };
  const onAttach = new ResizeObserver(update); // render runs before the page holds the root; its first size comes after
  onAttach.observe(root);
  const onMark = new MutationObserver(() => { update(); setTimeout(update, 300); }); // a theme's style sheet may come late
  for (const node of [document.documentElement, document.body]) onMark.observe(node, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update, { signal });
  signal.addEventListener("abort", () => { onAttach.disconnect(); onMark.disconnect(); });
}

function isLight(color) {
  const [red, green, blue] = color.match(/[\d.]+/g).map(Number);
  return (0.3 * red + 0.59 * green + 0.11 * blue) / (color.startsWith("rgb") ? 255 : 1) > 0.5;
}

// A sheet is one picture of rows x columns tiles. Decode it once, then paint any blend of its tiles.
async function openSheet(bytes, type, tileWidth, tileHeight) {
  const bitmap = await createImageBitmap(new Blob([bytesOf(bytes)], { type }));
  return { bitmap, tileWidth, tileHeight, columns: bitmap.width / tileWidth, rows: bitmap.height / tileHeight };
}

// Paint the sheet at a fractional (column, row): the four tiles around it, blended bilinearly, fill the given box.
// Painting tile k with opacity w_k / (w_1 + ... + w_k) over the ones before gives exactly the weighted mean.
function paintBlend(context, sheet, column, row, x, y, width, height) {
  const left = Math.min(Math.max(Math.floor(column), 0), sheet.columns - 2);
  const top = Math.min(Math.max(Math.floor(row), 0), sheet.rows - 2);
  const [right, down] = [Math.min(Math.max(column - left, 0), 1), Math.min(Math.max(row - top, 0), 1)];
  const tiles = [[0, 0, (1 - right) * (1 - down)], [1, 0, right * (1 - down)], [0, 1, (1 - right) * down], [1, 1, right * down]];
  let sum = 0;
  for (const [i, j, weight] of tiles) {
    if (weight === 0) continue;
    sum += weight;
    context.globalAlpha = weight / sum;
    const { bitmap, tileWidth, tileHeight } = sheet;
    context.drawImage(bitmap, (left + i) * tileWidth, (top + j) * tileHeight, tileWidth, tileHeight, x, y, width, height);
  }
  context.globalAlpha = 1;
}
