/* A pitch contour that can be edited: Hz per frame, 0 where unvoiced. No page here, so that it can be tested alone. */
(() => {
  const MOST_UNDO = 200;
  const [LOWEST, HIGHEST] = [50, 1100];
  const inRange = (hz) => hz >= LOWEST && hz <= HIGHEST;

  TS.PitchModel = class {
    constructor(f0) {
      this.f0 = f0;
      [this.past, this.future] = [[], []];
      this.open = null;
    }

    /* A stroke: everything between begin and end is one step of undo. */
    begin() { this.open = this.f0.slice(); }

    end() {
      const before = this.open;
      this.open = null;
      if (!before) return false;
      let [from, to] = [0, this.f0.length];
      while (from < to && before[from] === this.f0[from]) from += 1;
      while (to > from && before[to - 1] === this.f0[to - 1]) to -= 1;
      if (from === to) return false;
      this.past.push({ from, was: before.slice(from, to), now: this.f0.slice(from, to) });
      if (this.past.length > MOST_UNDO) this.past.shift();
      this.future = [];
      return true;
    }

    #step(source, target, side) {
      const change = source.pop();
      if (!change) return false;
      this.f0.set(change[side], change.from);
      target.push(change);
      return true;
    }

    undo() { return this.#step(this.past, this.future, "was"); }
    redo() { return this.#step(this.future, this.past, "now"); }

    edit(change) {
      this.begin();
      change();
      return this.end();
    }

    /* A straight line in pitch (as the ear hears it) between two frames. */
    line(from, fromHz, to, toHz) {
      const [a, b] = from <= to ? [from, to] : [to, from];
      const [low, high] = from <= to ? [fromHz, toHz] : [toHz, fromHz];
      for (let i = Math.max(0, a); i <= Math.min(this.f0.length - 1, b); i += 1) {
        const share = b > a ? (i - a) / (b - a) : 0;
        this.f0[i] = Math.min(HIGHEST, Math.max(LOWEST, low * (high / low) ** share));
      }
    }

    /* Frames whose new pitch no voice reaches stay as they are. */
    scale(from, to, factor) {
      return this.edit(() => {
        for (let i = from; i < to; i += 1) if (this.f0[i] > 0 && inRange(this.f0[i] * factor)) this.f0[i] *= factor;
      });
    }

    unvoice(from, to) { return this.edit(() => this.f0.fill(0, from, to)); }

    put(f0) { return this.edit(() => this.f0.set(f0.subarray(0, this.f0.length))); }

    /* The mean of log pitch over a tenth of a second, within each voiced run. */
    smooth(from, to, reach = 4) {
      return this.edit(() => {
        const was = this.f0.slice();
        for (let i = from; i < to; i += 1) {
          if (!(was[i] > 0)) continue;
          let [sum, n] = [Math.log2(was[i]), 1];
          for (const by of [-1, 1])
            for (let k = 1; k <= reach && was[i + by * k] > 0; k += 1) { sum += Math.log2(was[i + by * k]); n += 1; }
          this.f0[i] = 2 ** (sum / n);
        }
      });
    }

    /* Frames about an octave away from the middle pitch of the second around them come back to it. */
    fixOctaves(from, to, reach = 43) {
      return this.edit(() => {
        const was = this.f0.slice();
        for (let i = from; i < to; i += 1) {
          if (!(was[i] > 0)) continue;
          const near = was.subarray(Math.max(0, i - reach), i + reach + 1).filter((hz) => hz > 0).sort();
          const octaves = Math.log2(was[i] / near[near.length >> 1]);
          const by = 2 ** -Math.round(octaves);
          if (Math.abs(octaves) > 0.7 && inRange(was[i] * by)) this.f0[i] = was[i] * by;
        }
      });
    }
  };
})();
