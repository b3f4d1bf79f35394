/* Runs before Gradio: language, theme. No other host is ever asked for anything. */
(() => {
  // Gradio words its own controls ("Drop file here") in the browser's language; ours is the page's.
  Object.defineProperty(navigator, "language", { get: () => TS.lang });
  Object.defineProperty(navigator, "languages", { get: () => [TS.lang] });

  // Theme: "system" | "dark" | "light". Gradio and all its parts ask matchMedia, so that is where the switch sits.
  const QUERY = "(prefers-color-scheme: dark)";
  const real = window.matchMedia.bind(window);
  const system = real(QUERY);
  const listeners = new Set();
  let choice = localStorage.getItem("timbre-theme") || "system";
  const isDark = () => (choice === "system" ? system.matches : choice === "dark");
  const tell = () => {
    const event = { matches: isDark(), media: QUERY };
    listeners.forEach((fn) => fn(event));
    document.body?.classList.toggle("dark", isDark());
    document.documentElement.classList.toggle("dark", isDark());
  };
  system.addEventListener("change", tell);
  window.matchMedia = (query) => {
    if (query !== QUERY) return real(query);
    return {
      get matches() { return isDark(); },
      media: QUERY,
      onchange: null,
      addEventListener: (_, fn) => listeners.add(fn),
      removeEventListener: (_, fn) => listeners.delete(fn),
      addListener: (fn) => listeners.add(fn),
      removeListener: (fn) => listeners.delete(fn),
      dispatchEvent: () => true,
    };
  };
  document.documentElement.classList.toggle("dark", isDark());
  document.addEventListener("DOMContentLoaded", tell);

  // What the browser adds to each tick: the voice, the open page, the voice of the last visit.
  TS.scene = (voice) => {
    if (voice) localStorage.setItem("timbre-voice", voice);
    return [voice, document.body.dataset.page || "home", localStorage.getItem("timbre-voice") || ""];
  };

  TS.t = (key) => TS.words["js." + key] || key;
  TS.theme = () => choice;
  TS.isDark = isDark;
  TS.setTheme = (next) => {
    choice = next;
    localStorage.setItem("timbre-theme", next);
    tell();
  };
  TS.setLanguage = (lang) => {
    document.cookie = `timbre_lang=${lang}; path=/; max-age=31536000; samesite=lax`;
    location.href = `${TS.root}/${lang}/${location.hash}`;
  };
})();
