// A training run in the plane: live, where the kernel advances it on request, or recorded, as a film.

const PLAY_SPEEDS = [1, 5, 20, 100]; // frames for each picture
const NEAR = 0.035; // of the plane's side: how far apart drawn points are, and how wide the eraser is

function render({ model, el }) {
  const ending = new AbortController();
  const { signal } = ending;
  const view = playView(model, signal);
  const shots = readFilm(model);
  const state = {
    points: placesOf(model.get("points")), frame: shots.at(-1) ?? null, history: shots, heat: true, arrows: true, dark: false,
  };
  const paint = () => paintPlay(view, state);
  for (const name of ["heat", "arrows"]) {
    view[name].addEventListener("click", () => {
      state[name] = !state[name];
      view[name].setAttribute("aria-pressed", state[name]);
      paint();
    }, { signal });
  }
  const tell = (sentence, failed = false) => {
    view.said.textContent = sentence;
    view.said.dataset.failed = failed;
    if (sentence) view.say(sentence);
  };
  tell(model.get("over"));
  if (model.get("live")) livePlay(model, view, state, paint, tell, signal);
  else filmPlay(model, view, state, shots, paint, signal);
  followTheme(view.root, (dark) => { state.dark = dark; paint(); }, signal);
  paint();
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

// A recorded run: the shared player goes through its shots.
function filmPlay(model, view, state, shots, paint, signal) {
  const named = model.get("settings").length > 0;
  view.main.append(...settingRow(model).rows);
  view.root.append(element("div", { class: "cw-quiet" },
    `A recorded run. ${named ? "Other settings and data of your own need" : "Drawing your own data needs"} a running kernel: run this cell.`));
  if (shots.length === 0) return;
  const [first, last] = [shots[0].step, shots.at(-1).step];
  const player = momentPlayer({
    label: "Moment of the run",
    places: shots.map(({ step }, k) => (last > first ? (step - first) / (last - first) : k / shots.length)),
    at: shots.length - 1,
    show: (k) => {
      state.frame = shots[k];
      state.history = shots.slice(0, k + 1);
      paint();
    },
    words: (k) => [`step ${shots[k].step}`, ...shots[k].numbers.map((number) => number.join(" "))].join(", "),
    moved: (k, resting) => { if (resting) view.say(`Step ${shots[k].step}`); },
    signal,
  });
  view.main.append(player.root);
}

function livePlay(model, view, state, paint, tell, signal) {
  const keys = playKeys(model);
  view.main.append(...keys.rows, keys.transport, keys.drawing);
  view.root.append(element("div", { class: "cw-quiet" },
    "Draw on the plane with the pointer, or focus it: arrow keys move the pen, Space draws, Shift makes large steps."));
  let playing = false;
  let starting = false; // is a new run asked for and not there yet?
  let drawn = false; // are there points of one's own?

  const play = (on) => {
    playing = on;
    keys.play.textContent = on ? "Pause" : "Play";
    if (on) step(Number(keys.speed.value));
  };
  const step = (frames) => { if (!starting) ask({ do: "step", frames }); };
  const wait = (on) => {
    starting = on;
    view.root.setAttribute("aria-busy", on);
  };
  const begin = (question) => {
    wait(true);
    tell("");
    ask(question);
  };
  const offerOwn = (chosen) => {
    drawn ||= chosen === "";
    keys.own.hidden = keys.own.disabled = !drawn;
    keys.preset.value = chosen;
  };
  const show = ({ do: done, over, failed, head, history, chosen, running }, buffers) => { // an answer, to any view of this widget
    if (head) state.frame = shotOf(head, ...buffers);
    if (history) {
      state.history = history;
      state.points = placesOf(buffers[3]);
      if (!starting) { // else what is chosen here is already on its way
        keys.setting.value = running;
        offerOwn(chosen);
      }
    } else if (head) state.history = lighter([...state.history.filter(({ step }) => step < head.step), head]);
    tell(over, failed);
    if (done !== "step" && !head) state.frame = null;
    paint();
  };
  const answered = ({ do: done, over, problem }, buffers, inTime, newest) => {
    if (done !== "step" && newest) wait(false); // else another run was asked for meanwhile
    if (problem || over) play(false);
    else if (playing) requestAnimationFrame(() => { if (playing && view.root.isConnected) step(Number(keys.speed.value)); else play(false); });
  };
  const { ask } = kernelLine(model, answered, () => { view.said.textContent = "Waiting for the kernel …"; }, signal);
  listen(model, "msg:custom", (answer, buffers) => {
    if (answer.problem) tell(answer.problem, true);
    else show(answer, buffers);
  }, signal);

  keys.play.addEventListener("click", () => play(!playing), { signal });
  keys.step.addEventListener("click", () => { play(false); step(1); }, { signal });
  keys.restart.addEventListener("click", () => begin({ do: "restart" }), { signal });
  keys.setting.addEventListener("change", () => begin({ do: "setting", name: keys.setting.value }), { signal });
  keys.preset.addEventListener("change", () => begin({ do: "preset", name: keys.preset.value }), { signal });
  keys.clear.addEventListener("click", () => {
    state.points = [];
    play(false);
    paint();
    tell("Draw some points, then play.");
  }, { signal });
  followPen(view, keys, state, paint, () => {
    offerOwn("");
    if (state.points.length) begin({ do: "draw", points: Array.from(state.points) });
    else tell("Draw some points, then play.");
  }, signal);
  offerOwn(model.get("chosen"));
  signal.addEventListener("abort", () => { playing = false; });
}

// The choice of a setting. Where nothing can be chosen its name stands there as text; where there are no names, nothing does.
function settingRow(model) {
  const [names, running] = [model.get("settings"), model.get("running")];
  const setting = element("select", { "aria-label": "Setting" }, ...names.map((name) => element("option", { value: name }, name)));
  setting.value = running;
  const shown = model.get("live") && names.length > 1
    ? [element("label", {}, "Setting", setting)] : [element("span", {}, "Setting"), element("b", {}, running)];
  const rows = names.length ? [element("div", { class: "cw-play-keys cw-play-setting" }, ...shown)] : [];
  return { setting, rows };
}

function playKeys(model) {
  const [play, step, restart] = ["Play", "Step", "Restart"].map((text) => playButton(text));
  play.classList.add("cw-play-go");
  const speed = element("select", { "aria-label": "Frames for each picture" }, ...PLAY_SPEEDS.map((value) => element("option", { value }, `${value}×`)));
  speed.value = "5";
  const own = element("option", { value: "" }, "drawn");
  const preset = element("select", { "aria-label": "Data points" }, own, ...model.get("presets").map((name) => element("option", { value: name }, name)));
  const [draw, erase, clear] = [playButton("Draw", true), playButton("Erase", false), playButton("Clear")];
  const transport = element("div", { class: "cw-play-keys", role: "group", "aria-label": "Training" },
    play, step, restart, element("label", { title: "Frames of the run for each picture" }, "Speed", speed));
  const drawing = element("div", { class: "cw-play-keys", role: "group", "aria-label": "Data" },
    element("label", {}, "Data", preset), draw, erase, clear);
  const { setting, rows } = settingRow(model);
  for (const group of [...rows, transport, drawing]) { // these keys belong to the buttons and lists, not to the notebook
    group.addEventListener("keydown", (event) => { if (!["Tab", "Escape"].includes(event.key)) event.stopPropagation(); });
  }
  return { play, step, restart, speed, setting, rows, preset, own, draw, erase, clear, transport, drawing };
}

// Pointer and keys draw or erase points; `changed` is called when the hand is lifted, or a key has drawn.
function followPen(view, keys, state, paint, changed, signal) {
  const pen = { x: 0.5, y: 0.5 };
  let [erasing, used] = [false, false];
  const choose = (erase) => {
    erasing = erase;
    keys.draw.setAttribute("aria-pressed", !erase);
    keys.erase.setAttribute("aria-pressed", erase);
  };
  const moveTo = (x, y) => {
    [pen.x, pen.y] = [x, y].map((value) => Math.min(Math.max(value, 0), 1));
    [view.cursor.style.left, view.cursor.style.top] = [`${100 * pen.x}%`, `${100 * pen.y}%`];
  };
  const apply = () => {
    const at = [EDGE + SPAN * pen.x, EDGE + SPAN * (1 - pen.y)].map(Math.round);
    const next = erasing ? without(state.points, at) : withPoint(state.points, at);
    used ||= next !== state.points;
    state.points = next;
    if (used) paint();
  };
  const lift = () => {
    if (used) changed();
    used = false;
  };
  keys.draw.addEventListener("click", () => choose(false), { signal });
  keys.erase.addEventListener("click", () => choose(true), { signal });
  followPointer(view.plane, (x, y) => { moveTo(x, y); apply(); }, signal);
  for (const event of ["pointerup", "pointercancel"]) view.plane.addEventListener(event, lift, { signal });
  followKeys(view.plane, (dx, dy, large) => moveTo(pen.x + dx * (large ? 0.1 : 0.02), pen.y - dy * (large ? 0.1 : 0.02)), () => moveTo(0.5, 0.5), signal);
  view.plane.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    apply();
    lift();
  }, { signal });
  moveTo(0.5, 0.5);
}

