/* The waveform of a recording with its cues: an overview of all of it, and a view in which edges can be dragged.

   Peaks come from the server a minute at a time, first where one looks; only cues in view are elements. */
(() => {
  const BLOCK_S = 60;
  const COLUMNS = 12000;  // a block: a minimum and a maximum per 5 ms
  const COARSE = 200;     // columns of a coarse one: 1 s
  const LEAST_SPAN_S = 1;
  const MOST_REGIONS = 150;
  const FILL_LIMIT_S = 2 * 3600;  // longer recordings are drawn where one looks only
  const AT_ONCE = 2;
  const FRAME_S = 0.032;
  const FRAMES = 1875;    // a block of speech
  const SPEECH_FROM = 0.5;
  const HEAR_SPAN_S = 300;  // the detector is asked for no more than this at a time
  // Below the wave, from the bottom: the ruler, the band of speech, a line where the last cutting cut.
  const [RULER, BAND, FOOT] = [14, 5, 25];

  /* Something of each minute of a recording, asked for where one looks. */
  class Blocks {
    constructor(route, read, arrived, fill) {
      [this.route, this.read, this.arrived, this.fill] = [route, read, arrived, fill];
      this.forget();
    }

    forget(place, duration) {
      this.place = place;
      this.duration = duration || 0;
      this.blocks = new Map();
      this.loading = new Set();
      this.failed = new Set();
      this.wanted = [];
    }

    get count() { return Math.ceil(this.duration / BLOCK_S); }

    want(from, to) {
      this.wanted = [];
      for (let i = Math.max(0, Math.floor(from / BLOCK_S)); i <= Math.min(this.count - 1, Math.floor(to / BLOCK_S)); i += 1)
        if (this.#missing(i)) this.wanted.push(i);
      this.#next();
    }

    #missing(i) { return !this.blocks.has(i) && !this.loading.has(i) && !this.failed.has(i); }

    #next() {
      while (this.place && this.loading.size < AT_ONCE) {
        let i = this.wanted.find((one) => this.#missing(one));
        if (i === undefined && this.loading.size === 0 && this.fill && this.duration <= FILL_LIMIT_S)
          for (let at = 0; at < this.count && i === undefined; at += 1) if (this.#missing(at)) i = at;
        if (i === undefined) return;
        this.#load(i);
      }
    }

    async #load(i) {
      const place = this.place;
      this.loading.add(i);
      try {
        const answer = await TS.askData(TS.dataUrl(this.route, { ...place, block: i }));
        const data = this.read(await answer.arrayBuffer());
        if (this.place === place) this.blocks.set(i, data);
      } catch {
        if (this.place === place) this.failed.add(i);
      }
      if (this.place !== place) return;
      this.loading.delete(i);
      this.arrived();
      this.#next();
    }
  }

  /* How likely speech is, as the detector hears it: 0..255 per 32 ms. */
  class Speech extends Blocks {
    constructor(arrived) { super("speech", (buffer) => new Uint8Array(buffer), arrived, false); }

    /* The largest value between two times, 0..1. */
    between(from, to) {
      let most = 0;
      const end = Math.max(Math.floor(from / FRAME_S) + 1, Math.ceil(to / FRAME_S));
      for (let at = Math.max(0, Math.floor(from / FRAME_S)); at < end; at += 1)
        most = Math.max(most, this.blocks.get(Math.floor(at / FRAMES))?.[at % FRAMES] ?? 0);
      return most / 255;
    }
  }

  class Peaks extends Blocks {
    constructor(arrived) {
      super("peaks", (buffer) => {
        const fine = new Int8Array(buffer);
        return { fine, coarse: coarse(fine) };
      }, arrived, true);
    }

    /* [minimum, maximum] in -127..127 between two times, or null where nothing is known yet. */
    between(from, to) {
      let [low, high] = [127, -127];
      const wide = to - from > 2;
      const step = wide ? 1 : BLOCK_S / COLUMNS;
      const per = BLOCK_S / step;
      const end = Math.max(Math.floor(from / step) + 1, Math.ceil(to / step));
      for (let at = Math.floor(from / step); at < end; at += 1) {
        const block = this.blocks.get(Math.floor(at / per));
        const data = block && (wide ? block.coarse : block.fine);
        const column = 2 * (at % per);
        if (!data || column >= data.length) continue;
        if (data[column] < low) low = data[column];
        if (data[column + 1] > high) high = data[column + 1];
      }
      return high >= low ? [low, high] : null;
    }
  }

  const coarse = (fine) => {
    const made = new Int8Array(2 * Math.ceil(fine.length / 2 / COARSE));
    for (let i = 0; i < made.length; i += 2) {
      let [low, high] = [127, -127];
      const end = Math.min(fine.length, (i / 2 + 1) * COARSE * 2);
      for (let at = i * COARSE; at < end; at += 2) {
        if (fine[at] < low) low = fine[at];
        if (fine[at + 1] > high) high = fine[at + 1];
      }
      [made[i], made[i + 1]] = [low, high];
    }
    return made;
  };

  TS.CueWave = class {
    /* desk: { model, current, cuts, select(at), keep(), draft(start, end), play() } */
    constructor(root, desk) {
      this.desk = desk;
      this.view = root.querySelector("[data-desk=view]");
      this.layer = root.querySelector("[data-desk=regions]");
      this.all = root.querySelector("[data-desk=overview]");
      this.cursor = root.querySelector("[data-desk=cursor]");
      this.peaks = new Peaks(() => this.draw());
      this.speech = new Speech(() => this.draw());
      this.elements = new Map();
      [this.from, this.span, this.duration] = [0, 30, 0];
      this.at = null;
      new ResizeObserver(() => this.draw()).observe(this.view);
      this.#wire();
    }

    open(place, duration) {
      this.duration = duration || 0;
      this.peaks.forget(place, this.duration);
      this.speech.forget(place, this.duration);
      [this.from, this.span, this.at] = [0, Math.min(30, this.duration || 30), null];
      this.draw();
    }

    look(from, span) {
      this.span = Math.max(LEAST_SPAN_S, Math.min(span, this.duration || 30));
      this.from = Math.max(0, Math.min(from, (this.duration || 30) - this.span));
      this.draw();
    }

    zoom(factor, centre = this.from + this.span / 2) {
      const span = Math.max(LEAST_SPAN_S, Math.min(this.span * factor, this.duration || 30));
      this.look(centre - (span * (centre - this.from)) / this.span, span);
    }

    show(cue) {
      const [start, end] = [cue.start_ms / 1000, cue.end_ms / 1000];
      if (start >= this.from && end <= this.from + this.span) this.draw();
      else this.look(start - Math.max(0, this.span - (end - start)) / 4, Math.max(this.span, (end - start) * 1.2));
    }

    seconds(event) {
      const box = this.view.getBoundingClientRect();
      return this.from + ((event.clientX - box.left) / box.width) * this.span;
    }

    draw() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        if (!this.view.clientWidth) return;
        this.peaks.want(this.from - 5, this.from + this.span + 5);
        if (this.span <= HEAR_SPAN_S) this.speech.want(this.from, this.from + this.span);
        this.#drawView();
        this.#drawAll();
        this.#place();
      });
    }

    #canvas(canvas) {
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      const ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio))
        [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      return [pen, width, height];
    }

    #wave(pen, width, height, from, span, colour) {
      pen.fillStyle = colour;
      for (let x = 0; x < width; x += 1) {
        const pair = this.peaks.between(from + (x / width) * span, from + ((x + 1) / width) * span);
        if (!pair) continue;
        const [top, low] = [(1 - pair[1] / 127) * height / 2, (1 - pair[0] / 127) * height / 2];
        pen.fillRect(x, top, 1, Math.max(1, low - top));
      }
    }

    /* Why a cut fell where it did: full where the detector is sure of speech, faint where it only suspects some. */
    #band(pen, width, top, colour) {
      pen.fillStyle = colour;
      for (let x = 0; x < width; x += 1) {
        const sure = this.speech.between(this.from + (x / width) * this.span, this.from + ((x + 1) / width) * this.span);
        pen.globalAlpha = sure >= SPEECH_FROM ? 0.9 : sure * 0.5;
        if (sure > 0.05) pen.fillRect(x, top, 1, BAND);
      }
      pen.globalAlpha = 1;
    }

    #colours() {
      const style = getComputedStyle(this.view);
      return (name) => style.getPropertyValue(`--ts-${name}`);
    }

    #drawView() {
      const [pen, width, height] = this.#canvas(this.view);
      const colour = this.#colours();
      this.#wave(pen, width, height - FOOT, this.from, this.span, colour("accent"));
      this.#band(pen, width, height - RULER - BAND - 1, colour("ok"));
      this.#ruler(pen, width, height, colour);
      this.#cutMarks(pen, width, height, colour);
      const cues = this.desk.model.cues;
      const shown = this.inView();
      if (shown.length > MOST_REGIONS) {
        pen.fillStyle = colour("muted");
        for (const at of shown) {
          const [x, end] = [this.#x(cues[at].start_ms, width), this.#x(cues[at].end_ms, width)];
          pen.fillRect(x, height - FOOT, Math.max(1, end - x - 1), 2);
        }
      }
      this.#regions(shown.length > MOST_REGIONS ? shown.filter((at) => at === this.desk.current) : shown, width);
    }

    #x(ms, width) { return ((ms / 1000 - this.from) / this.span) * width; }

    #ruler(pen, width, height, colour) {
      const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600].find((s) => (s / this.span) * width > 70) || 7200;
      pen.fillStyle = colour("muted");
      pen.font = "10px system-ui, sans-serif";
      for (let s = Math.ceil(this.from / step) * step; s < this.from + this.span; s += step) {
        const x = this.#x(s * 1000, width);
        pen.fillRect(x, height - RULER, 1, 4);
        pen.fillText(step < 1 ? TS.clockMs(Math.round(s * 1000)).slice(0, -2) : TS.clockMs(Math.round(s * 1000)).slice(0, -4), x + 3, height - 4);
      }
    }

    /* Where the last cutting cut: a line below the cue, and how far each edge moved. */
    #cutMarks(pen, width, height, colour) {
      const cuts = this.desk.cuts;
      pen.fillStyle = colour("ok");
      pen.font = "10px system-ui, sans-serif";
      for (const at of this.inView()) {
        const cue = this.desk.model.cues[at];
        const cut = cuts.get(`${cue.start_ms}-${cue.end_ms}`);
        if (!cut) continue;
        const [x, end] = [this.#x(cut[2], width), this.#x(cut[3], width)];
        pen.fillRect(x, height - FOOT, Math.max(1, end - x), 2);
        if (end - x < 110) continue;
        const sign = (n) => `${n > 0 ? "+" : ""}${n} ms`;
        pen.fillText(sign(cut[2] - cut[0]), x + 3, height - FOOT - 3);
        const right = sign(cut[3] - cut[1]);
        pen.fillText(right, end - 3 - pen.measureText(right).width, height - FOOT - 3);
      }
    }

    #drawAll() {
      const [pen, width, height] = this.#canvas(this.all);
      if (!this.duration) return;
      const colour = this.#colours();
      this.#wave(pen, width, height - 5, 0, this.duration, colour("muted"));
      for (const cue of this.desk.model.cues) {
        pen.fillStyle = cue.rejected ? colour("bad") : colour("accent");
        const x = (cue.start_ms / 1000 / this.duration) * width;
        pen.fillRect(x, height - 4, Math.max(1, ((cue.end_ms - cue.start_ms) / 1000 / this.duration) * width - 0.5), 3);
      }
      pen.strokeStyle = colour("text");
      pen.strokeRect((this.from / this.duration) * width + 0.5, 0.5, Math.max(3, (this.span / this.duration) * width - 1), height - 1);
    }

    /* Places of the cues in view. Starts are in order; a long cue that began before is found by looking back. */
    inView() {
      const cues = this.desk.model.cues;
      const [from, to] = [this.from * 1000, (this.from + this.span) * 1000];
      let [low, high] = [0, cues.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cues[middle].start_ms < from) low = middle + 1;
        else high = middle;
      }
      const found = [];
      for (let at = Math.max(0, low - 12); at < cues.length && cues[at].start_ms < to; at += 1)
        if (cues[at].end_ms > from) found.push(at);
      return found;
    }

    #regions(shown, width) {
      const cues = this.desk.model.cues;
      const kept = new Map();
      for (const at of shown) {
        const cue = cues[at];
        const element = this.elements.get(at) || this.#element();
        this.elements.delete(at);
        kept.set(at, element);
        element.dataset.at = at;
        element.classList.toggle("ts-current", at === this.desk.current);
        element.classList.toggle("ts-rejected", cue.rejected);
        element.firstChild.textContent = `${at + 1} ${cue.text}`;
        if (!this.drag || this.drag.element !== element) this.#put(element, cue.start_ms, cue.end_ms, width);
      }
      this.elements.forEach((element) => element.remove());
      this.elements = kept;
    }

    #element() {
      const element = document.createElement("div");
      element.className = "ts-region";
      element.append(document.createElement("span"));
      for (const edge of ["start", "end"]) {
        const handle = document.createElement("i");
        handle.dataset.edge = edge;
        element.append(handle);
      }
      this.layer.append(element);
      return element;
    }

    #put(element, start, end, width) {
      const x = this.#x(start, width);
      element.style.left = `${x}px`;
      element.style.width = `${Math.max(2, this.#x(end, width) - x)}px`;
    }

    /* The position of playback. */
    moveTo(seconds) {
      this.at = seconds;
      if (seconds !== null && (seconds < this.from || seconds > this.from + this.span)) this.look(seconds - this.span / 10, this.span);
      this.#place();
    }

    #place() {
      const hidden = this.at === null || this.at < this.from || this.at > this.from + this.span;
      this.cursor.hidden = hidden;
      if (!hidden) this.cursor.style.left = `${this.#x(this.at * 1000, this.view.clientWidth)}px`;
    }

    #wire() {
      const frame = this.view.parentElement;
      frame.addEventListener("wheel", (event) => {
        event.preventDefault();
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
          this.look(this.from + ((event.deltaX || event.deltaY) / 600) * this.span, this.span);
        else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.seconds(event));
      }, { passive: false });
      frame.addEventListener("pointerdown", (event) => this.#down(event, frame));
      frame.addEventListener("pointermove", (event) => this.#move(event));
      frame.addEventListener("pointerup", (event) => this.#up(event));
      frame.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
      frame.addEventListener("dblclick", (event) => { if (event.target.closest(".ts-region")) this.desk.play(); });
      const jump = (event) => {
        const box = this.all.getBoundingClientRect();
        this.look(((event.clientX - box.left) / box.width) * this.duration - this.span / 2, this.span);
      };
      this.all.addEventListener("pointerdown", (event) => { this.all.setPointerCapture(event.pointerId); jump(event); });
      this.all.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
    }

    #down(event, frame) {
      if (event.button !== 0) return;
      event.preventDefault();  // no text is chosen while an edge moves
      this.desk.keep();
      const region = event.target.closest(".ts-region");
      const at = region ? Number(region.dataset.at) : null;
      const edge = event.target.dataset.edge;
      if (region) this.desk.select(at);
      this.drag = { x: event.clientX, from: this.from, at, edge, moved: false, element: edge ? region : null };
      frame.setPointerCapture(event.pointerId);
    }

    #move(event) {
      const drag = this.drag;
      if (!drag) return;
      const by = ((event.clientX - drag.x) / this.view.clientWidth) * this.span;
      drag.moved ||= Math.abs(event.clientX - drag.x) > 2;
      if (!drag.moved) return;
      if (!drag.edge) {
        this.look(drag.from - by, this.span);
        return;
      }
      const cue = this.desk.model.cues[drag.at];
      const [low, high] = this.desk.model.limits(drag.at, drag.edge);
      const most = Math.min(high, this.duration ? Math.round(this.duration * 1000) : Infinity);
      drag.ms = Math.max(low, Math.min(most, cue[`${drag.edge}_ms`] + Math.round(by * 1000)));
      const [start, end] = drag.edge === "start" ? [drag.ms, cue.end_ms] : [cue.start_ms, drag.ms];
      this.#put(drag.element, start, end, this.view.clientWidth);
      this.desk.draft(start, end);
    }

    #up(event) {
      const drag = this.drag;
      this.drag = null;
      if (!drag) return;
      if (drag.edge && drag.ms !== undefined) this.desk.model.edit(drag.at, { [`${drag.edge}_ms`]: drag.ms });
      else if (!drag.moved && drag.at === null) this.moveTo(this.seconds(event));
      this.draw();
    }
  };
})();
