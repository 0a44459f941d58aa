// The counter's screen says when it last heard from the portal; what it shows comes from there alone.
(() => {
  "use strict";
  const each = (selector, work) => document.querySelectorAll(selector).forEach(work);
  const lost = (is) => {
    each("[data-lost]", (el) => { el.hidden = !is; });
    each("[data-live]", (el) => { el.hidden = is; });
  };
  document.addEventListener("htmx:after:request", ({ detail }) => {
    if (detail.ctx.response.status >= 400) { lost(true); return; }
    const now = new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    each("[data-seen]", (el) => { el.textContent = now; });
    lost(false);
  });
  document.addEventListener("htmx:error", ({ detail }) => { if (!detail.ctx?.response) lost(true); });
})();
