/* The page Cutting: the list of cues (only the rows in sight exist), the strip that edits one, keys, playing. */
(() => {
  const ROW = 28;
  const LONG_MS = 15000;

  TS.CueDesk = class {
    constructor(root) {
      this.root = root;
      this.part = (name) => root.querySelector(`[data-desk=${name}]`);
      [this.list, this.rows, this.audio] = [this.part("list"), this.part("rows"), this.part("audio")];
      [this.text, this.start, this.end] = [this.part("text"), this.part("start"), this.part("end")];
      this.current = null;
      this.cuts = new Map();
      this.model = new TS.CueModel((at) => this.changed(at), (message, bad) => this.say(message, bad));
      this.wave = new TS.CueWave(root, this);
      this.#wire();
    }

    /* What the server says is to be shown: a recording of a voice, and how often its cues were replaced. */
    async follow(feed) {
      const { voice, recording, origin } = feed;
      const place = voice && recording ? { voice, recording } : null;
      const same = place && this.model.place?.voice === voice && this.model.place?.recording === recording;
      const fresh = same && String(this.model.origin) === origin;
      if (fresh && this.cutting === feed.cutting) return;
      if (!same) await this.commit();
      this.root.classList.toggle("ts-none", !place);
      if (!fresh) this.stop();
      if (!place) {
        this.wave.open(null, 0);
        this.model.clear();
        return;
      }
      try {
        const sheet = await (await TS.askData(TS.dataUrl("cues", place))).json();
        this.cuts = new Map(sheet.cuts.map((cut) => [`${cut[0]}-${cut[1]}`, cut]));
        this.cutting = feed.cutting;
        if (fresh) {
          this.wave.draw();
          return;
        }
        this.length = sheet.duration_s;
        if (!same) this.wave.open(place, sheet.duration_s || Math.max(30, ...sheet.cues.map((c) => c.end_ms / 1000)));
        this.current = null;
        this.model.take(place, sheet);
        this.say("");
      } catch (error) {
        this.say(error.message, true);
      }
    }

    /* Keep what is being typed, then save. */
    async commit() {
      this.keep();
      return this.model.flush();
    }

    changed(at) {
      if (at !== null) this.#mark(at);
      else this.current = null;
      this.part("empty").hidden = this.model.cues.length > 0;
      this.part("count").textContent = this.model.cues.length ? String(this.model.cues.length) : "";
      this.rows.style.height = `${this.model.cues.length * ROW}px`;
      this.#strip();
      this.#draw(at !== null);
      this.wave.draw();
      this.#buttons();
    }

    select(at) {
      if (at === this.current || !this.model.cues[at]) return;
      this.keep();
      this.stop();
      this.#mark(at);
      this.#strip();
      this.#draw(true);
      this.#buttons();
    }

    #mark(at) {
      this.current = at;
      this.wave.show(this.model.cues[at]);
    }

    step(by) {
      if (this.model.cues.length)
        this.select(Math.max(0, Math.min(this.model.cues.length - 1, (this.current ?? -1) + by)));
    }

    /* While an edge moves. */
    draft(start, end) {
      [this.start.value, this.end.value] = [TS.clockMs(start), TS.clockMs(end)];
      this.part("length").textContent = `${((end - start) / 1000).toFixed(2)} s`;
    }

    #strip() {
      const cue = this.model.cues[this.current];
      for (const field of [this.text, this.start, this.end]) field.disabled = !cue;
      this.text.value = cue ? cue.text : "";
      if (cue) this.draft(cue.start_ms, cue.end_ms);
      else [this.start.value, this.end.value, this.part("length").textContent] = ["", "", ""];
      const notes = cue ? this.notes(this.current) : [];
      this.part("notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    }

    /* What is to be known about a cue: what the reader of the file said, and what can be seen from here. */
    notes(at) {
      const [before, cue] = [this.model.cues[at - 1], this.model.cues[at]];
      const found = [...cue.notes];
      if (before && before.end_ms > cue.start_ms) found.push(TS.t("overlaps"));
      if (cue.end_ms - cue.start_ms > LONG_MS) found.push(TS.t("long_cue"));
      if (this.length && cue.end_ms > this.length * 1000 + 1) found.push(TS.t("past_end"));
      if (!cue.text.trim()) found.push(TS.t("no_words"));
      return found;
    }

    /* Take what stands in the fields. Times that cannot be read, or that leave the order, go back to what they were. */
    keep() {
      const at = this.current;
      const cue = this.model.cues[at];
      if (!cue) return;
      const fields = { text: this.text.value.replace(/\s+/g, " ").trim() };
      for (const edge of ["start", "end"]) {
        const ms = TS.parseClock(this[edge].value);
        const [low, high] = this.model.limits(at, edge);
        if (ms !== null && ms >= low && ms <= high) fields[`${edge}_ms`] = ms;
      }
      if ((fields.end_ms ?? cue.end_ms) <= (fields.start_ms ?? cue.start_ms)) delete fields.start_ms;
      this.model.edit(at, fields);
    }

    #draw(follow) {
      const n = this.model.cues.length;
      const box = this.list;
      if (follow && this.current !== null) {
        const top = this.current * ROW;
        if (top < box.scrollTop) box.scrollTop = top;
        else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
      }
      const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 3);
      const last = Math.min(n, Math.ceil((box.scrollTop + (box.clientHeight || 300)) / ROW) + 3);
      const made = [];
      for (let at = first; at < last; at += 1) made.push(this.#row(at));
      this.rows.replaceChildren(...made);
      this.list.setAttribute("aria-activedescendant", this.current === null ? "" : `cue-${this.current}`);
      this.list.setAttribute("aria-rowcount", n);
    }

    #row(at) {
      const cue = this.model.cues[at];
      const row = document.createElement("div");
      row.id = `cue-${at}`;
      row.dataset.cue = at;
      row.className = `ts-cue${cue.rejected ? " ts-rejected" : ""}`;
      row.style.top = `${at * ROW}px`;
      row.setAttribute("role", "row");
      row.setAttribute("aria-rowindex", at + 1);
      row.setAttribute("aria-selected", String(at === this.current));
      const notes = this.notes(at);
      const cells = [
        ["ts-num ts-muted", String(at + 1)],
        ["ts-num", TS.clockMs(cue.start_ms)],
        ["ts-num", TS.clockMs(cue.end_ms)],
        ["ts-num", `${((cue.end_ms - cue.start_ms) / 1000).toFixed(1)} s`],
        ["ts-ell ts-cue-text", cue.text],
        ["ts-ell ts-cue-note", notes.join(" ")],
        ["", cue.rejected ? TS.t("rejected") : ""],
      ];
      row.append(...cells.map(([kind, text]) => {
        const cell = document.createElement("span");
        cell.setAttribute("role", "gridcell");
        [cell.className, cell.textContent] = [kind, text];
        return cell;
      }));
      if (notes.length) row.children[5].title = notes.join("\n");
      if (cue.rejected) row.lastChild.className = "ts-badge ts-bad";
      return row;
    }

    #buttons() {
      const [at, n] = [this.current, this.model.cues.length];
      const none = at === null;
      const off = {
        play: none, split: none, delete: none, accept: none, reject: none,
        merge: none || at + 1 >= n, undo: !this.model.done.length, redo: !this.model.undone.length,
      };
      for (const [name, value] of Object.entries(off)) this.root.querySelector(`[data-do=${name}]`).disabled = value;
    }

    say(message, bad) {
      const line = this.part("state");
      line.textContent = message;
      line.classList.toggle("ts-badword", Boolean(bad));
    }

    play() {
      const cue = this.model.cues[this.current];
      if (!cue) return;
      if (!this.audio.paused) return this.audio.pause();
      this.keep();
      const now = this.model.cues[this.current];
      const key = `${now.start_ms}-${now.end_ms}`;
      if (this.audio.dataset.key !== key || this.audio.ended) {
        this.audio.dataset.key = key;
        this.audio.src = TS.dataUrl("sound", { ...this.model.place, start_ms: now.start_ms, end_ms: now.end_ms });
      }
      this.audio.play().catch((error) => { if (error.name !== "AbortError") this.say(TS.t("unplayable"), true); });
    }

    stop() {
      this.audio.pause();
      this.audio.dataset.key = "";
      this.wave.moveTo(null);
    }

    #playhead() {
      const [start] = (this.audio.dataset.key || "").split("-");
      return start && this.audio.currentTime > 0 ? Number(start) / 1000 + this.audio.currentTime : this.wave.at;
    }

    do(name) {
      const at = this.current;
      const cue = this.model.cues[at];
      const acts = {
        play: () => this.play(),
        split: () => this.#split(at),
        merge: () => { this.keep(); this.model.merge(at); },
        delete: () => this.model.remove(at),
        accept: () => { if (cue) { this.keep(); this.model.edit(at, { rejected: false }); this.step(1); } },
        reject: () => { if (cue) { this.keep(); this.model.edit(at, { rejected: true }); this.step(1); } },
        undo: () => { this.keep(); this.model.undo(); },
        redo: () => this.model.redo(),
        in: () => this.wave.zoom(0.5, cue ? cue.start_ms / 1000 : undefined),
        out: () => this.wave.zoom(2),
        whole: () => this.wave.look(0, Infinity),
      };
      acts[name]?.();
    }

    /* At the caret while one types, else where playback stands, else in the middle. */
    #split(at) {
      const caret = document.activeElement === this.text ? this.text.selectionStart : null;
      this.keep();
      const cue = this.model.cues[at];
      if (!cue) return;
      const length = cue.end_ms - cue.start_ms;
      const head = this.#playhead();
      let ms = cue.start_ms + Math.round(length / 2);
      if (caret > 0 && caret < cue.text.length) ms = cue.start_ms + Math.round((length * caret) / cue.text.length);
      else if (head !== null && head * 1000 > cue.start_ms + 20 && head * 1000 < cue.end_ms - 20) ms = Math.round(head * 1000);
      this.stop();
      this.model.split(at, ms, caret > 0 && caret < cue.text.length ? caret : undefined);
    }

    #wire() {
      this.list.addEventListener("scroll", () => this.#draw(false));
      new ResizeObserver(() => this.#draw(false)).observe(this.list);
      this.list.addEventListener("click", (event) => {
        const row = event.target.closest("[data-cue]");
        if (row) this.select(Number(row.dataset.cue));
        this.list.focus({ preventScroll: true });
      });
      this.list.addEventListener("dblclick", (event) => {
        if (event.target.closest("[data-cue]")) this.text.focus();
      });
      this.root.addEventListener("click", (event) => {
        const button = event.target.closest("[data-do]");
        if (button) this.do(button.dataset.do);
      });
      // A click on Split must find the caret where it was.
      this.root.addEventListener("mousedown", (event) => { if (event.target.closest("[data-do=split]")) event.preventDefault(); });
      for (const field of [this.text, this.start, this.end]) {
        field.addEventListener("change", () => this.keep());
        field.addEventListener("keydown", (event) => {
          if (event.key === "Escape") { this.#strip(); this.list.focus(); }
          if (event.key === "Enter") { event.preventDefault(); this.keep(); this.list.focus(); }
        });
      }
      this.audio.addEventListener("timeupdate", () => {
        const at = this.#playhead();
        if (at !== null && !this.audio.paused) this.wave.moveTo(at);
      });
      this.audio.addEventListener("error", () => { if (this.audio.dataset.key) this.say(TS.t("unplayable"), true); });
      addEventListener("beforeunload", (event) => { if (this.model.dirty) event.preventDefault(); });
      document.addEventListener("keydown", (event) => this.#key(event));
    }

    #key(event) {
      const field = event.target.closest?.("input, textarea, select, [contenteditable=true]");
      if (document.body.dataset.page !== "cutting" || !this.list.offsetParent || field || event.altKey) return;
      const act = event.key === " " || event.key === "Enter";
      if (act && event.target.closest?.("button, a, summary, [role=tab]")) return;
      const undo = (event.ctrlKey || event.metaKey) && { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
      if ((event.ctrlKey || event.metaKey) && !undo) return;
      const acts = {
        ArrowDown: () => this.step(1), ArrowRight: () => this.step(1),
        ArrowUp: () => this.step(-1), ArrowLeft: () => this.step(-1),
        PageDown: () => this.step(10), PageUp: () => this.step(-10),
        Home: () => this.step(-1e9), End: () => this.step(1e9),
        " ": () => this.do("play"), a: () => this.do("accept"), r: () => this.do("reject"), s: () => this.do("split"),
        m: () => this.do("merge"), Delete: () => this.do("delete"), Enter: () => this.text.focus(),
        "+": () => this.do("in"), "-": () => this.do("out"),
      };
      const wanted = undo ? () => this.do(undo) : acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (wanted) { event.preventDefault(); wanted(); }
    }
  };

  TS.openDesk = (element) => {
    TS.desk = new TS.CueDesk(element.querySelector(".ts-desk"));
    TS.feedDesk?.();
  };

  /* A part that the server draws anew whenever another recording, or other cues, are to be shown. */
  TS.deskFeed = (element, watch) => {
    TS.feedDesk = () => { const feed = element.querySelector("[data-origin]"); if (feed && TS.desk) TS.desk.follow(feed.dataset); };
    watch("value", TS.feedDesk);
    TS.feedDesk();
  };

  /* Before a job reads the cues: everything typed so far is saved, or the job is not started. */
  TS.afterSaving = async (values) => {
    if (TS.desk && !(await TS.desk.commit())) throw new Error(TS.t("unsaved"));
    return values;
  };
})();
