/* Speech while it is made: samples are fetched and laid one behind the other on the audio clock, so that nothing lies
   between them. A stop is heard at once and tells the server by closing the connection. */
(() => {
  const STATES = { waiting: "speech_waiting", speaking: "speech_speaking", stopped: "speech_stopped",
                   done: "speech_done", failed: "speech_failed" };
  const LEAD_S = 0.06; // before the first sound: room for the second piece to arrive
  const box = () => document.querySelector("#speech-live");
  const show = (name, text) => { const at = box()?.querySelector(`[data-live="${name}"]`); if (at) at.textContent = text; };
  let now = null;

  class Player {
    constructor(rate) {
      this.audio = new AudioContext({ sampleRate: rate });
      this.rate = rate;
      this.next = 0;
      this.gaps = 0;
      this.laid = []; // [start on the audio clock, length], s
      this.sources = new Set();
    }

    lay(samples) {
      const data = new Float32Array(samples.length);
      for (let i = 0; i < samples.length; i += 1) data[i] = samples[i] / 32768;
      const buffer = this.audio.createBuffer(1, data.length, this.rate);
      buffer.copyToChannel(data, 0);
      const source = this.audio.createBufferSource();
      source.buffer = buffer;
      source.connect(this.audio.destination);
      if (this.next < this.audio.currentTime) {
        if (this.next) this.gaps += 1; // it was not made in time
        this.next = this.audio.currentTime + LEAD_S;
      }
      source.start(this.next);
      this.laid.push([this.next, data.length / this.rate]);
      this.next += data.length / this.rate;
      this.sources.add(source);
      source.onended = () => this.sources.delete(source);
    }

    get ahead() { return Math.max(0, this.next - this.audio.currentTime); }

    stop() {
      this.sources.forEach((source) => source.stop());
      this.audio.close();
    }
  }

  const draw = (wave) => {
    const canvas = box()?.querySelector("canvas");
    if (!canvas) return;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const scale = window.devicePixelRatio || 1;
    canvas.width = w * scale;
    canvas.height = h * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = getComputedStyle(canvas).color;
    const columns = Math.floor(w / 2);
    const first = Math.max(0, wave.length - columns);
    for (let i = first; i < wave.length; i += 1) {
      const tall = Math.max(1, wave[i] * h);
      pen.fillRect((i - first) * 2, (h - tall) / 2, 1.5, tall);
    }
  };

  // One column for each 20 ms, its height the loudest sample there.
  const addWave = (state, samples) => {
    const block = Math.round(state.player.rate / 50);
    for (let i = 0; i < samples.length; i += 1) {
      state.peak = Math.max(state.peak, Math.abs(samples[i]) / 32768);
      state.filled += 1;
      if (state.filled === block) {
        state.wave.push(state.peak);
        state.peak = 0;
        state.filled = 0;
      }
    }
  };

  const figures = (state) => {
    const seconds = state.received / state.player.rate;
    const spent = (performance.now() - state.began) / 1000;
    show("first", `${(state.first / 1000).toFixed(2)} s`);
    show("length", `${seconds.toFixed(1)} s`);
    show("rtf", (state.done ? state.work : spent) / seconds > 0 ? ((state.done ? state.work : spent) / seconds).toFixed(2) : "–");
    show("ahead", `${state.player.ahead.toFixed(1)} s`);
    show("gaps", String(state.player.gaps));
    draw(state.wave);
  };

  const finish = (state, words) => {
    state.over = true;
    clearInterval(state.timer);
    box()?.setAttribute("data-state", words);
    show("state", TS.t(STATES[words]));
    TS.pulse(); // the take is there: the list is drawn again
  };

  const stop = () => {
    if (!now || now.over) return;
    now.stopped = true;
    now.abort.abort();
    now.player?.stop();
    finish(now, "stopped");
  };

  const told = async (response) => {
    try {
      const { error } = await response.json();
      return [error.message, error.hint].filter(Boolean).join(" ");
    } catch {
      return `${TS.t(STATES.failed)} (${response.status})`;
    }
  };

  const speak = async (ticket) => {
    if (!ticket) return;
    stop();
    const state = { abort: new AbortController(), began: performance.now(), first: 0, received: 0, sum: 0, wave: [],
                    peak: 0, filled: 0, player: null, over: false, done: false, stopped: false, work: 0, rest: null };
    now = state;
    TS.speech.last = state;
    box()?.setAttribute("data-state", "waiting");
    ["first", "length", "rtf", "ahead", "gaps"].forEach((name) => show(name, "–"));
    show("state", TS.t(STATES.waiting));
    try {
      const response = await fetch(`${TS.root}/ui-data/speech/${ticket}`, { signal: state.abort.signal });
      if (!response.ok) {
        finish(state, "failed");
        show("state", await told(response));
        return;
      }
      state.player = new Player(Number(response.headers.get("x-sample-rate")));
      state.take = response.headers.get("x-take");
      box()?.setAttribute("data-state", "speaking");
      show("state", TS.t(STATES.speaking));
      show("seed", response.headers.get("x-seed"));
      state.timer = setInterval(() => figures(state), 100);
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        take(state, value);
      }
      state.done = true;
      state.work = (performance.now() - state.began) / 1000;
      figures(state);
      TS.pulse();
      const rest = () => {
        if (state.stopped) return;
        figures(state);
        if (state.player.ahead > 0) setTimeout(rest, 100);
        else { state.player.audio.close(); finish(state, "done"); }
      };
      rest();
    } catch (error) {
      if (state.stopped) return;
      finish(state, "failed");
    }
  };

  // Pieces of the network need not end where a sample does.
  const take = (state, value) => {
    let bytes = value;
    if (state.rest) {
      bytes = new Uint8Array(value.length + 1);
      bytes[0] = state.rest[0];
      bytes.set(value, 1);
      state.rest = null;
    }
    if (bytes.length % 2) {
      state.rest = bytes.slice(-1);
      bytes = bytes.subarray(0, -1);
    }
    if (!bytes.length) return;
    const samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    if (!state.first) state.first = performance.now() - state.began;
    state.received += samples.length;
    for (let i = 0; i < samples.length; i += 1) state.sum += samples[i];
    addWave(state, samples);
    state.player.lay(samples);
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("#speech-stop")) stop();
  });
  window.addEventListener("pagehide", stop);
  TS.speech = { speak, stop, last: null };
})();
