/* The clip table: one row is current; arrows move, Space plays, A keeps, R rejects; Shift extends the choice. */
(() => {
  TS.clips = (element, trigger, watch) => {
    let current = null;
    let chosen = new Set();
    let anchor = null;
    let timer = 0;
    let arriving = null;  // which row to choose once the next page is here

    const rows = () => [...element.querySelectorAll("tbody tr[data-id]")];
    const row = (id) => element.querySelector(`tr[data-id="${CSS.escape(id)}"]`);

    const paint = () => {
      element.querySelectorAll("tbody tr[data-id]").forEach((r) => {
        const on = chosen.has(r.dataset.id);
        r.setAttribute("aria-selected", String(on));
        r.tabIndex = r.dataset.id === current ? 0 : -1;
      });
      const seen = rows();
      if (seen.length && !seen.some((r) => r.tabIndex === 0)) seen[0].tabIndex = 0;
    };

    const pick = (id, extend, focus) => {
      if (!id || !row(id)) return;
      if (extend && anchor) {
        const ids = rows().map((r) => r.dataset.id);
        const [a, b] = [ids.indexOf(anchor), ids.indexOf(id)].sort((x, y) => x - y);
        chosen = new Set(ids.slice(Math.max(a, 0), b + 1));
      } else {
        chosen = new Set([id]);
        anchor = id;
      }
      const moved = current !== id;
      current = id;
      paint();
      row(id).scrollIntoView({ block: "nearest" });
      if (focus) row(id).focus({ preventScroll: true });
      if (!moved) return;
      clearTimeout(timer);
      timer = setTimeout(() => trigger("pick", { id }), 90);
    };

    const step = (by, extend) => {
      const ids = rows().map((r) => r.dataset.id);
      const at = ids.indexOf(current);
      // Past the end of a page the next one is turned to.
      const turn = at >= 0 && (at + by < 0 || at + by >= ids.length) && Math.abs(by) === 1
        && element.querySelectorAll(".ts-pager [data-act=page]")[by > 0 ? 1 : 0];
      if (turn && !turn.disabled) {
        arriving = by > 0 ? 0 : -1;
        trigger("act", { ...turn.dataset });
        return;
      }
      const to = at >= 0 ? at + by : by > 1 ? by : 0; // with no current row a step takes the first, End the last
      pick(ids[Math.max(0, Math.min(ids.length - 1, to))], extend, true);
    };

    const verdict = (word) => {
      if (!chosen.size) return;
      const ids = [...chosen];
      // Shown at once; the server's answer draws the same.
      ids.forEach((id) => {
        const r = row(id);
        if (!r) return;
        r.dataset.verdict = word;
        const badge = r.querySelector(".ts-badge");
        badge.textContent = TS.t(word);
        badge.className = "ts-badge ts-" + (word === "accepted" ? "ok" : "bad");
      });
      trigger("act", { verdict: word, ids: ids.join("\n") });
      if (ids.length === 1) step(1, false);
    };
    element.tsVerdict = verdict;
    element.tsStep = step;

    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (button) {
        if (!button.disabled) trigger("act", { ...button.dataset });
        return;
      }
      const r = event.target.closest("tr[data-id]");
      if (r) pick(r.dataset.id, event.shiftKey, true);
    });
    element.addEventListener("dblclick", (event) => {
      if (event.target.closest("tr[data-id]")) TS.playIn("#clip-detail");
    });
    element.addEventListener("keydown", (event) => {
      const undo = (event.ctrlKey || event.metaKey)
        && { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
      if (undo) { event.preventDefault(); trigger("act", { act: undo }); }
      if (!event.target.closest("tbody") || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = {
        ArrowDown: () => step(1, event.shiftKey),
        ArrowUp: () => step(-1, event.shiftKey),
        PageDown: () => step(10, event.shiftKey),
        PageUp: () => step(-10, event.shiftKey),
        Home: () => step(-1e9, event.shiftKey),
        End: () => step(1e9, event.shiftKey),
        " ": () => TS.playIn("#clip-detail"),
        Enter: () => TS.playIn("#clip-detail"),
        a: () => verdict("accepted"),
        r: () => verdict("rejected"),
      }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (act) { event.preventDefault(); act(); }
    });
    watch("value", () => {
      const ids = new Set([...element.querySelectorAll("tr[data-id]")].map((r) => r.dataset.id));
      chosen = new Set([...chosen].filter((id) => ids.has(id)));
      if (current && !ids.has(current)) current = null;
      paint();
      if (arriving !== null && ids.size) {
        const id = [...ids].at(arriving);
        arriving = null;
        pick(id, false, true);
      }
    });
    paint();
  };

  // Buttons outside the table (Keep, Reject, Next) act on it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-clip-verdict],[data-clip-step]");
    if (!button) return;
    const table = document.getElementById("clips");
    const owner = table && [table, ...table.querySelectorAll("*")].find((e) => e.tsVerdict);
    if (!owner) return;
    if (button.dataset.clipVerdict) owner.tsVerdict(button.dataset.clipVerdict);
    else owner.tsStep(Number(button.dataset.clipStep), false);
  });
})();
