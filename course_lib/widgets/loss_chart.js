// Loss curves with a cursor: drawn for the width they have, in the colours of the theme; pressing on them jumps there.

const CHART_STYLE = `
.cw-chart { width: 360px; max-width: 100%; }
.cw-plot { position: relative; height: 190px; margin: 4px 8px 20px 44px; border: 1px solid var(--line); border-radius: 4px; background: var(--paper);
  cursor: crosshair; touch-action: none; user-select: none; }
.cw-plot canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-now { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: var(--accent); pointer-events: none; }
.cw-plot .cw-y { position: absolute; right: calc(100% + 6px); transform: translateY(50%); color: var(--quiet); font-size: 11px; line-height: 1; white-space: nowrap; }
.cw-plot .cw-x { position: absolute; top: calc(100% + 6px); transform: translateX(-50%); color: var(--quiet); font-size: 11px; line-height: 1; }
.cw-lines { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; font-variant-numeric: tabular-nums; }
.cw-line { display: inline-flex; gap: 6px; align-items: center; }
.cw-line::before { content: ""; width: 16px; height: 3px; border-radius: 2px; background: var(--light); flex: none; }
.cw[data-theme=dark] .cw-line::before { background: var(--dark); }
`;

function lossChart(lines, ticks, jump, signal) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const now = element("div", { class: "cw-now" });
  const tick = (axis, side) => ticks[axis].map(([place, text]) =>
    element("span", { class: `cw-${axis}`, style: `${side}:${100 * place}%`, "aria-hidden": "true" }, text));
  const names = lines.map(({ name }) => name).join(", ");
  const plot = element("div", { class: "cw-plot", role: "img", "aria-label": `Losses over the steps: ${names}.` },
    canvas, now, ...tick("y", "bottom"), ...tick("x", "left"));
  const values = lines.map(() => element("span"));
  const legend = element("div", { class: "cw-lines" }, ...lines.map(({ name, light, dark }, i) =>
    element("span", { class: "cw-line", style: `--light:${light};--dark:${dark}` }, name, values[i])));
  const root = element("div", { class: "cw-chart" }, element("style", {}, CHART_STYLE), plot, legend);
  let dark = false;
  const paint = () => paintLines(canvas, lines, dark);
  const onSize = new ResizeObserver(paint);
  onSize.observe(canvas);
  signal.addEventListener("abort", () => onSize.disconnect());
  followPointer(plot, (x) => jump(x), signal);
  return {
    root,
    theme(isDark) { dark = isDark; paint(); },
    // Put the cursor at x, 0..1; gives the losses there in words.
    show(x) {
      now.style.left = `${100 * x}%`;
      return lines.map((line, i) => {
        values[i].textContent = line.values[nearestPlace(line.x, x)];
        return `${line.name} ${values[i].textContent}`;
      }).join(", ");
    },
  };
}

function paintLines(canvas, lines, dark) {
  const [width, height, sharp] = [canvas.clientWidth, canvas.clientHeight, 2]; // twice the pixels, for fine screens
  if (width === 0) return;
  [canvas.width, canvas.height] = [width * sharp, height * sharp]; // also clears
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  for (const line of lines) {
    context.strokeStyle = dark ? line.dark : line.light;
    context.beginPath();
    let gap = true; // a loss that was NaN
    line.y.forEach((y, i) => {
      if (y !== null) context[gap ? "moveTo" : "lineTo"](line.x[i] * width, (1 - y) * height);
      gap = y === null;
    });
    context.stroke();
  }
}
