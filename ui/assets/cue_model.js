/* The cues of one recording in the browser. Every change is a splice, so every change can be undone. */
(() => {
  const KEEP = 500;
  const SAVE_AFTER_MS = 500;

  TS.dataUrl = (name, values) => `${TS.root}/ui-data/${name}?${new URLSearchParams(values)}`;

  TS.askData = async (url, options) => {
    let answer;
    try {
      answer = await fetch(url, options);
    } catch {
      throw new Error(TS.t("unreachable"));
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error([told.error?.message, told.error?.hint].filter(Boolean).join(" ") || TS.t("unreachable"));
  };

  TS.CueModel = class {
    constructor(changed, told) {
      this.changed = changed;  // changed(selected index or null): draw again
      this.told = told;        // told(message): saved, or what went wrong
      this.place = null;
      this.cues = [];
      this.done = [];
      this.undone = [];
      this.version = 0;
      this.origin = -1;
      this.dirty = false;
      this.saving = Promise.resolve(true);
    }

    /* Take over a sheet of the server. The same recording's new cues are one more change that can be undone. */
    take(place, sheet) {
      const same = this.place && this.place.voice === place.voice && this.place.recording === place.recording;
      const before = same ? this.cues : sheet.previous;
      if (!same) [this.done, this.undone] = [[], []];
      this.place = place;
      [this.version, this.origin, this.dirty] = [sheet.version, sheet.origin, false];
      this.cues = sheet.cues;
      if (before.length) {
        this.done.push({ at: 0, removed: before, added: sheet.cues });
        this.undone = [];
      }
      this.changed(this.cues.length ? 0 : null);
    }

    clear() {
      [this.place, this.cues, this.done, this.undone, this.dirty] = [null, [], [], [], false];
      this.changed(null);
    }

    splice(at, count, added, select) {
      const removed = this.cues.slice(at, at + count);
      this.done.push({ at, removed, added });
      if (this.done.length > KEEP) this.done.shift();
      this.undone = [];
      this.#swap(at, count, added, select ?? at);
    }

    undo() {
      const step = this.done.pop();
      if (!step) return;
      this.undone.push(step);
      this.#swap(step.at, step.added.length, step.removed, step.at);
    }

    redo() {
      const step = this.undone.pop();
      if (!step) return;
      this.done.push(step);
      this.#swap(step.at, step.removed.length, step.added, step.at);
    }

    #swap(at, count, added, select) {
      this.cues = [...this.cues.slice(0, at), ...added, ...this.cues.slice(at + count)];
      this.dirty = true;
      this.changed(this.cues.length ? Math.min(select, this.cues.length - 1) : null);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), SAVE_AFTER_MS);
    }

    /* Change some fields of one cue; nothing happens where they are as they were. */
    edit(at, fields) {
      const cue = this.cues[at];
      if (!cue || Object.keys(fields).every((key) => cue[key] === fields[key])) return;
      this.splice(at, 1, [{ ...cue, ...fields }]);
    }

    /* Save now. True once the server has everything. */
    flush() {
      clearTimeout(this.timer);
      this.saving = this.saving.then(() => (this.dirty && this.place ? this.#save() : true));
      return this.saving;
    }

    async #save() {
      const place = this.place;
      this.dirty = false;
      this.told(TS.t("saving"));
      try {
        const answer = await TS.askData(TS.dataUrl("cues", {}), {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...place, version: this.version, cues: this.cues }),
        });
        const { version } = await answer.json();
        if (this.place === place) this.version = version;
        this.told(TS.t("saved"));
        return true;
      } catch (error) {
        if (this.place === place) this.dirty = true;
        this.told(error.message, true);
        return false;
      }
    }

    /* How far a cue may be moved: starts stay in order, and a cue keeps a length that can be grabbed. */
    limits(at, edge) {
      const [before, cue, after] = [this.cues[at - 1], this.cues[at], this.cues[at + 1]];
      if (edge === "start") return [before ? before.start_ms : 0, cue.end_ms - 50];
      return [cue.start_ms + 50, Infinity];
    }

    split(at, ms, offset) {
      const cue = this.cues[at];
      if (!cue || ms <= cue.start_ms || ms >= cue.end_ms) return;
      const text = cue.text;
      const cut = offset ?? wordBreak(text, (ms - cue.start_ms) / (cue.end_ms - cue.start_ms));
      this.splice(at, 1, [
        { ...cue, end_ms: ms, text: text.slice(0, cut).trim() },
        { ...cue, start_ms: ms, text: text.slice(cut).trim(), index: null, notes: [] },
      ]);
    }

    merge(at) {
      const [cue, next] = [this.cues[at], this.cues[at + 1]];
      if (!next) return;
      this.splice(at, 2, [{
        ...cue,
        end_ms: Math.max(cue.end_ms, next.end_ms),
        text: joined(cue.text, next.text),
        speaker: cue.speaker === next.speaker ? cue.speaker : "",
        rejected: cue.rejected && next.rejected,
        notes: [...cue.notes, ...next.notes],
      }]);
    }

    remove(at) {
      if (this.cues[at]) this.splice(at, 1, []);
    }
  };

  const WIDE = /[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef\u3000-\u303f]/;

  const joined = (left, right) => {
    const tight = WIDE.test(left.slice(-1)) || WIDE.test(right.slice(0, 1)) || !left || !right;
    return left + (tight ? "" : " ") + right;
  };

  /* Where to break a text at a share of its length: at the nearest space, if there is one near. */
  const wordBreak = (text, share) => {
    const want = Math.round(text.length * share);
    for (let by = 0; by < 24; by += 1) {
      if (text[want - by] === " ") return want - by;
      if (text[want + by] === " ") return want + by;
    }
    return want;
  };

  TS.clockMs = (ms) => {
    const [s, m, h] = [ms / 1000 % 60, Math.floor(ms / 60000) % 60, Math.floor(ms / 3600000)];
    const two = (n) => String(n).padStart(2, "0");
    return `${h ? `${h}:${two(m)}` : m}:${s.toFixed(3).padStart(6, "0")}`;
  };

  TS.parseClock = (text) => {
    const parts = text.trim().replace(",", ".").split(":").map((part) => Number(part || "x"));
    if (!parts.length || parts.length > 3 || parts.some((n) => !(n >= 0))) return null;
    return Math.round(1000 * parts.reduce((sum, n) => sum * 60 + n, 0));
  };
})();
