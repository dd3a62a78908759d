// Unseen in a box of class kd-panel: ipywidgets' controls keep the keys typed into them, and sliders get a name.
// JupyterLab asks only the focused element whether it may take a key; ipywidgets names no slider's handle.

function mark({ target }) {
  if (target.dataset.lmSuppressShortcuts) return;
  target.dataset.lmSuppressShortcuts = "true";
  const slider = target.getAttribute("role") === "slider" && target.closest(".widget-slider");
  if (!slider) return;
  target.setAttribute("aria-label", slider.querySelector("label").textContent);
  const readout = slider.querySelector(".widget-readout");
  const speak = () => target.setAttribute("aria-valuetext", readout.textContent); // of a log slider, not its exponent
  new MutationObserver(speak).observe(readout, { childList: true, characterData: true, subtree: true });
  speak();
}

function render({ el }) {
  const find = (box) => box ? box.addEventListener("focusin", mark)
    : requestAnimationFrame(() => find(el.closest(".kd-panel"))); // until it has been put into the box
  find(el.closest(".kd-panel"));
}

export default { render };
