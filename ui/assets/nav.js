/* Pages, the switches at the foot of the navigation, and events from server-drawn parts. */
(() => {
  const pages = () => [...document.querySelectorAll(".ts-page")].map((p) => p.id.replace("page-", ""));

  const show = (focus) => {
    const known = pages();
    if (!known.length) return;
    const wanted = location.hash.slice(1);
    const page = known.includes(wanted) ? wanted : known[0];
    const changed = document.body.dataset.page !== page;
    document.body.dataset.page = page;
    document.querySelectorAll(".ts-page").forEach((p) => p.classList.toggle("ts-open", p.id === "page-" + page));
    mark();
    if (changed) document.querySelector(".ts-work")?.scrollTo(0, 0);
    TS.pulse();
    if (changed && focus) document.querySelector(`#page-${page} h1`)?.focus();
  };

  const mark = () => {
    document.querySelectorAll(".ts-nav a[href]").forEach((a) => {
      const here = a.getAttribute("href").split("#")[1] === document.body.dataset.page;
      if (here) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    });
    document.querySelectorAll("[data-theme-choice]").forEach((b) =>
      b.setAttribute("aria-pressed", String(b.dataset.themeChoice === TS.theme())));
    document.querySelectorAll("[data-lang-choice]").forEach((b) =>
      b.setAttribute("aria-pressed", String(TS.lang.startsWith(b.dataset.langChoice))));
  };

  // The clock. A page that was just touched is drawn on every beat; one at rest only if the studio says that something
  // changed (drawing costs a hundred times the question); one that nobody sees not at all.
  const BEAT_MS = 1500;
  const LIVELY = 4; // beats after a touch: what it set off may still be on its way
  let lively = LIVELY;
  let asking = false;
  TS.pulse = () => document.getElementById("ts-pulse-" + document.body.dataset.page)?.click();
  const beat = async () => {
    if (document.hidden || asking || !document.body.dataset.page) return;
    if (lively > 0) {
      lively -= 1;
      TS.pulse();
      return;
    }
    asking = true;
    try {
      const told = await (await TS.askData(TS.dataUrl("beat", TS.look()))).json();
      const bar = document.querySelector("#status-bar .ts-status");
      if (told.changed || !bar) TS.pulse();
      else if (bar.outerHTML !== told.status) bar.outerHTML = told.status;
    } catch {
      TS.pulse(); // Gradio says what is wrong with the connection
    } finally {
      asking = false;
    }
  };
  setInterval(beat, BEAT_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) TS.pulse(); });
  for (const kind of ["input", "change", "click", "keydown", "drop"]) {
    addEventListener(kind, (event) => { if (event.isTrusted) lively = LIVELY; }, true);
  }

  TS.goto = (page) => { location.hash = page; };
  TS.mark = mark;

  // One listener for a server-drawn part: a click (or Enter) on [data-act] becomes a Gradio event "act".
  TS.acts = (element, trigger) => {
    const act = (target) => {
      if (!target || target.disabled || target.getAttribute("aria-disabled") === "true") return false;
      if (target.dataset.confirm && !confirm(target.dataset.confirm)) return true;
      const data = { ...target.dataset };
      if (data.prompt) {
        data.value = prompt(data.prompt, data.voice);
        if (!data.value || data.value === data.voice) return true;
      }
      trigger("act", data);
      if (target.dataset.page) TS.goto(target.dataset.page);
      return true;
    };
    const under = (event) => event.target.closest("[data-act]");
    element.addEventListener("click", (event) => { if (act(under(event))) event.preventDefault(); });

    // A part may be drawn again between press and release, and then there is no click; if the same thing lies under the
    // pointer, it is what was meant.
    let pressed = null;
    let meant = "";
    element.addEventListener("pointerdown", (event) => {
      pressed = under(event);
      meant = JSON.stringify({ ...pressed?.dataset });
    });
    element.addEventListener("pointerup", (event) => {
      const now = under(event);
      if (pressed && !pressed.isConnected && now && JSON.stringify({ ...now.dataset }) === meant) act(now);
    });
  };

  // TensorBoard is loaded when its tab is first seen: it starts a reader on the server.
  TS.board = (box) => {
    const columns = box.closest(".ts-cols");
    new IntersectionObserver((entries) => {
      const seen = entries.some((e) => e.isIntersecting);
      columns?.classList.toggle("ts-wide", seen);  // it needs the room that the form takes
      if (!seen || box.firstChild) return;
      const frame = document.createElement("iframe");
      frame.title = "TensorBoard";
      frame.src = `${TS.root}/tensorboard/${TS.isDark() ? "?darkMode=true" : ""}#timeseries`;
      box.append(frame);
    }).observe(box);
  };

  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme-choice]");
    if (theme) { TS.setTheme(theme.dataset.themeChoice); mark(); }
    const lang = event.target.closest("[data-lang-choice]");
    if (lang) TS.setLanguage(lang.dataset.langChoice);
    if (event.target.closest("[data-new-voice]")) document.querySelector("#voice-new")?.click();
    const jump = event.target.closest("a[href*='#']");
    if (jump) {
      event.preventDefault();
      location.hash = jump.getAttribute("href").split("#")[1];
    }
  });
  addEventListener("hashchange", () => show(true));

  // Alt+1 … Alt+6 open the pages.
  addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || !/^[1-9]$/.test(event.key)) return;
    const page = pages()[Number(event.key) - 1];
    if (page) { event.preventDefault(); TS.goto(page); }
  });

  // Gradio draws asynchronously: open the page as soon as it is there, and keep marks right after redraws.
  new MutationObserver(() => {
    if (!document.body) return;
    if (!document.body.dataset.page || !document.querySelector(".ts-page.ts-open")) show(false);
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
