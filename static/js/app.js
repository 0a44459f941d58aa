// What every page shares; the player of recordings is player.js. Every page is complete without it. Everything listens at the document,
// so that parts and whole pages that htmx swaps in later need no set-up.
(() => {
  "use strict";
  const root = document.documentElement;
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

  // What a form sends off goes once, however often its button is pressed meanwhile.
  const sending = new WeakMap();
  const isSentAlready = (ctx) => {
    const form = ctx.sourceElement;
    if (ctx.request.method === "GET" || !form?.matches?.("form")) return false;
    if (sending.has(form)) return true;
    sending.set(form, ctx);
    return false;
  };

  // A line at the top while somebody waits for longer than a moment. What polls by the clock does not count, and rests in a hidden tab.
  let waiting = 0, delay = 0;
  const idle = () => { waiting = 0; clearTimeout(delay); root.removeAttribute("data-busy"); };
  document.addEventListener("htmx:before:request", (e) => {
    const { ctx } = e.detail;
    ctx.whereFrom = placesAround(document.activeElement);
    if (byClock(ctx)) { if (document.hidden) e.preventDefault(); return; }
    if (isSentAlready(ctx)) { e.preventDefault(); return; }
    ctx.waitedFor = true;
    if (++waiting === 1) delay = setTimeout(() => root.setAttribute("data-busy", ""), 250);
  });
  document.addEventListener("htmx:finally:request", (e) => {
    const { ctx } = e.detail;
    if (sending.get(ctx.sourceElement) === ctx) sending.delete(ctx.sourceElement);
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

  // What was sent off need not stand in its form any more, although a morph keeps what is typed.
  document.addEventListener("htmx:after:request", (e) => {
    const { ctx } = e.detail;
    if (ctx.response.status < 400 && ctx.sourceElement?.matches?.("form[data-reset]")) ctx.sourceElement.reset();
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

  // Where somebody was: what has the focus, then the headings of what it stands in; the nearest that is still there gets it back.
  const placesAround = (el) => {
    const places = [];
    for (let at = el; at && at !== document.body; at = at.parentElement) places.push(at.getAttribute("aria-labelledby") || at.id);
    return places.filter(Boolean);
  };
  const isShown = (el) => el.checkVisibility?.() !== false;   // what is folded up has no focus for long
  const isLost = (el) => !el || el === document.body || !isShown(el);
  const goBack = (places) => {
    const place = places?.map((id) => document.getElementById(id)).find((el) => el && !el.disabled && isShown(el));
    if (place) focusOn(place, { preventScroll: true });
  };

  document.addEventListener("htmx:after:swap", (e) => {
    const { ctx } = e.detail;
    takeFlashes();
    if (ctx.swap === "none") return;
    if (isPage(ctx)) {
      const said = document.getElementById("said");
      if (said) said.textContent = ctx.title ?? "";
    }
    const problem = [409, 422].includes(ctx.response?.status) && document.querySelector("[data-problems], [aria-invalid=true]");
    if (problem) focusOn(problem);
    else if (isPage(ctx) && !document.querySelector("[autofocus]")) document.querySelector("main")?.focus({ preventScroll: true });
    else if (ctx.target?.id === "panel") {
      const heading = ctx.target.querySelector("h2");
      if (heading) focusOn(heading, { preventScroll: true });
    } else if (!isPage(ctx) && isLost(document.activeElement)) goBack(ctx.whereFrom);
  });

  // ---------- Menus and the panel beside the calendar ----------
  let opener = null;
  const closePanel = () => {
    const panel = document.getElementById("panel");
    if (!panel?.firstElementChild) return;
    panel.replaceChildren();
    // A part that was drawn anew meanwhile has another link to the same place.
    const same = (link) => link.getAttribute("href") === opener?.getAttribute("href") && isShown(link);
    (opener?.isConnected ? opener : [...document.querySelectorAll("a[hx-target='#panel']")].find(same))?.focus();
  };
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && document.getElementById("panel")?.contains(document.activeElement)) closePanel();
  });
  document.addEventListener("click", (e) => {
    const at = (selector) => e.target.closest?.(selector);
    if (at("[hx-target='#panel']") && !at("#panel")) opener = at("a, button") ?? opener;
    if (at("[data-close]")) { e.preventDefault(); closePanel(); }
    if (at("[data-dismiss]")) at(".note")?.remove();
    if (at("[popover] a[href]")) at("[popover]").hidePopover?.();
    if (at("[data-problems] a[href^='#']")) {   // to the field itself, and without a step in the history
      const place = document.getElementById(at("a").hash.slice(1));
      if (place) { e.preventDefault(); (place.matches("fieldset") ? place.querySelector("input") : place)?.focus(); }
    }
    if (at("[data-reveal]")) reveal(at("[data-reveal]"));
    if (at("[data-copy]")) copy(at("[data-copy]"));
    if (at("[data-login]")) fillLogin(at("[data-login]"));
  });
  document.addEventListener("input", ({ target }) => {   // what was wrong is being mended: the message is about another text
    if (target.getAttribute?.("aria-invalid") !== "true" || !target.id) return;
    document.getElementById(`${target.id}-e`)?.remove();
    target.classList.remove("is-invalid");
    target.removeAttribute("aria-invalid");
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
  const copy = async (button) => {   // what stands in a field
    const field = document.getElementById(button.dataset.copy);
    let done = await (navigator.clipboard?.writeText(field.value).then(() => true, () => false) ?? false);
    if (!done) { field.select(); done = document.execCommand("copy"); button.focus(); }   // without https, and older browsers
    toast({ message: done ? button.dataset.done : button.dataset.failed, kind: done ? "ok" : "warn", key: "copied" });
  };
  const fillLogin = ({ dataset }) => {
    const form = document.querySelector("[data-login-form]");
    form.elements.email.value = dataset.login;
    form.elements.password.value = dataset.password;
    form.querySelector("button:not([type=button])").focus();
  };

  // What somebody has opened to type in is left alone by the morphs of a live part.
  document.addEventListener("toggle", ({ target }) => {
    if (target.matches?.("details[data-keep]")) target.toggleAttribute("hx-morph-skip", target.open);
  }, true);

  // ---------- Ready ----------
  const wake = (from) => from.querySelectorAll?.("[data-js][hidden]").forEach((el) => { el.hidden = false; });
  document.addEventListener("htmx:after:process", (e) => wake(e.target));
  wake(document);
  takeFlashes();
})();
