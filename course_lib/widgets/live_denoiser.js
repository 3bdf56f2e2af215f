// Diffusion sampling in the page: a seed, a class, guidance and a number of steps in the hand, one painted frame a step.
// Without the network, a recorded run to play and scrub.

async function render({ model, el }) {
  const ending = new AbortController();
  const [, height, width] = model.get("shape");
  const recorded = await recordedFrames(model, { size: [width, height], parts: 2, count: 1 }, (view) => [view.x, view.guess]);
  const view = liveView(model, (changed) => run.choose(changed), ending.signal);
  const run = liveRun({ model, choices: CHOICES, view, recorded, nextFrame, frameWords, recordedWords }, ending.signal);
  el.replaceChildren(view.root);
  return () => { ending.abort(); view.root.remove(); };
}

const CHOICES = ["seed", "label", "guidance", "steps", "fresh"];

// Frame number frames.length of a run: { x, x0, next }, all of them floats (C, H, W).
async function nextFrame(model, { frames, seed, label, guidance, steps, fresh, network }) {
  const shape = model.get("shape");
  const size = shape[0] * shape[1] * shape[2];
  const plan = model.get("plans")[steps];
  const k = frames.length;
  const x = k === 0 ? pageNoise(seed, size) : frames[k - 1].next;
  const frame = { x, x0: x, next: null, asked: k < plan.length - 1 };
  if (frame.asked) {
    const classes = model.get("names").length > 0;
    const none = model.get("null");
    const eps = await guidedEps(network, x, shape, plan[k][0], { name: "label", told: classes ? label : null, untold: none < 0 ? null : none, guidance });
    const noise = fresh ? pageNoise(seed, size, k + 1) : null;
    Object.assign(frame, ddimStep(x, eps, plan[k][1], plan[k + 1][1], model.get("clip"), fresh ? 1 : 0, noise));
  }
  frame.paint = (view) => { paintTensor(view.x, frame.x, shape[0]); paintTensor(view.guess, frame.x0, shape[0]); };
  return frame;
}

function recordedWords(model) {
  const { seed, label, guidance, steps } = model.get("recording");
  const parts = [`seed ${seed}`, model.get("names")[label], model.get("null") < 0 ? "" : `guidance ${guidance.toFixed(1)}`, `${steps} steps`];
  return `A recorded run: ${parts.filter(Boolean).join(", ")}. Run this cell to sample in this page.`;
}

export default { render };
