// Search inside the conversation of a call, and copy it. Without this script the browser's own search does the first.
// Places are shown by the browser's highlights: nothing in the page changes, so thousands of turns cost nothing more.
(() => {
  "use strict";
  const WAIT = 120;   // milliseconds after the last key
  const MOST = 5000;  // places; who finds more will type on
  const tools = () => document.querySelector("[data-talk]");
  const list = () => document.querySelector("ol.turns");
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  let places = [], at = -1, timer = 0;

  // ---------- Finding ----------
  // Lower case without accents, each letter in its place: "konig" finds König, and İ stays one letter.
  const letter = (c) => { const low = c.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase(); return low.length === c.length ? low : c; };
  const plain = (text) => [...text].map(letter).join("");
  const texts = (from) => {
    const walker = document.createTreeWalker(from, NodeFilter.SHOW_TEXT, (node) => (node.parentElement.closest(".visually-hidden, .who, .turn > a") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  };
  const find = (query) => {
    const wanted = plain(query.trim()), from = list(), found = [];
    if (!wanted || !from) return found;
    for (const node of texts(from)) {
      const text = plain(node.data);
      for (let i = text.indexOf(wanted); i >= 0; i = text.indexOf(wanted, i + wanted.length)) {
        const range = new Range();
        range.setStart(node, i);
        range.setEnd(node, i + wanted.length);
        found.push(range);
        if (found.length >= MOST) return found;
      }
    }
    return found;
  };

  // ---------- Showing ----------
  const paint = () => {
    document.querySelectorAll(".turns .found").forEach((el) => el.classList.remove("found"));
    const here = places[at];
    here?.startContainer.parentElement.closest("li")?.classList.add("found");
    if (!window.CSS?.highlights) return;   // then the turn alone is marked
    CSS.highlights.delete("found");
    CSS.highlights.delete("found-here");
    if (places.length) CSS.highlights.set("found", new Highlight(...places));
    if (here) CSS.highlights.set("found-here", new Highlight(here));
  };
  const say = (box) => {
    const count = box.querySelector("[data-talk-count]"), typed = box.querySelector("[data-talk-q]").value.trim();
    const all = places.length < MOST ? String(places.length) : `${MOST}+`;
    count.textContent = !typed ? "" : places.length ? count.dataset.says.replace("{place}", at + 1).replace("{all}", all) : count.dataset.none;
    box.querySelectorAll("[data-talk-step]").forEach((button) => { button.disabled = !places.length; });
  };
  const go = (box, place) => {
    at = places.length ? (place + places.length) % places.length : -1;
    paint();
    say(box);
    places[at]?.startContainer.parentElement.scrollIntoView({ block: "center", behavior: calm() || list().matches(".turns-long") ? "auto" : "smooth" });   // what is not laid out yet cannot be scrolled through
  };
  const search = (box, step = 0) => {
    places = find(box.querySelector("[data-talk-q]").value);
    if (step || places.length) go(box, 0); else { at = -1; paint(); say(box); }
  };

  // ---------- Copying ----------
  const asText = () => {
    let who = "";
    return [...list().children].map((li) => {
      const time = li.querySelector(":scope > a")?.textContent ?? "", p = li.querySelector("p");
      who = li.querySelector(".who")?.textContent ?? who;
      return li.classList.contains("tool") ? `[${li.textContent.trim().replace(/\s+/g, " ")}]` : `${time} ${who}: ${p.textContent}`.trim();
    }).join("\n");
  };
  const byHand = (text) => {   // older browsers, and addresses without https
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const copy = async (button) => {
    const text = asText();
    const done = await (navigator.clipboard?.writeText(text).then(() => true, () => false) ?? false) || byHand(text);
    button.focus();
    document.dispatchEvent(new CustomEvent("toast", { detail: { kind: done ? "ok" : "warn", key: "copied", message: done ? button.dataset.done : button.dataset.failed } }));
  };

  // ---------- Listening ----------
  document.addEventListener("input", (e) => {
    if (!e.target.matches?.("[data-talk-q]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => { const box = tools(); if (box) search(box); }, WAIT);
  });
  document.addEventListener("keydown", (e) => {
    if (!e.target.matches?.("[data-talk-q]") || e.isComposing) return;
    if (e.key === "Enter") { e.preventDefault(); go(tools(), at + (e.shiftKey ? -1 : 1)); }
    if (e.key === "Escape" && e.target.value) { e.preventDefault(); e.target.value = ""; search(tools()); }
  });
  document.addEventListener("click", (e) => {
    const step = e.target.closest?.("[data-talk-step]"), button = e.target.closest?.("[data-talk-copy]");
    if (step) go(tools(), at + Number(step.dataset.talkStep));
    if (button) copy(button);
  });
  document.addEventListener("htmx:after:swap", () => {   // the words may have changed
    const box = tools(), typed = box?.querySelector("[data-talk-q]").value.trim();
    if (!box || !typed) { places = []; at = -1; paint(); return; }
    const before = at;
    places = find(typed);
    at = Math.min(before, places.length - 1);
    paint();
    say(box);
  });
})();
