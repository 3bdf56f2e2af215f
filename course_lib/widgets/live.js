// Questions to the kernel, one at a time. While one is under way, only the latest of those asked meanwhile is kept, and
// sent when the answer has come: however slow the kernel is, its answers never fall behind the hand by more than two.

const PATIENCE = 250; // milliseconds after which a widget should show something without the kernel

// `answered(answer, buffers, inTime, newest)` gets every answer: did it come within our patience, and has nothing else been
// asked since? `late()` is called when one is not there in time. Gives `ask(question)` and `waited()`, the milliseconds since a
// question that is still under way was sent: on a busy page, hands come before timers.
function kernelLine(model, answered, late, signal) {
  const view = Math.random().toString(36).slice(2); // all views of a widget hear all answers
  let underWay = false;
  let since = 0;
  let next = null;
  let inTime = true;
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  const isLate = () => { inTime = false; late(); };
  const send = (question) => {
    underWay = true;
    since = performance.now();
    inTime = true;
    timer = setTimeout(isLate, PATIENCE);
    try {
      model.send({ ...question, view });
    } catch {
      isLate(); // the kernel was restarted or is gone
    }
  };
  const ask = (question) => {
    if (underWay) next = question;
    else send(question);
  };
  listen(model, "msg:custom", (answer, buffers) => {
    if (answer.view !== view) return;
    clearTimeout(timer);
    underWay = false;
    const [waiting, soon] = [next, inTime];
    next = null;
    if (waiting) send(waiting); // first, so that the kernel works while we paint
    answered(answer, buffers, soon, !waiting);
  }, signal);
  return { ask, waited: () => (underWay ? performance.now() - since : 0) };
}
