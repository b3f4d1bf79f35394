/* The pitch of a source over its spectrogram: drawn with the pointer, corrected in a selection, heard, saved by itself.

   Only what is in sight is drawn, and pictures come a minute at a time, so a song of any length stays light. */
(() => {
  const [HOP_S, BLOCK_S, COLUMNS_PER_S, ROWS, LOWEST, OCTAVES] = [512 / 44100, 60, 50, 144, 55, 5];
  const LEAST_SPAN_S = 0.5;
  const SAVE_AFTER_MS = 400;

  /* Pictures of minutes, asked for where one looks. */
  class Spectrum {
    constructor(arrived) { this.arrived = arrived; this.open(null); }

    open(source) { [this.source, this.blocks] = [source, new Map()]; }

    get(index) {
      const kept = this.blocks.get(index);
      if (!kept) this.#load(index);
      return kept?.data ? kept : null;
    }

    async #load(index) {
      const source = this.source;
      this.blocks.set(index, {});
      try {
        const answer = await TS.askData(TS.dataUrl("spectrum", { source, block: index }));
        const data = new Uint8Array(await answer.arrayBuffer());
        if (this.source === source) this.blocks.set(index, { data, columns: data.length / ROWS });
      } catch { /* without its picture a pitch can still be edited */ }
      if (this.source === source) this.arrived();
    }

    image(block, colour) {
      if (block.colour === colour) return block.canvas;
      const canvas = Object.assign(document.createElement("canvas"), { width: Math.max(1, block.columns), height: ROWS });
      const pen = canvas.getContext("2d");
      const image = pen.createImageData(canvas.width, ROWS);
      const [r, g, b] = colour;
      for (let row = 0; row < ROWS; row += 1)
        for (let x = 0; x < block.columns; x += 1) {
          const at = 4 * ((ROWS - 1 - row) * canvas.width + x);
          const level = block.data[row * block.columns + x] / 255;
          image.data.set([r, g, b, 200 * level * level], at);
        }
      pen.putImageData(image, 0, 0);
      [block.canvas, block.colour] = [canvas, colour];
      return canvas;
    }
  }

  TS.PitchEditor = class {
    constructor(root) {
      this.root = root;
      this.part = (name) => root.querySelector(`[data-pitch=${name}]`);
      [this.view, this.all, this.audio] = [this.part("view"), this.part("all"), this.part("audio")];
      this.spectrum = new Spectrum(() => this.draw());
      this.tool = "draw";
      [this.from, this.span, this.at, this.chosen] = [0, 20, 0, null];
      this.saving = Promise.resolve(true);
      new ResizeObserver(() => this.draw()).observe(this.view);
      new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
      this.#wire();
      this.#buttons();
    }

    /* What the server says is to be edited; its pitch is fetched again when another was found. */
    async follow({ source, stamp, sound }) {
      if (this.source === source && this.stamp === stamp) return;
      await this.flush();
      if (this.source !== source) {
        this.audio.pause();
        if (sound) this.audio.src = sound;
        else this.audio.removeAttribute("src");
        this.spectrum.open(source);
        [this.from, this.at, this.chosen] = [0, 0, null];
      }
      [this.source, this.stamp, this.model] = [source, stamp, null];
      if (source && stamp) {
        try {
          const answer = await TS.askData(TS.dataUrl("pitch", { source }));
          const f0 = new Float32Array(await answer.arrayBuffer());
          if (this.source !== source || this.stamp !== stamp) return;
          this.model = new TS.PitchModel(f0);
          this.span = Math.min(20, this.duration);
          this.say("");
        } catch (error) { this.say(error.message, true); }
      }
      this.root.classList.toggle("ts-none", !this.model);
      if (this.model) this.part("file").href = TS.dataUrl("pitch-file", { source });
      this.#buttons();
      this.draw();
    }

    get duration() { return this.model ? this.model.f0.length * HOP_S : 0; }
    frame(seconds) { return Math.round(seconds / HOP_S - 0.5); }

    look(from, span) {
      this.span = Math.max(LEAST_SPAN_S, Math.min(span, this.duration || 20));
      this.from = Math.max(0, Math.min(from, this.duration - this.span));
      this.draw();
    }

    zoom(factor, centre = this.from + this.span / 2) {
      const span = Math.max(LEAST_SPAN_S, Math.min(this.span * factor, this.duration || 20));
      this.look(centre - (span * (centre - this.from)) / this.span, span);
    }

    say(text, bad = false) {
      this.part("state").textContent = text;
      this.part("state").classList.toggle("ts-badword", bad);
    }

    /* Frames that an action is about: the selection, or all. */
    range() {
      if (!this.chosen) return [0, this.model.f0.length];
      const [a, b] = this.chosen.map((s) => this.frame(s));
      return [Math.max(0, Math.min(a, b)), Math.min(this.model.f0.length, Math.max(a, b) + 1)];
    }

    do(name) {
      if (!this.model) return;
      const acts = {
        up: () => this.model.scale(...this.range(), 2), down: () => this.model.scale(...this.range(), 0.5),
        fix: () => this.model.fixOctaves(...this.range()), smooth: () => this.model.smooth(...this.range()),
        unvoice: () => this.chosen && this.model.unvoice(...this.range()),
        undo: () => this.model.undo(), redo: () => this.model.redo(),
      };
      const moves = {
        play: () => this.play(), in: () => this.zoom(0.5), out: () => this.zoom(2), whole: () => this.look(0, this.duration),
        draw: () => this.#choose("draw"), select: () => this.#choose("select"),
        tone: () => { this.tone = !this.tone; this.#buttons(); },
      };
      if (moves[name]) moves[name]();
      else if (acts[name]?.()) this.changed();
      this.#buttons();
    }

    #choose(tool) {
      this.tool = tool;
      if (tool === "draw") this.chosen = null;
      this.draw();
    }

    changed() {
      this.draw();
      this.#buttons();
      this.say(TS.t("saving"));
      clearTimeout(this.timer);
      this.dirty = true;
      this.timer = setTimeout(() => this.flush(), SAVE_AFTER_MS);
    }

    /* Saves what was drawn; true when nothing is left to save. */
    async flush() {
      clearTimeout(this.timer);
      if (!this.dirty) return this.saving;
      this.dirty = false;
      const [source, f0] = [this.source, this.model.f0.slice()];
      this.saving = TS.askData(TS.dataUrl("pitch", { source }), { method: "PUT", body: f0 }).then(
        () => { this.say(TS.t("saved")); return true; },
        (error) => { this.dirty = true; this.say(error.message, true); return false; });
      return this.saving;
    }

    /* -- hearing */

    play() {
      if (!this.audio.paused) { this.audio.pause(); return; }
      const [start, end] = this.chosen ? [Math.min(...this.chosen), Math.max(...this.chosen)] : [this.at, Infinity];
      this.until = end;
      this.audio.currentTime = start;
      this.audio.play().catch((error) => { if (error.name !== "AbortError") this.say(TS.t("unplayable"), true); });
    }

    #tick() {
      if (this.audio.paused) { this.#hush(); return; }
      this.at = this.audio.currentTime;
      if (this.at >= this.until) this.audio.pause();
      if (this.at < this.from || this.at > this.from + this.span) this.look(this.at - this.span / 10, this.span);
      else this.draw();
      this.#hum(this.tone ? this.model?.f0[this.frame(this.at)] || 0 : 0);
      requestAnimationFrame(() => this.#tick());
    }

    /* The contour as a quiet tone, to hear whether it is the melody. */
    #hum(hz) {
      if (!this.tone) return;
      if (!this.voice) {
        const sound = new AudioContext();
        const [tone, gain] = [sound.createOscillator(), sound.createGain()];
        tone.type = "triangle";
        gain.gain.value = 0;
        tone.connect(gain).connect(sound.destination);
        tone.start();
        this.voice = { sound, tone, gain };
      }
      const { sound, tone, gain } = this.voice;
      if (hz > 0) tone.frequency.setTargetAtTime(hz, sound.currentTime, 0.005);
      gain.gain.setTargetAtTime(hz > 0 ? 0.15 : 0, sound.currentTime, 0.01);
    }

    #hush() {
      this.voice?.sound.close();
      this.voice = null;
      this.#buttons();
      this.draw();
    }

    /* -- drawing */

    draw() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        if (!this.view.clientWidth || !this.model) return;
        const style = getComputedStyle(this.root);
        this.colour = (name) => style.getPropertyValue(`--ts-${name}`).trim();
        this.#drawView();
        this.#drawAll();
      });
    }

    #canvas(canvas) {
      const ratio = window.devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio))
        [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      return [pen, width, height];
    }

    x(seconds, width) { return ((seconds - this.from) / this.span) * width; }
    y(hz, height) { return height - (Math.log2(hz / LOWEST) / OCTAVES) * height; }
    hz(y, height) { return LOWEST * 2 ** (((height - y) / height) * OCTAVES); }

    #drawView() {
      const [pen, width, height] = this.#canvas(this.view);
      this.#drawSpectrum(pen, width, height);
      this.#drawScale(pen, width, height);
      if (this.chosen) {
        const [a, b] = this.chosen.map((s) => this.x(s, width));
        pen.fillStyle = this.colour("accent");
        pen.globalAlpha = 0.18;
        pen.fillRect(Math.min(a, b), 0, Math.max(1, Math.abs(b - a)), height);
        pen.globalAlpha = 1;
      }
      pen.strokeStyle = this.colour("curve-a");
      pen.lineWidth = 2;
      this.#contour(pen, width, height, this.from, this.span);
      pen.fillStyle = this.colour("text");
      pen.fillRect(this.x(this.at, width), 0, 1, height);
    }

    #drawSpectrum(pen, width, height) {
      const hex = this.colour("text").replace("#", "");
      const key = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
      if (String(key) !== String(this.ink)) this.ink = key;
      for (let block = Math.floor(this.from / BLOCK_S); block * BLOCK_S < Math.min(this.from + this.span, this.duration); block += 1) {
        const found = this.spectrum.get(block);
        if (!found || !found.columns) continue;
        const wide = (found.columns / COLUMNS_PER_S / this.span) * width;
        pen.drawImage(this.spectrum.image(found, this.ink), this.x(block * BLOCK_S, width), 0, wide, height);
      }
    }

    #drawScale(pen, width, height) {
      pen.font = "10px system-ui, sans-serif";
      for (let octave = 1; octave < OCTAVES; octave += 1) {
        const hz = LOWEST * 2 ** octave;
        pen.fillStyle = this.colour("line");
        pen.fillRect(0, Math.round(this.y(hz, height)), width, 1);
        pen.fillStyle = this.colour("muted");
        pen.fillText(`${hz} Hz`, 4, this.y(hz, height) - 3);
      }
      const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600].find((s) => (s / this.span) * width > 60) || 1800;
      for (let s = Math.ceil(this.from / step) * step; s < this.from + this.span; s += step) {
        pen.fillRect(this.x(s, width), height - 5, 1, 5);
        pen.fillText(step < 1 ? s.toFixed(1) : `${Math.floor(s / 60)}:${String(Math.round(s % 60)).padStart(2, "0")}`, this.x(s, width) + 3, height - 3);
      }
    }

    /* One point a frame where frames are wider than pixels, else the span of each pixel's frames. */
    #contour(pen, width, height, from, span) {
      const f0 = this.model.f0;
      const perPixel = span / HOP_S / width;
      const [first, last] = [Math.max(0, Math.floor(from / HOP_S) - 1), Math.min(f0.length, Math.ceil((from + span) / HOP_S) + 1)];
      pen.beginPath();
      if (perPixel <= 1) {
        for (let i = first; i < last; i += 1) {
          if (!(f0[i] > 0)) continue;
          const [x, y] = [(((i + 0.5) * HOP_S - from) / span) * width, this.y(f0[i], height)];
          if (i > first && f0[i - 1] > 0) pen.lineTo(x, y);
          else { pen.moveTo(x - 0.5, y); pen.lineTo(x + 0.5, y); }
        }
      } else {
        for (let x = 0; x < width; x += 1) {
          let [low, high] = [Infinity, 0];
          const end = Math.min(f0.length, Math.floor((from + ((x + 1) / width) * span) / HOP_S));
          for (let i = Math.max(0, Math.floor((from + (x / width) * span) / HOP_S)); i < end; i += 1)
            if (f0[i] > 0) { low = Math.min(low, f0[i]); high = Math.max(high, f0[i]); }
          if (high) { pen.moveTo(x + 0.5, this.y(low, height) + 0.7); pen.lineTo(x + 0.5, this.y(high, height) - 0.7); }
        }
      }
      pen.stroke();
    }

    #drawAll() {
      const [pen, width, height] = this.#canvas(this.all);
      pen.strokeStyle = this.colour("muted");
      pen.lineWidth = 1;
      this.#contour(pen, width, height, 0, this.duration);
      pen.strokeStyle = this.colour("text");
      pen.strokeRect((this.from / this.duration) * width + 0.5, 0.5, Math.max(3, (this.span / this.duration) * width - 1), height - 1);
    }

    /* -- hands */

    #wire() {
      this.root.addEventListener("click", (event) => {
        const button = event.target.closest("[data-do]");
        if (button) this.do(button.dataset.do);
      });
      this.view.addEventListener("wheel", (event) => {
        event.preventDefault();
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
          this.look(this.from + ((event.deltaX || event.deltaY) / 600) * this.span, this.span);
        else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.#place(event)[0]);
      }, { passive: false });
      this.view.addEventListener("pointerdown", (event) => this.#down(event));
      this.view.addEventListener("pointermove", (event) => this.#move(event));
      for (const name of ["pointerup", "pointercancel"]) this.view.addEventListener(name, () => this.#up());
      const jump = (event) => {
        const box = this.all.getBoundingClientRect();
        this.look(((event.clientX - box.left) / box.width) * this.duration - this.span / 2, this.span);
      };
      this.all.addEventListener("pointerdown", (event) => { this.all.setPointerCapture(event.pointerId); jump(event); });
      this.all.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
      this.audio.addEventListener("play", () => { this.#buttons(); this.#tick(); });
      this.root.addEventListener("keydown", (event) => this.#key(event));
      addEventListener("beforeunload", (event) => { if (this.dirty) event.preventDefault(); });
    }

    /* [seconds, Hz] under the pointer. */
    #place(event) {
      const box = this.view.getBoundingClientRect();
      return [this.from + ((event.clientX - box.left) / box.width) * this.span, this.hz(event.clientY - box.top, box.height)];
    }

    #down(event) {
      if (event.button !== 0 || !this.model) return;
      this.view.setPointerCapture(event.pointerId);
      const [seconds, hz] = this.#place(event);
      this.at = Math.max(0, Math.min(seconds, this.duration));
      if (this.tool === "select") this.chosen = [this.at, this.at];
      else this.model.begin();
      this.hand = { frame: this.frame(seconds), hz, moved: false };
      this.draw();
    }

    #move(event) {
      if (!this.hand) return;
      const [seconds, hz] = this.#place(event);
      const frame = this.frame(seconds);
      if (this.tool === "select") this.chosen[1] = Math.max(0, Math.min(seconds, this.duration));
      else this.model.line(this.hand.frame, this.hand.hz, frame, hz);
      this.hand = { frame, hz, moved: true };
      this.draw();
    }

    #up() {
      const hand = this.hand;
      this.hand = null;
      if (!hand) return;
      if (this.tool === "select" && Math.abs(this.chosen[1] - this.chosen[0]) < HOP_S) this.chosen = null;
      if (this.tool === "draw" && this.model.end()) this.changed();
      this.draw();
      this.#buttons();
    }

    #key(event) {
      if (event.altKey || !this.model) return;
      const undo = (event.ctrlKey || event.metaKey) && { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
      if ((event.ctrlKey || event.metaKey) && !undo) return;
      if ((event.key === " " || event.key === "Enter") && event.target.closest("button, a")) return;
      const acts = { " ": "play", d: "draw", s: "select", ArrowUp: "up", ArrowDown: "down", Delete: "unvoice", m: "smooth", o: "fix", "+": "in", "-": "out" };
      const name = undo || acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        this.look(this.from + (event.key === "ArrowLeft" ? -1 : 1) * this.span * 0.2, this.span);
        event.preventDefault();
      } else if (name) { this.do(name); event.preventDefault(); }
    }

    #buttons() {
      const off = { undo: !this.model?.past.length, redo: !this.model?.future.length, unvoice: !this.chosen };
      const on = { draw: this.tool === "draw", select: this.tool === "select", tone: Boolean(this.tone), play: !this.audio.paused };
      for (const button of this.root.querySelectorAll("button[data-do]")) {
        const name = button.dataset.do;
        button.disabled = !this.model || Boolean(off[name]);
        if (name in on) button.setAttribute("aria-pressed", String(on[name]));
      }
    }
  };

  TS.openPitch = (element) => {
    TS.pitch = new TS.PitchEditor(element.querySelector(".ts-pitch"));
    TS.feedPitch?.();
  };

  /* A part that the server draws anew whenever another source, or another found pitch, is to be shown. */
  TS.pitchFeed = (element, watch) => {
    TS.feedPitch = () => { const feed = element.querySelector("[data-stamp]"); if (feed && TS.pitch) TS.pitch.follow(feed.dataset); };
    watch("value", TS.feedPitch);
    TS.feedPitch();
  };

  /* Before a conversion: what was drawn is saved, and the first value becomes the speakers' curves. */
  TS.beforeConvert = async (values) => {
    if (TS.pitch && !(await TS.pitch.flush())) throw new Error(TS.t("pitch_unsaved"));
    return [TS.mix ? TS.mix.value() : "", ...values.slice(1)];
  };
})();
