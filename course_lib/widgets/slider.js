// A slider under one line of text: name, track, value. The way from its start is coloured.

const SLIDER_STYLE = `
.cw-dim { display: grid; grid-template-columns: minmax(28px, min(110px, var(--name, 28px))) minmax(60px, 1fr) 52px; gap: 10px; align-items: center; min-height: 29px; }
.cw-dim span { overflow-wrap: anywhere; line-height: 1.2; }
.cw-dim[data-active] span { color: var(--accent); font-weight: 600; }
.cw-dim output { color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; text-align: right; }
.cw-dim input { appearance: none; -webkit-appearance: none; width: 100%; height: 24px; margin: 0; padding: 0; border: 0; background: none;
  cursor: pointer; touch-action: pan-y; }
.cw-dim input::-webkit-slider-runnable-track { height: 6px; border-radius: 3px; background: var(--track); }
.cw-dim input::-moz-range-track { height: 6px; border-radius: 3px; background: var(--track); }
.cw-dim input::-webkit-slider-thumb { -webkit-appearance: none; width: 18px; height: 18px; margin-top: -6px; border: 3px solid #fff; border-radius: 50%;
  background: var(--accent); box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); }
.cw-dim input::-moz-range-thumb { width: 12px; height: 12px; border: 3px solid #fff; border-radius: 50%; background: var(--accent);
  box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); }
`;

// `moved(value)` is called for a hand or a key; arrows go a hundredth of the way (`step` where that is given), with Shift
// ten times as far, Home to `start`. `text(value)` is what to read. `show(value)` moves the knob.
function sliderRow({ name, low, high, start, step = (high - low) / 100 }, text, moved, signal) {
  const input = element("input", { type: "range", min: low, max: high, step: "any", "aria-label": name });
  const output = element("output", { "aria-hidden": "true" });
  const row = element("div", { class: "cw-dim" }, element("span", { "aria-hidden": "true" }, name), input, output);
  const percent = (value) => (100 * (value - low)) / (high - low);
  let now = start;
  const go = (value) => moved(Math.min(Math.max(value, low), high));
  input.addEventListener("input", () => go(Number(input.value)), { signal });
  followKeys(input, (dx, dy, large) => go(now + (dx + dy) * step * (large ? 10 : 1)), () => go(start), signal);
  const show = (value, active = false) => {
    now = value;
    const [from, to] = [Math.min(percent(start), percent(value)), Math.max(percent(start), percent(value))];
    input.value = value;
    input.setAttribute("aria-valuetext", text(value));
    input.style.setProperty("--track", `linear-gradient(to right, var(--line) ${from}%, var(--accent) ${from}% ${to}%, var(--line) ${to}%)`);
    output.textContent = text(value);
    row.toggleAttribute("data-active", active);
  };
  return { row, input, show };
}
