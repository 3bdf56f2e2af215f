// Playing through moments: a bar to scrub, play and pause, a moment back and on, speed. For widgets that show time.

const PLAYER_STYLE = `
.cw-fit { display: inline-block; max-width: 100%; min-width: min(100%, 420px); } /* as wide as what stands over the bar */
.cw-scrub { position: relative; height: 30px; margin: 0 10px 4px; border-radius: 4px; cursor: pointer; touch-action: none; user-select: none; }
.cw-scrub::before { content: ""; position: absolute; left: 0; right: 0; bottom: 12px; height: 6px; border-radius: 3px; background: var(--line); }
.cw-scrub canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cw-done { position: absolute; left: 0; bottom: 12px; height: 6px; border-radius: 3px; background: var(--accent); pointer-events: none; }
.cw-place { position: absolute; top: 0; bottom: 0; width: 0; pointer-events: none; }
.cw-place::before { content: ""; position: absolute; left: -1px; top: 0; bottom: 15px; width: 2px; background: var(--accent); opacity: .6; }
.cw-place::after { content: ""; position: absolute; left: -9px; bottom: 6px; width: 18px; height: 18px; border-radius: 50%; border: 3px solid #fff;
  background: var(--accent); box-shadow: 0 0 0 1.5px #1f2328, 0 1px 5px rgba(0, 0, 0, .4); }
.cw-player-keys { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 10px; }
.cw-player-keys .cw-play { min-width: 76px; }
.cw-speed { display: inline-flex; gap: 6px; align-items: center; margin-left: auto; color: var(--quiet); font-size: 13px; }
.cw-speed select { padding: 3px 4px; border: 1px solid var(--line); border-radius: 6px; background: var(--paper); color: var(--ink); font: inherit; }
`;

const SPEEDS = [["¼×", 0.25], ["½×", 0.5], ["1×", 1], ["2×", 2], ["4×", 4]];

// `places`: where the moments lie, 0..1, rising. The player calls `show(k)` to paint moment k, `words(k)` for what it is,
// and `moved(k, resting)` when the hand or the clock has gone there; `resting` is false while it plays.
function momentPlayer({ label, places, at, show, words, moved, signal }) {
  const parts = playerParts(label, places.length);
  const last = places.length - 1;
  let k = -1;

  const paint = (next) => {
    k = Math.min(Math.max(next, 0), last);
    const x = 100 * places[k];
    parts.place.style.left = `${x}%`;
    parts.done.style.width = `${x}%`;
    parts.scrub.setAttribute("aria-valuenow", k);
    show(k);
  };
  const settle = () => {
    parts.scrub.setAttribute("aria-valuetext", words(k));
    moved(k, true);
  };
  const clock = playerClock(places, parts, (next) => {
    if (next === k) return;
    paint(next);
    moved(k, false);
  }, settle, () => k);
  const go = (next) => {
    clock.halt();
    paint(next);
    settle();
  };

  const { scrub, play, back, on, speed, root } = parts;
  play.addEventListener("click", () => clock.toggle(), { signal });
  back.addEventListener("click", () => go(k - 1), { signal });
  on.addEventListener("click", () => go(k + 1), { signal });
  speed.addEventListener("change", () => clock.again(), { signal });
  followPointer(scrub, (x) => go(nearestPlace(places, x)), signal);
  followPlayerKeys(root, { go: (step) => go(k + step), home: () => go(0), end: () => go(last), toggle: () => clock.toggle() }, signal);
  signal.addEventListener("abort", clock.halt);

  paint(at);
  scrub.setAttribute("aria-valuetext", words(k));
  return {
    root, scrub, go,
    now: () => k,
    jump: (x) => go(nearestPlace(places, x)),
    // A move that came from elsewhere: another view, the kernel. Whoever moved last has it.
    follow(next) {
      if (next === k) return;
      clock.halt();
      paint(next);
      scrub.setAttribute("aria-valuetext", words(k));
    },
  };
}

