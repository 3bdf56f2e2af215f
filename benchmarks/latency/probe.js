// Watches what a student sees: the moments of inputs, and the moments at which pixels of a watched widget have changed.
(() => {
  const probe = window.probe = { root: null, inputs: [], changes: [], painted: 0 };
  const last = new WeakMap(); // canvas -> a hash of its pixels
  const dirty = new Set();
  const read = CanvasRenderingContext2D.prototype.getImageData;
  let frameAsked = false;

  const hash = (canvas) => {
    const { width, height } = canvas;
    if (!width || !height) return 0;
    const pixels = new Uint32Array(read.call(canvas.getContext("2d"), 0, 0, width, height).data.buffer);
    let sum = width;
    for (let i = 0; i < pixels.length; i++) sum = (Math.imul(sum, 16777619) ^ pixels[i]) >>> 0;
    return sum;
  };
  const changed = (time) => {
    probe.changes.push(time);
    if (frameAsked) return;
    frameAsked = true;
    requestAnimationFrame(() => { frameAsked = false; probe.painted++; });
  };
  const check = () => { // after the handler that drew
    const time = performance.now();
    let other = false;
    for (const canvas of dirty) {
      const now = hash(canvas);
      other ||= last.get(canvas) !== now;
      last.set(canvas, now);
    }
    dirty.clear();
    if (other) changed(time);
  };
  for (const name of ["drawImage", "putImageData", "fillRect", "fill", "stroke"]) {
    const plain = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
      plain.apply(this, given);
      const { canvas } = this;
      if (!probe.root || !(canvas instanceof HTMLCanvasElement) || !probe.root.contains(canvas)) return;
      if (dirty.size === 0) queueMicrotask(check);
      dirty.add(canvas);
    };
  }
  let picture = ""; // of matplotlib: a new <img> for every change
  document.addEventListener("load", ({ target }) => {
    if (target.tagName !== "IMG" || !probe.root?.contains(target) || target.src === picture) return;
    picture = target.src;
    changed(performance.now());
  }, true);
  for (const type of ["keydown", "click"]) {
    window.addEventListener(type, ({ timeStamp }) => probe.inputs.push(timeStamp), true);
  }
})();
