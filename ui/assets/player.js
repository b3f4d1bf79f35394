/* Players: a waveform that shows and sets the position, and a switch between recordings of the same length
   (before, after) that keeps it. One plays at a time. */
(() => {
  const part = (audio) => audio.closest(".ts-player");

  const cursor = (audio) => {
    const line = part(audio)?.querySelector(".ts-cursor");
    if (line && audio.duration > 0) line.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
  };

  document.addEventListener("timeupdate", (event) => {
    if (event.target.tagName === "AUDIO") cursor(event.target);
  }, true);
  document.addEventListener("play", (event) => {
    document.querySelectorAll("audio").forEach((other) => other !== event.target && other.pause());
  }, true);

  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-source]");
    if (choice && choice.closest(".ts-player")) {
      const box = choice.closest(".ts-player");
      const audio = box.querySelector("audio");
      const [at, playing] = [audio.currentTime, !audio.paused];
      box.querySelectorAll("[data-source]").forEach((b) => b.setAttribute("aria-pressed", String(b === choice)));
      box.querySelectorAll("[data-wave]").forEach((w) => { w.hidden = w.dataset.wave !== choice.dataset.name; });
      audio.src = choice.dataset.source;
      audio.addEventListener("loadedmetadata", () => {
        audio.currentTime = Math.min(at, audio.duration || at);
        if (playing) audio.play();
      }, { once: true });
      audio.load();
      return;
    }
    // A row of a table that can be heard: the table's one player plays it.
    const hear = event.target.closest("[data-hear]");
    if (hear) {
      const audio = hear.closest(".ts-table-box").parentElement.querySelector("audio.ts-hear");
      const same = audio.getAttribute("src") === hear.dataset.hear;
      if (same && !audio.paused) return audio.pause();
      if (!same) audio.src = hear.dataset.hear;
      audio.play();
      return;
    }
    const wave = event.target.closest(".ts-player .ts-waves");
    if (wave) {
      const audio = wave.closest(".ts-player").querySelector("audio");
      const box = wave.getBoundingClientRect();
      if (audio.duration > 0) audio.currentTime = (audio.duration * (event.clientX - box.left)) / box.width;
    }
  });

  TS.playIn = (selector) => {
    const audio = document.querySelector(`${selector} audio`);
    if (!audio) return;
    if (audio.paused) audio.play();
    else audio.pause();
  };
})();
