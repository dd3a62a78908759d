// Unseen in a box of class kd-panel: ipywidgets' controls keep the keys typed into them, sliders and images get a name.
// JupyterLab asks only the focused element whether it may take a key; ipywidgets names neither handle nor image.

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

function render({ model, el }) {
  let box = null;
  const tell = () => box.querySelectorAll("img").forEach((image) => { image.alt = model.get("picture"); });
  const find = () => {
    box = el.closest(".kd-panel");
    if (!box) return requestAnimationFrame(find); // until it has been put into the box
    box.addEventListener("focusin", mark);
    model.on("change:picture", tell);
    tell();
  };
  find();
}

export default { render };
