// Curves over a line at one moment, before a filled one that stays.

const LINE_STYLE = `
.cw-film-line { width: 460px; max-width: 100%; }
.cw-film-axis { position: relative; height: 230px; margin: 0 8px 22px 34px; border: 1px solid var(--line); border-radius: 4px; background: var(--paper); }
.cw-film-axis canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-film-axis span { position: absolute; color: var(--quiet); font-size: 11px; line-height: 1; white-space: nowrap; }
.cw-film-axis .cw-y { right: calc(100% + 6px); transform: translateY(50%); }
.cw-film-axis .cw-x { top: calc(100% + 6px); transform: translateX(-50%); }
`;
const FILL = 0.35; // how strong the colour below the curve that stays is

// Gives its element, and `paint(k, dark)`.
function filmLine(model, signal) {
  const { places, behind, curves, x, y } = model.get("line");
  const [values, tiles] = [bytesOf(model.get("line_bytes")), model.get("line_tiles")];
  const canvas = element("canvas", { "aria-hidden": "true" });
  const tick = (ticks, axis, side) => ticks.map(([place, text]) =>
    element("span", { class: `cw-${axis}`, style: `${side}:${100 * place}%`, "aria-hidden": "true" }, text));
  const entries = [...(behind ? [[behind, ...REAL]] : []), ...curves];
  const axis = element("div", { class: "cw-film-axis", role: "img", "aria-label": `The line at this step: ${entries.map(([name]) => name).join(", ")}` },
    canvas, ...tick(y, "y", "bottom"), ...tick(x, "x", "left"));
  const key = element("div", { class: "cw-film-key" }, ...entries.map(([name, light, dark]) =>
    element("span", {}, element("i", { style: `--light:${light};--dark:${dark}` }), name)));
  let [moment, theme] = [0, false];
  const draw = () => {
    const [width, height, sharp] = [canvas.clientWidth, canvas.clientHeight, 2]; // twice the pixels, for fine screens
    if (width === 0) return;
    [canvas.width, canvas.height] = [width * sharp, height * sharp]; // also clears
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    context.lineWidth = 2;
    context.lineJoin = "round";
    const trace = (row) => {
      context.beginPath();
      for (let i = 0; i < places; i++) context.lineTo((i / (places - 1)) * width, (1 - values[row * places + i] / 255) * height);
    };
    const first = behind ? 1 : 0;
    if (behind) {
      trace(0);
      context.lineTo(width, height);
      context.lineTo(0, height);
      context.globalAlpha = FILL;
      context.fillStyle = REAL[theme ? 1 : 0];
      context.fill();
      context.globalAlpha = 1;
    }
    curves.forEach(([, light, dark], i) => {
      if (tiles[moment] < 0) return;
      trace(first + tiles[moment] * curves.length + i);
      context.strokeStyle = theme ? dark : light;
      context.stroke();
    });
  };
  const onSize = new ResizeObserver(draw);
  onSize.observe(canvas);
  signal.addEventListener("abort", () => onSize.disconnect());
  return {
    root: element("div", { class: "cw-film-line" }, element("style", {}, LINE_STYLE), axis, key),
    paint(k, dark) { [moment, theme] = [k, dark]; draw(); },
  };
}
