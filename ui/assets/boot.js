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

  // What the browser adds to each draw: the voice, this page's name for itself, the open page, the last visit's voice.
  const who = Math.random().toString(36).slice(2) + Date.now().toString(36);
  let chosen = "";
  TS.scene = (voice) => {
    if (voice) localStorage.setItem("timbre-voice", voice);
    const stored = localStorage.getItem("timbre-voice") || "";
    chosen = voice || stored;
    return [voice, who, document.body.dataset.page || "home", stored];
  };
  TS.look = () => ({ lang: TS.lang.split("-")[0], who, page: document.body.dataset.page || "home", voice: chosen });

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
