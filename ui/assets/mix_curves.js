/* How much of each speaker is heard: a share, or a curve of points over the source's waveform. */
(() => {
  const NEAR_PX = 9;
  const SVG = "http://www.w3.org/2000/svg";

  TS.MixCurves = class {
    constructor(root) {
      this.root = root;
      this.part = (name) => root.querySelector(`[data-mix=${name}]`);
      [this.field, this.lines, this.rows, this.onOff] = ["field", "lines", "rows", "on"].map((name) => this.part(name));
      this.curves = new Map();
      this.#wire();
    }

    follow({ speakers, curves, serial }, wave) {
      this.part("wave").replaceChildren(...(wave ? [wave.cloneNode(true)] : []));
      const names = JSON.parse(speakers || "[]");
      if (String(names) !== String([...this.curves.keys()])) {
        this.curves = new Map(names.map((name, i) => [name, [[0, i ? 0 : 1]]]));
        [this.current, this.point] = [names[0] || null, null];
        this.onOff.checked = false;
      }
      if (curves && serial !== this.serial) {
        const given = JSON.parse(curves);
        for (const name of names) this.curves.set(name, (given[name] || [[0, 0]]).map(([t, v]) => [t, Math.min(1, v)]));
        this.onOff.checked = true;
      }
      this.serial = serial;
      this.root.classList.toggle("ts-none", names.length < 2);
      this.draw();
    }

    /* What the conversion is given: "" where nothing is mixed; a number for a level line. */
    value() {
      if (!this.onOff.checked || this.curves.size < 2) return "";
      return JSON.stringify(this.#shares());
    }

    #shares() {
      return Object.fromEntries([...this.curves].map(([name, points]) => [name, points.length === 1 ? points[0][1] : points]));
    }

    static at(points, t) {
      if (t <= points[0][0]) return points[0][1];
      for (let i = 1; i < points.length; i += 1)
        if (t <= points[i][0]) {
          const [[a, low], [b, high]] = [points[i - 1], points[i]];
          return b > a ? low + ((high - low) * (t - a)) / (b - a) : high;
        }
      return points[points.length - 1][1];
    }

    draw() {
      const names = [...this.curves.keys()];
      this.root.classList.toggle("ts-off", !this.onOff.checked);
      this.lines.replaceChildren(...names.map((name, i) => {
        const points = this.curves.get(name);
        const line = document.createElementNS(SVG, "polyline");
        const path = [[0, points[0][1]], ...points, [1, points[points.length - 1][1]]];
        line.setAttribute("points", path.map(([t, v]) => `${(t * 1000).toFixed(1)},${(100 - 96 * v - 2).toFixed(1)}`).join(" "));
        line.setAttribute("class", `ts-line-${i % 6}${name === this.current ? " ts-now" : ""}`);
        return line;
      }));
      for (const old of this.field.querySelectorAll(".ts-knot")) old.remove();
      (this.curves.get(this.current) || []).forEach(([t, v], i) => {
        const knot = Object.assign(document.createElement("button"), { type: "button", className: "ts-knot" });
        knot.dataset.point = i;
        knot.setAttribute("aria-label", `${this.current} ${Math.round(100 * t)} %: ${v.toFixed(2)}`);
        [knot.style.left, knot.style.top] = [`${100 * t}%`, `${98 - 96 * v}%`];
        if (i === this.point) knot.classList.add("ts-now");
        this.field.append(knot);
      });
      this.#list(names);
    }

    #list(names) {
      if (this.rows.contains(document.activeElement) && document.activeElement.tagName === "INPUT" && this.rows.children.length === names.length) {
        this.#percent(names);
        return;
      }
      this.rows.replaceChildren(...names.map((name, i) => {
        const row = Object.assign(document.createElement("div"), { className: "ts-mix-row" });
        const pick = Object.assign(document.createElement("button"), { type: "button", className: "ts-seg", textContent: name, title: name });
        pick.dataset.speaker = name;
        pick.setAttribute("aria-pressed", String(name === this.current));
        const mark = document.createElementNS(SVG, "svg");
        mark.setAttribute("viewBox", "0 0 18 8");
        const stroke = document.createElementNS(SVG, "polyline");
        stroke.setAttribute("points", "0,4 18,4");
        stroke.setAttribute("class", `ts-line-${i % 6}`);
        mark.append(stroke);
        const share = Object.assign(document.createElement("input"), { type: "number", min: 0, max: 1, step: 0.05 });
        share.dataset.share = name;
        share.setAttribute("aria-label", `${name}: ${TS.t("mix_share")}`);
        const points = this.curves.get(name);
        share.value = points.length === 1 ? points[0][1] : "";
        share.placeholder = points.length === 1 ? "" : TS.t("mix_curve");
        const told = Object.assign(document.createElement("span"), { className: "ts-num ts-muted" });
        row.append(mark, pick, share, told);
        return row;
      }));
      this.#percent(names);
    }

    /* What each makes of the whole, on the average over time. */
    #percent(names) {
      const sums = names.map(() => 0);
      for (let k = 0; k < 100; k += 1) {
        const values = names.map((name) => TS.MixCurves.at(this.curves.get(name), (k + 0.5) / 100));
        const total = values.reduce((a, b) => a + b, 0);
        values.forEach((value, i) => { sums[i] += total > 0 ? value / total : 1 / names.length; });
      }
      [...this.rows.children].forEach((row, i) => { row.lastChild.textContent = `${Math.round(sums[i])} %`; });
    }

    #changed() {
      this.onOff.checked = true;
      this.draw();
    }

    #place(event) {
      const box = this.field.getBoundingClientRect();
      const y = ((event.clientY - box.top) / box.height) * 100;
      return [Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)), Math.max(0, Math.min(1, (98 - y) / 96))];
    }

    #drag(at, [t, v]) {
      const points = this.curves.get(this.current);
      const [low, high] = [at ? points[at - 1][0] : 0, at + 1 < points.length ? points[at + 1][0] : 1];
      points[at] = [Math.max(low, Math.min(high, Number(t.toFixed(4)))), Number(v.toFixed(3))];
      this.#changed();
    }

    #add([t, v]) {
      const points = this.curves.get(this.current);
      let at = points.findIndex(([other]) => other > t);
      if (at < 0) at = points.length;
      points.splice(at, 0, [Number(t.toFixed(4)), Number(v.toFixed(3))]);
      return at;
    }

    #remove(at) {
      const points = this.curves.get(this.current);
      if (points.length < 2) return;
      points.splice(at, 1);
      this.point = null;
      this.#changed();
    }

    #wire() {
      this.field.addEventListener("pointerdown", (event) => {
        if (event.button !== 0 || !this.current) return;
        event.preventDefault();
        const knot = event.target.closest(".ts-knot");
        this.point = knot ? Number(knot.dataset.point) : this.#add(this.#place(event));
        this.held = true;
        this.field.setPointerCapture(event.pointerId);
        this.#changed();
        this.field.querySelector(`[data-point="${this.point}"]`)?.focus();
      });
      this.field.addEventListener("pointermove", (event) => { if (this.held) this.#drag(this.point, this.#place(event)); });
      for (const name of ["pointerup", "pointercancel"]) this.field.addEventListener(name, () => { this.held = false; });
      this.field.addEventListener("dblclick", (event) => {
        const near = [...this.field.querySelectorAll(".ts-knot")].find((knot) => {
          const box = knot.getBoundingClientRect();
          return Math.hypot(event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2) < NEAR_PX;
        });
        if (near) this.#remove(Number(near.dataset.point));
      });
      this.field.addEventListener("keydown", (event) => {
        const knot = event.target.closest(".ts-knot");
        if (!knot) return;
        const at = Number(knot.dataset.point);
        const [t, v] = this.curves.get(this.current)[at];
        const moves = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] };
        if (event.key === "Delete" || event.key === "Backspace") this.#remove(at);
        else if (moves[event.key]) {
          this.point = at;
          this.#drag(at, [t + moves[event.key][0], Math.max(0, Math.min(1, v + moves[event.key][1]))]);
          this.field.querySelector(`[data-point="${at}"]`)?.focus();
        } else return;
        event.preventDefault();
      });
      this.rows.addEventListener("click", (event) => {
        const pick = event.target.closest("[data-speaker]");
        if (pick) { [this.current, this.point] = [pick.dataset.speaker, null]; this.draw(); }
      });
      this.rows.addEventListener("input", (event) => {
        const share = Number(event.target.value);
        if (!event.target.dataset.share || event.target.value === "" || !(share >= 0 && share <= 1)) return;
        this.curves.set(event.target.dataset.share, [[0, share]]);
        this.#changed();
      });
      this.onOff.addEventListener("change", () => this.draw());
      this.part("save").addEventListener("click", () => {
        const data = { format: "timbre-speaker-mix-1", unit: "share", speakers: this.#shares() };
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 1)], { type: "application/json" }));
        link.download = "speaker-mix.json";
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      });
    }
  };

  TS.openMix = (element) => {
    TS.mix = new TS.MixCurves(element.querySelector(".ts-mix"));
    TS.feedMix?.();
  };

  TS.mixFeed = (element, watch) => {
    TS.feedMix = () => { const feed = element.querySelector("[data-speakers]"); if (feed && TS.mix) TS.mix.follow(feed.dataset, feed.querySelector("svg")); };
    watch("value", TS.feedMix);
    TS.feedMix();
  };
})();
