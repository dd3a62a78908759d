// Unseen in a box of class kd-panel: ipywidgets' controls keep the keys typed into them, and get the names they lack.
// JupyterLab asks only the focused element whether it may take a key; ipywidgets names no handle, readout or image.

const set = (node, name, text) => node.getAttribute(name) === text || node.setAttribute(name, text);

function name(box, picture) {
  box.querySelectorAll(".widget-slider").forEach((slider) => {
    const parts = ["label", ".noUi-handle", ".widget-readout"];
    const [label, handle, readout] = parts.map((part) => slider.querySelector(part));
    if (!handle || !readout) return;
    set(handle, "aria-label", label.textContent);
    set(handle, "aria-valuetext", readout.textContent); // of a log slider, not its exponent
    set(readout, "aria-label", `${label.textContent}, typed`);
    set(readout, "role", "textbox");
  });
  box.querySelectorAll("button[title]").forEach((button) => {
    set(button, "aria-label", [button.textContent, button.title].filter(Boolean).join(": "));
  });
  box.querySelectorAll("img").forEach((image) => set(image, "alt", picture));
}

function render({ model, el }) {
  let watcher = null, gone = false, last = null, lost = false;
  const keep = ({ target }) => {
    [last, lost] = [target, false];
    target.dataset.lmSuppressShortcuts = "true";
  };
  const find = () => {
    const box = el.closest(".kd-panel");
    if (gone) return;
    if (!box) return requestAnimationFrame(find); // until it has been put into the box
    const tell = () => name(box, model.get("picture"));
    watcher = new MutationObserver((changes) => {
      tell();
      if (!changes.some(({ target, attributeName }) => attributeName && target === last)) return;
      // a button that is off for a while drops the focus; it gets it back where nobody has taken it elsewhere
      if (last.disabled) lost = true;
      else if (lost && document.activeElement.contains(box)) last.focus();
    });
    watcher.observe(box, { subtree: true, childList: true, characterData: true, attributeFilter: ["disabled"] });
    box.addEventListener("focusin", keep);
    model.on("change:picture", tell);
    tell();
  };
  find();
  return () => {
    gone = true;
    watcher?.disconnect();
  };
}

export default { render };
