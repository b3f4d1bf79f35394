/* Live conversion: microphone -> socket -> speaker. The page calls TS.liveStart(options) and TS.liveStop(). */
(() => {
  let now = null; // { socket, context, media, node, blocks, gaps }

  const tell = (key, values = {}) => {
    const box = document.querySelector("#live-told");
    if (!box) return;
    let text = TS.t(key);
    for (const [name, value] of Object.entries(values)) text = text.replace(`{${name}}`, value);
    box.textContent = text;
    box.dataset.state = key;
  };

  TS.liveStop = () => {
    if (!now) return;
    const ending = now;
    now = null;
    ending.socket.close();
    ending.media?.getTracks().forEach((track) => track.stop());
    ending.context?.close();
    tell("live_stopped");
  };

  TS.liveStart = async (options) => {
    TS.liveStop();
    if (!options.voice) return tell("live_no_voice");
    const context = new AudioContext({ latencyHint: "interactive" });
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${TS.root}/ui-live`);
    socket.binaryType = "arraybuffer";
    const mine = { socket, context, gaps: 0 };
    now = mine;
    tell("live_loading");
    socket.onopen = () => socket.send(JSON.stringify({ rate_hz: context.sampleRate, options }));
    socket.onclose = () => { if (now === mine) TS.liveStop(); };
    socket.onmessage = async ({ data }) => {
      if (data instanceof ArrayBuffer) {
        mine.node?.port.postMessage({ sound: new Float32Array(data) });
        return;
      }
      const message = JSON.parse(data);
      if (message.type === "error") {
        now = null;
        mine.media?.getTracks().forEach((track) => track.stop());
        context.close();
        const box = document.querySelector("#live-told");
        box.textContent = `${message.error.message} ${message.error.hint}`;
        box.dataset.state = "live_error";
      } else if (message.type === "ready") {
        await open(mine, options);
      } else if (now === mine) {
        tell("live_running", { latency: Math.round(message.latency_ms + mine.aheadMs + 2048000 / context.sampleRate), rtf: message.rtf.toFixed(2),
                               gaps: mine.gaps, late: message.late });
      }
    };
  };

  const open = async (mine, options) => {
    const clean = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      mine.media = await navigator.mediaDevices.getUserMedia({ audio: clean });
    } catch {
      TS.liveStop();
      return tell("live_no_microphone");
    }
    const { context } = mine;
    await context.audioWorklet.addModule(`${TS.root}/ui-assets/live_worklet.js`);
    mine.node = new AudioWorkletNode(context, "timbre-live");
    mine.aheadMs = 60;
    mine.node.port.postMessage({ ahead: Math.round(context.sampleRate * mine.aheadMs / 1000) });
    mine.node.port.onmessage = ({ data }) => {
      if (data.gaps) mine.gaps = data.gaps;
      else if (data.waiting !== undefined) mine.aheadMs = (1000 * data.waiting) / context.sampleRate;
      else if (now === mine && mine.socket.readyState === WebSocket.OPEN) mine.socket.send(data.sound.buffer);
    };
    context.createMediaStreamSource(mine.media).connect(mine.node).connect(context.destination);
    tell("live_listening");
  };
})();