function distances(points, [x, y]) {
  return Array.from({ length: points.length / 2 }, (_, i) => Math.hypot(points[2 * i] - x, points[2 * i + 1] - y) / SPAN);
}

// The points with one more, unless there is one very near or there are 2,000.
function withPoint(points, at) {
  if (points.length >= 4000 || distances(points, at).some((distance) => distance < NEAR / 2)) return points;
  return [...points, ...at];
}

function without(points, at) {
  const far = distances(points, at).map((distance) => distance > NEAR);
  return far.every(Boolean) ? points : Array.from(points).filter((_, i) => far[i >> 1]);
}

// Keep a long history short: beyond 400 moments every second one goes.
function lighter(history) {
  return history.length < 400 ? history : history.filter((_, i) => i % 2 === 0 || i === history.length - 1);
}

function placesOf(bytes) {
  return new Uint16Array(bytesOf(bytes).slice().buffer); // a copy, aligned for 16-bit numbers
}

function shotOf({ step, losses, numbers, counts }, samples, arrows, field) {
  return { step, losses, numbers, side: counts[1], samples: placesOf(samples), arrows: placesOf(arrows), field: bytesOf(field) };
}

// A film holds differences from shot to shot, all samples, then all arrows, then all fields: see play_frames.py.
function readFilm(model) {
  const heads = model.get("moments");
  const film = bytesOf(model.get("film"));
  let at = 0;
  const read = (lengths, wide) => {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    let [from, before] = [at, []];
    at += wide ? 2 * total : total;
    return lengths.map((length) => {
      const start = from;
      const now = (wide ? Uint16Array : Uint8Array).from({ length }, (_, i) =>
        film[start + i] + (wide ? 256 * film[start + total + i] : 0) + (before[i] ?? 0)); // wraps around
      from += length;
      before = now;
      return now;
    });
  };
  const places = (lengths) => read(lengths, true).map((halved) => halved.map((value) => 2 * value));
  const samples = places(heads.map(({ counts }) => 2 * counts[0]));
  const arrows = places(heads.map(({ counts }) => 4 * counts[2]));
  const fields = read(heads.map(({ counts }) => counts[1] ** 2), false);
  return heads.map(({ step, losses, numbers, counts }, k) =>
    ({ step, losses, numbers, side: counts[1], samples: samples[k], arrows: arrows[k], field: fields[k] }));
}

export default { render };
