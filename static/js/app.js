// The only script of our own besides htmx. Every page is complete without it. Everything listens at the document,
// so that parts and whole pages that htmx swaps in later need no set-up.
(() => {
  "use strict";
  const root = document.documentElement;
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const byClock = (ctx) => ctx?.sourceEvent?.type === "every";
  const isPage = (ctx) => ctx?.target === document.body;
  const clockNow = () => new Date().toLocaleTimeString(root.lang || "de", { hour: "2-digit", minute: "2-digit" });
  let lastGood = clockNow();

  // ---------- Toasts: {message, kind: ok|info|warn|bad, url and label of one action, key: replaces the older one} ----------
  const parts = () => document.getElementById("toast-parts")?.content;
  const word = (name) => parts()?.querySelector(`[data-word="${name}"]`)?.textContent.trim() ?? "";

  const leaveLater = (note, wait) => setTimeout(() => {
    if (note.matches(":hover, :focus-within")) leaveLater(note, 2000);   // somebody is reading
    else note.remove();
  }, wait);

  const toast = ({ message, kind = "ok", url, label, key }) => {
    const box = document.getElementById("toasts");
    const model = parts()?.querySelector(`[data-kind="${CSS.escape(kind)}"]`) ?? parts()?.querySelector('[data-kind="info"]');
    if (!box || !model || !message) return;
    const old = key && box.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (old?.querySelector("[data-text]").textContent === message) return;   // said already
    old?.remove();
    const note = document.importNode(model, true);
    note.querySelector("[data-text]").textContent = message;
    const act = note.querySelector("[data-act]");
    if (url?.startsWith("/") && label) { act.href = url; act.textContent = label; } else act.remove();
    if (key) note.dataset.key = key;
    box.append(note);
    window.htmx?.process(note);
    if (kind === "ok" || kind === "info") leaveLater(note, 7000);
    while (box.children.length > 4) box.firstElementChild.remove();
  };

  const untoast = (key) => document.querySelector(`#toasts [data-key="${key}"]`)?.remove();

  document.addEventListener("toast", (e) => toast(e.detail ?? {}));   // the answer's HX-Trigger header

  const takeFlashes = () => document.querySelectorAll("[data-flash]").forEach((note) => {
    toast({ message: note.querySelector("[data-text]").textContent.trim(), kind: note.dataset.flash });
    note.remove();
  });

  // ---------- Requests: what may run, what is slow, what went wrong ----------
  // Files are for the browser, not for the page.
  const isFile = (href) => /\.(csv|pdf|ics|xml|zip|json|mp3|wav)$/i.test(new URL(href, location.href).pathname);
  document.addEventListener("htmx:before:init", (e) => {
    if (e.target.matches?.("a[href]:not([hx-get])") && isFile(e.target.href)) e.preventDefault();
  });
  document.addEventListener("htmx:before:response", (e) => {
    const { ctx } = e.detail, headers = ctx.response.headers;
    const wanted = (headers.get("Content-Type") ?? "text/html").startsWith("text/html") || [204, 304].includes(ctx.response.status);
    if (ctx.response.status >= 400 || ctx.request.method !== "GET" || (wanted && !headers.get("Content-Disposition")?.startsWith("attachment"))) return;
    e.preventDefault();
    location.assign(ctx.request.action);
  });

  // A line at the top while somebody waits for longer than a moment. What polls by the clock does not count, and rests in a hidden tab.
  let waiting = 0, delay = 0;
  const idle = () => { waiting = 0; clearTimeout(delay); root.removeAttribute("data-busy"); };
  document.addEventListener("htmx:before:request", (e) => {
    const { ctx } = e.detail;
    if (byClock(ctx)) { if (document.hidden) e.preventDefault(); return; }
    ctx.waitedFor = true;
    if (++waiting === 1) delay = setTimeout(() => root.setAttribute("data-busy", ""), 250);
  });
  document.addEventListener("htmx:finally:request", (e) => {
    const { ctx } = e.detail;
    if (ctx.waitedFor && !ctx.keepIndicators && --waiting <= 0) idle();
  });
  window.addEventListener("pageshow", (e) => { if (e.persisted) idle(); });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.querySelectorAll("[hx-trigger*='every ']").forEach((el) => window.htmx?.trigger(el, "every", {}, false));
  });

  document.addEventListener("htmx:after:request", (e) => {
    if (e.detail.ctx.response.status >= 500) return;
    lastGood = clockNow();
    untoast("offline"); untoast("stale"); untoast("unsent");
  });

  // An answer of 400 and up: a whole page shows itself, a form comes back with its messages; anything else must not land in a part.
  document.addEventListener("htmx:response:error", (e) => {
    const { ctx } = e.detail, status = ctx.response.status, hx = ctx.hx;
    if (isPage(ctx) && /<main\b/i.test(ctx.text)) return;
    if (!isPage(ctx) && (status === 409 || status === 422)) return;
    if (hx.retarget || hx.reswap || hx.redirect || hx.refresh) return;   // the server has said what to do
    Object.assign(ctx, { swap: "none", push: "false", replace: "false" });
    if (hx.trigger?.includes("toast")) return;
    const reload = { url: location.pathname + location.search, label: word("reload") };
    if (status === 401) toast({ kind: "warn", key: "401", message: word("401"), url: "/login", label: word("login") });
    else if (byClock(ctx)) toast({ kind: "warn", key: "stale", message: word("stale").replace("{time}", lastGood), ...reload });
    else toast({ kind: "bad", key: "error", message: word(String(status)) || word(status >= 500 ? "500" : "400"), ...(status === 400 ? reload : {}) });
  });
  document.addEventListener("htmx:error", (e) => {
    const { ctx } = e.detail;
    if (!ctx || ctx.response) return;   // an answer came: not the network
    const key = byClock(ctx) ? "offline" : "unsent";
    toast({ kind: "warn", key, message: word(key).replace("{time}", lastGood) });
  });

  // A failed POST leaves the address alone: reloading it would ask for a page that does not exist.
  document.addEventListener("htmx:before:history:update", (e) => {
    const { response, sourceElement } = e.detail;
    if (response?.status >= 400 && sourceElement?.matches?.("form[method=post i], [hx-post], [hx-delete]")) e.preventDefault();
  });

  // ---------- After a swap: say where we are, put the focus where the eye is ----------
  const focusOn = (el, how) => { if (!el.matches("a, button, input, select, textarea, [tabindex]")) el.tabIndex = -1; el.focus(how); };

  document.addEventListener("htmx:after:swap", (e) => {
    const { ctx } = e.detail;
    takeFlashes();
    if (ctx.swap === "none") return;
    if (isPage(ctx)) {
      const said = document.getElementById("said");
      if (said) said.textContent = ctx.title ?? "";
    }
    const problem = ctx.response?.status === 422 && document.querySelector("[data-problems], [aria-invalid=true]");
    if (problem) focusOn(problem);
    else if (isPage(ctx) && !document.querySelector("[autofocus]")) document.querySelector("main")?.focus({ preventScroll: true });
    else if (ctx.target?.id === "panel") {
      const heading = ctx.target.querySelector("h2");
      if (heading) focusOn(heading, { preventScroll: true });
    }
  });

  // ---------- Menus and the panel beside the calendar ----------
  let opener = null;
  const closePanel = () => {
    const panel = document.getElementById("panel");
    if (!panel?.firstElementChild) return;
    panel.replaceChildren();
    if (opener?.isConnected) opener.focus();
  };
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && document.getElementById("panel")?.contains(document.activeElement)) closePanel();
  });
  document.addEventListener("click", (e) => {
    const at = (selector) => e.target.closest?.(selector);
    if (at("[hx-target='#panel']")) opener = at("a, button") ?? opener;
    if (at("[data-close]")) { e.preventDefault(); closePanel(); }
    if (at("[data-dismiss]")) at(".note")?.remove();
    if (at("[popover] a[href]")) at("[popover]").hidePopover?.();
    if (at("[data-problems] a[href^='#']")) {   // to the field itself, and without a step in the history
      const place = document.getElementById(at("a").hash.slice(1));
      if (place) { e.preventDefault(); (place.matches("fieldset") ? place.querySelector("input") : place)?.focus(); }
    }
    if (at("[data-reveal]")) reveal(at("[data-reveal]"));
    if (at("[data-login]")) fillLogin(at("[data-login]"));
  });
  document.addEventListener("submit", (e) => {
    const here = e.target.querySelector?.("input[data-here]");   // filters change the address without a new page
    if (here) here.value = location.pathname + location.search;
  }, true);

  const reveal = (button) => {
    const field = document.getElementById(button.dataset.reveal), shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
  };
  const fillLogin = ({ dataset }) => {
    const form = document.querySelector("[data-login-form]");
    form.elements.email.value = dataset.login;
    form.elements.password.value = dataset.password;
    form.querySelector("button:not([type=button])").focus();
  };

  // ---------- The recording: follows the transcript both ways ----------
  const mmss = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const inView = (el) => { const r = el.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; };

  const showAt = (box, second) => {
    const clock = box.querySelector("[data-clock]"), head = box.querySelector(".head");
    if (clock) clock.textContent = mmss(second);
    if (head) for (const end of ["x1", "x2"]) head.setAttribute(end, String((second / (Number(box.dataset.length) || 1)) * 1000));
    box.querySelectorAll("rect[data-at]").forEach((bar) => bar.classList.toggle("done", Number(bar.dataset.at) <= second));
    const turns = [...document.querySelectorAll(".turn[data-at]")], before = turns.find((t) => t.classList.contains("on"));
    const now = turns.filter((t) => Number(t.dataset.at) <= second).pop();
    if (now === before) return;
    const follow = before && inView(before) && !box.querySelector("audio").paused;   // only for who has been reading along
    for (const turn of turns) {
      turn.classList.toggle("on", turn === now);
      if (turn === now) turn.setAttribute("aria-current", "true"); else turn.removeAttribute("aria-current");
    }
    if (follow) now?.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  };
  const player = () => document.querySelector("[data-player]");
  const listen = (audio) => audio.play().catch(() => {});   // "error" below says what is wrong

  document.addEventListener("click", (e) => {
    const jump = e.target.closest?.("[data-jump], [data-skip]"), play = e.target.closest?.("[data-play]"), box = player();
    if (!box || !(jump || play)) return;
    const audio = box.querySelector("audio");
    if (play) { if (audio.paused) listen(audio); else audio.pause(); return; }
    e.preventDefault();
    const second = jump.dataset.skip ? Math.max(0, audio.currentTime + Number(jump.dataset.skip)) : Number(jump.dataset.jump);
    if (!jump.closest(".turn, .player")) document.querySelector(jump.getAttribute("href"))?.scrollIntoView({ block: "center" });
    audio.currentTime = second;
    showAt(box, second);
    if (!jump.dataset.skip) listen(audio);
  });
  // Media events do not bubble, but they can be caught on the way down.
  const onAudio = (name, act) => document.addEventListener(name, (e) => {
    const box = e.target.closest?.("[data-player]");
    if (box) act(box, e.target);
  }, true);
  const iconOf = (box, name) => {
    const use = box.querySelector("[data-play] use");
    use?.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${name}`));
  };
  onAudio("timeupdate", (box, audio) => showAt(box, audio.currentTime));
  onAudio("play", (box) => iconOf(box, "player-pause"));
  onAudio("pause", (box) => iconOf(box, "player-play"));
  onAudio("error", () => toast({ kind: "warn", key: "audio", message: word("audio") }));

  // ---------- Ready ----------
  const wake = (from) => from.querySelectorAll?.("[data-js][hidden]").forEach((el) => { el.hidden = false; });
  document.addEventListener("htmx:after:process", (e) => wake(e.target));
  wake(document);
  takeFlashes();
})();
