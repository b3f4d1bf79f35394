/* The review of cleaned cues: check marks are kept while pages are turned, and sent when the cues are taken over. */
(() => {
  TS.review = (element, trigger, watch) => {
    const flipped = new Set();  // positions whose mark is not what the check proposed
    const boxes = () => element.querySelectorAll("input[data-position]");

    element.addEventListener("change", (event) => {
      const box = event.target.closest("input[data-position]");
      if (!box) return;
      if (box.checked === (box.dataset.ok === "1")) flipped.delete(Number(box.dataset.position));
      else flipped.add(Number(box.dataset.position));
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (!button || button.disabled) return;
      trigger("act", { ...button.dataset, flipped: JSON.stringify([...flipped]) });
      if (button.dataset.act !== "page") flipped.clear();
    });
    watch("value", () => {
      if (!boxes().length) flipped.clear();
      boxes().forEach((box) => {
        box.checked = (box.dataset.ok === "1") !== flipped.has(Number(box.dataset.position));
      });
    });
  };
})();
