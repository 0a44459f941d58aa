// The calendar by keys, and lists that look for news only where somebody sees them. Every page is complete without this script.
// What a key does is written at the link that does it: data-keys, the keys apart by spaces. Everything listens at the document.
(() => {
  "use strict";
  const OFF = "calendar-keys";   // in this browser's memory: "off" where somebody does not want single keys to do anything
  const isOn = () => { try { return localStorage.getItem(OFF) !== "off"; } catch { return true; } };
  const remember = (on) => { try { if (on) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "off"); } catch { /* no memory: for this page only */ } };

  // ---------- Keys ----------
  const help = () => document.getElementById("cal-keys");
  const turnHelp = () => { if (help().togglePopover()) help().focus(); };   // from there Tab goes on to what is in it
  const isTyping = (el) => Boolean(el.isContentEditable || el.matches?.("select, textarea, input:not([type=checkbox], [type=radio])"));
  const isBusy = (e) => e.defaultPrevented || e.isComposing || e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target);
  // Arrows belong to what scrolls and to what is chosen by them.
  const isTheirs = ({ key, target }) => key.startsWith("Arrow") && target.closest?.(".cal-wide, .cal-mid, .jump, [role], input");
  const linkOf = (key) => [...document.querySelectorAll("#calendar [data-keys]")].find((el) => el.dataset.keys.split(" ").includes(key));

  document.addEventListener("keydown", (e) => {
    if (!help() || isBusy(e) || isTheirs(e) || !isOn()) return;
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
    if (key === "?") { e.preventDefault(); turnHelp(); return; }
    if (e.shiftKey || e.repeat || document.querySelector("[popover]:popover-open, dialog[open]")) return;
    const link = linkOf(key);
    if (!link) return;
    e.preventDefault();
    link.click();
  });

  document.addEventListener("click", ({ target }) => {   // as the button's own target the help would be part of the menu, and go with it
    if (!target.closest?.("[data-keys-help]")) return;
    target.closest("[popover]").hidePopover();
    turnHelp();
  });
  document.addEventListener("change", ({ target }) => { if (target.matches?.("[data-keys-on]")) remember(target.checked); });
  document.addEventListener("toggle", ({ target }) => {
    if (target.id === "cal-keys") target.querySelector("[data-keys-on]").checked = isOn();
  }, true);

  // ---------- A sheet that scrolls in itself begins with what is on ----------
  const showNow = () => {
    const wide = document.querySelector(".cal-wide, .cal-mid"), now = wide?.querySelector(".now-label");
    if (now && now.offsetTop > wide.clientHeight * 2 / 3) wide.scrollTop = now.offsetTop - wide.clientHeight / 2;
  };
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => { if (ctx.target?.id === "calendar") showNow(); });
  showNow();

  // ---------- Lists: pages that nobody sees rest ----------
  const isSeen = (el) => {
    const { top, bottom } = el.getBoundingClientRect();
    return bottom > -innerHeight && top < 2 * innerHeight;
  };
  document.addEventListener("htmx:before:request", (e) => {
    const { ctx } = e.detail, page = ctx.sourceElement;
    if (ctx.sourceEvent?.type === "every" && page?.matches?.(".agenda") && !isSeen(page)) e.preventDefault();
  });
})();
