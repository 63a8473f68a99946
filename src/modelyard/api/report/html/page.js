// Lights up one run everywhere; a click keeps it lit. The page says all of it without this, too.
(() => {
  let kept = null;
  let shown = null;
  const parts = new Map();
  for (const part of document.querySelectorAll("[data-run]")) {
    const run = part.getAttribute("data-run");
    if (!parts.has(run)) parts.set(run, []);
    parts.get(run).push(part);
  }
  const light = (run) => {
    if (run === shown) return;
    for (const part of parts.get(shown) || []) part.classList.remove("lit");
    for (const part of parts.get(run) || []) part.classList.add("lit");
    document.body.classList.toggle("some-lit", run !== null);
    shown = run;
  };
  const runAt = (event) => {
    const part = event.target instanceof Element ? event.target.closest("[data-run]") : null;
    return part === null ? null : part.getAttribute("data-run");
  };
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, (event) => light(runAt(event) ?? kept));
  }
  document.addEventListener("click", (event) => {
    const run = runAt(event);
    kept = run === kept ? null : run;
    light(kept);
  });
  addEventListener("beforeprint", () => {
    light(null);
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