function playerParts(label, count) {
  const done = element("div", { class: "cw-done" });
  const place = element("div", { class: "cw-place" });
  const scrub = element("div", {
    class: "cw-scrub", tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": count - 1, "aria-valuenow": 0,
  }, done, place);
  const button = (text, name) => element("button", { class: "cw-button", type: "button", "aria-label": name, title: name }, text);
  const play = element("button", { class: "cw-button cw-play", type: "button" }, "Play");
  const [back, on] = [button("‹", "One moment back"), button("›", "One moment on")];
  const speed = element("select", {}, ...SPEEDS.map(([text, value]) => element("option", { value }, text)));
  speed.value = "1";
  const keys = element("div", { class: "cw-player-keys" }, play, back, on, element("label", { class: "cw-speed" }, "Speed", speed));
  const root = element("div", { class: "cw-player" }, element("style", {}, PLAYER_STYLE), scrub, keys);
  return { root, scrub, done, place, play, back, on, speed };
}

// The clock calls `tick(k)` while it plays and `rest()` when it pauses or ends. It goes by time, not by frames, so that a slow
// machine skips moments instead of lagging. Where less motion is wanted it makes one step a second.
function playerClock(places, { play, speed, root }, tick, rest, now) {
  const last = places.length - 1;
  const length = 1000 * Math.min(Math.max(0.12 * places.length, 2.5), 8); // ms from end to end
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let [frame, timer, began, from] = [0, 0, 0, 0];
  const playing = () => frame !== 0 || timer !== 0;
  const label = () => {
    const text = playing() ? "Pause" : "Play";
    if (play.textContent !== text) play.textContent = text;
  };
  const halt = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    [frame, timer] = [0, 0];
    label();
  };
  const stop = () => {
    halt();
    rest();
  };
  const run = (time) => {
    if (!root.isConnected) { halt(); return; } // taken from the page without a goodbye
    const place = from + ((time - began) / length) * Number(speed.value);
    tick(lastPlace(places, place));
    if (now() >= last) stop();
    else frame = requestAnimationFrame(run);
  };
  const stepOn = () => {
    if (!root.isConnected) { halt(); return; }
    tick(Math.min(now() + Math.ceil(places.length / 64), last)); // a thousand places are not a thousand seconds
    if (now() >= last) stop();
    else timer = setTimeout(stepOn, 1000 / Number(speed.value));
  };
  const start = () => {
    halt();
    if (now() >= last) tick(0);
    [from, began] = [places[now()], performance.now()];
    if (calm.matches) timer = setTimeout(stepOn, 1000 / Number(speed.value));
    else frame = requestAnimationFrame(run);
    label();
  };
  return { halt, toggle: () => (playing() ? stop() : start()), again: () => { if (playing()) start(); } };
}

// Arrows a moment, with Shift ten; Home and End; space to play and pause. On a button, space and Enter press it; in the
// choice of speed, the arrows choose.
function followPlayerKeys(root, { go, home, end, toggle }, signal) {
  root.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || ((event.key === " " || event.key === "Enter") && event.target.tagName === "BUTTON")) {
      if (event.key !== "Escape" && event.key !== "Tab") event.stopImmediatePropagation();
    }
  }, { signal });
  followKeys(root, (dx, dy, large) => go((dx + dy) * (large ? 10 : 1)), home, signal);
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " ") toggle();
    else if (event.key === "End") end();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
}

// Tile `index` of a sheet holds several images side by side: paint the one called `part` at (x, y), pixel for pixel.
function paintPart(context, sheet, index, part, width, x, y) {
  const [left, top] = [(index % sheet.columns) * sheet.tileWidth, Math.floor(index / sheet.columns) * sheet.tileHeight];
  context.drawImage(sheet.bitmap, left + part * width, top, width, sheet.tileHeight, x, y, width, sheet.tileHeight);
}

function nearestPlace(places, x) {
  let best = 0;
  for (let k = 1; k < places.length; k++) if (Math.abs(places[k] - x) < Math.abs(places[best] - x)) best = k;
  return best;
}

// The last moment at or before x, the first if there is none.
function lastPlace(places, x) {
  let best = 0;
  for (let k = 1; k < places.length && places[k] <= x + 1e-6; k++) best = k;
  return best;
}
