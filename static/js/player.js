// The recording of a call: follows the transcript both ways. Without this script it is the browser's own player.
// Everything listens at the document, media events on their way down, so that what htmx swaps in needs no set-up.
(() => {
  "use strict";
  const STEP = 10;   // seconds
  const player = () => document.querySelector("[data-player]");
  const audioOf = (box) => box.querySelector("audio");
  const turns = () => [...document.querySelectorAll(".turn[data-at]")];
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const length = (box) => Number(box.dataset.length) || 1;
  const two = (n) => String(n).padStart(2, "0");
  const time = (s) => (s < 3600 ? `${Math.floor(s / 60)}` : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}`) + `:${two(Math.floor(s % 60))}`;

  // ---------- Where we are ----------
  const show = (box, second) => {
    box.querySelector("[data-clock]").textContent = time(second);
    const slider = box.querySelector("[data-seek]"), head = box.querySelector(".head");
    slider.value = second;
    slider.setAttribute("aria-valuetext", slider.dataset.says.replace("{at}", time(second)).replace("{length}", time(length(box))));
    if (head) for (const end of ["x1", "x2"]) head.setAttribute(end, String((second / length(box)) * 1000));
    box.querySelectorAll("rect[data-at]").forEach((bar) => bar.classList.toggle("done", Number(bar.dataset.at) <= second));
    mark(box, second);
  };

  const mark = (box, second) => {
    const all = turns(), before = all.find((turn) => turn.classList.contains("on"));
    const now = all.filter((turn) => Number(turn.dataset.at) <= second).pop();
    if (now === before) return;
    const along = before && !audioOf(box).paused && isSeen(box, before);   // only for who has been reading along
    for (const turn of all) {
      turn.classList.toggle("on", turn === now);
      if (turn === now) turn.setAttribute("aria-current", "true"); else turn.removeAttribute("aria-current");
    }
    if (along && now && !isSeen(box, now, true)) bring(now);
  };
  const isSeen = (box, el, whole = false) => {   // below the player, which sticks to the top, and above the fold
    const { top, bottom } = el.getBoundingClientRect(), from = box.getBoundingClientRect().bottom, to = innerHeight - 64;
    return whole ? top >= from && bottom <= to : bottom > from && top < to;
  };
  const bring = (turn) => turn.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });

  // ---------- What can be done ----------
  const listen = (audio) => audio.play().catch(() => {});   // "error" below says what is wrong
  const toggle = (audio) => (audio.paused ? listen(audio) : audio.pause());
  const seek = (box, second, play = false) => {
    const audio = audioOf(box), to = Math.min(Math.max(0, second), length(box));
    audio.currentTime = to;
    show(box, to);
    if (play) listen(audio);
  };
  const speed = (box, up) => {
    const choice = box.querySelector("[data-speed]"), next = choice.selectedIndex + up;
    if (next < 0 || next >= choice.options.length) return;
    choice.selectedIndex = next;
    audioOf(box).playbackRate = Number(choice.value);
  };

  document.addEventListener("click", (e) => {
    const box = player(), at = (selector) => e.target.closest?.(selector);
    if (!box || e.button || e.ctrlKey || e.metaKey || e.shiftKey) return;
    const link = at(".turn[data-at] > a, a[data-jump]");
    if (at("[data-play]")) toggle(audioOf(box));
    else if (at("[data-skip]")) seek(box, audioOf(box).currentTime + Number(at("[data-skip]").dataset.skip));
    else if (link) {
      e.preventDefault();
      seek(box, Number(link.dataset.jump ?? link.parentElement.dataset.at), true);
      const now = document.querySelector(".turn.on");
      if (now && !isSeen(box, now, true)) bring(now);
    }
  });
  document.addEventListener("input", (e) => { if (e.target.matches?.("[data-seek]")) seek(player(), Number(e.target.value)); });
  document.addEventListener("change", (e) => {
    if (e.target.matches?.("[data-speed]")) audioOf(player()).playbackRate = Number(e.target.value);
  });

  // Keys count in the conversation; space and arrows also where nothing has the focus, once somebody is listening.
  const KEYS = {
    " ": (box) => toggle(audioOf(box)),
    ArrowLeft: (box) => seek(box, audioOf(box).currentTime - STEP),
    ArrowRight: (box) => seek(box, audioOf(box).currentTime + STEP),
    "<": (box) => speed(box, -1),
    ">": (box) => speed(box, 1),
  };
  const isMeant = (box, { target, key }) => {
    if (target.matches("select, textarea, input:not([data-seek])") || target.isContentEditable) return false;
    if (key === " " && target.matches("a, button, summary")) return false;   // they have a meaning of their own
    if (box.parentElement.contains(target)) return true;
    return box.hasAttribute("data-started") && target.matches("body, main") && !"<>".includes(key);
  };
  document.addEventListener("keydown", (e) => {
    const box = player(), act = KEYS[e.key];
    if (!box || !act || e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || !isMeant(box, e)) return;
    e.preventDefault();
    act(box);
  });

  // ---------- What the sound does ----------
  const onAudio = (name, act) => document.addEventListener(name, (e) => {   // media events do not bubble
    const box = e.target.closest?.("[data-player]");
    if (box) act(box, e.target);
  }, true);
  const setButton = (box, icon) => {
    const button = box.querySelector("[data-play]"), use = button.querySelector("use"), paused = icon === "player-play";
    button.dataset.listen ??= button.getAttribute("aria-label");
    button.setAttribute("aria-label", paused ? button.dataset.listen : button.dataset.pause);
    use.setAttribute("href", use.getAttribute("href").replace(/#.*$/, `#${icon}`));
  };
  onAudio("loadedmetadata", (box, audio) => {
    if (!Number.isFinite(audio.duration)) return;
    box.dataset.length = audio.duration;
    box.querySelector("[data-seek]").max = Math.ceil(audio.duration);
    box.querySelector("[data-total]").textContent = time(audio.duration);
    audio.playbackRate = Number(box.querySelector("[data-speed]").value);
  });
  onAudio("timeupdate", (box, audio) => show(box, audio.currentTime));
  onAudio("play", (box) => { box.setAttribute("data-started", ""); setButton(box, "player-pause"); });
  onAudio("pause", (box) => setButton(box, "player-play"));
  onAudio("error", () => {
    const message = document.getElementById("toast-parts")?.content.querySelector('[data-word="audio"]')?.textContent.trim();
    document.dispatchEvent(new CustomEvent("toast", { detail: { kind: "warn", key: "audio", message } }));
  });

  // ---------- Ready: our controls instead of the browser's; an address with a time begins there ----------
  const wake = () => document.querySelectorAll("[data-player] audio[controls]").forEach((audio) => {
    audio.controls = false;
    const box = audio.closest("[data-player]"), second = wished();
    if (second !== null) arrive(box, second);
  });
  const wished = () => {   // #t=64, or the address of a turn
    const found = /^#t=(\d+(\.\d+)?)$/.exec(location.hash);
    const at = found ? found[1] : document.getElementById(location.hash.slice(1))?.dataset.at;
    return at === undefined ? null : Number(at);
  };
  const arrive = (box, second) => {
    seek(box, second);
    const now = document.querySelector(".turn.on");
    if (now) bring(now);
  };
  addEventListener("hashchange", () => {
    const box = player(), second = wished();
    if (box && second !== null) arrive(box, second);
  });
  document.addEventListener("htmx:after:swap", () => {
    wake();
    const box = player(), audio = box && audioOf(box);
    if (audio?.currentTime) mark(box, audio.currentTime);   // the swap has taken the mark away
  });
  wake();
})();
