/* The sound thread of live conversion: gathers the microphone into messages, plays what comes back, counts gaps. */
class Live extends AudioWorkletProcessor {
  constructor() {
    super();
    [this.heard, this.n, this.queue, this.at, this.waiting] = [new Float32Array(2048), 0, [], 0, 0];
    [this.ahead, this.first, this.started, this.gaps] = [0, 0, false, 0];
    this.port.onmessage = ({ data }) => {
      if (data.ahead !== undefined) { this.ahead = this.first = data.ahead; return; }
      // What piled up over a stall is left out, or everything would stay late for good.
      if (this.waiting > this.ahead + data.sound.length)
        while (this.queue.length && this.waiting > this.ahead) {
          this.waiting -= this.queue.shift().length - this.at;
          this.at = 0;
        }
      this.port.postMessage({ waiting: this.waiting });
      this.queue.push(data.sound);
      this.waiting += data.sound.length;
    };
  }

  process(inputs, outputs) {
    const [mic, out] = [inputs[0][0], outputs[0][0]];
    if (mic) {
      for (const value of mic) {
        this.heard[this.n++] = value;
        if (this.n === this.heard.length) { this.port.postMessage({ sound: this.heard.slice() }); this.n = 0; }
      }
    }
    // A few samples are gathered before the first is played, so that a late block is not at once a gap.
    if (!this.started && this.waiting > this.ahead) this.started = true;
    if (this.started) {
      for (let i = 0; i < out.length; i++) {
        if (!this.queue.length) {
          this.started = false;
          // What was late once will be late again: a little more is gathered, up to three times as much.
          this.ahead = Math.min(this.ahead + this.first / 2, 3 * this.first);
          this.port.postMessage({ gaps: ++this.gaps });
          break;
        }
        out[i] = this.queue[0][this.at++];
        this.waiting--;
        if (this.at === this.queue[0].length) { this.queue.shift(); this.at = 0; }
      }
    }
    for (let k = 1; k < outputs[0].length; k++) outputs[0][k].set(out);
    return true;
  }
}
registerProcessor("timbre-live", Live);
