// Moving a box on the sheet of a day or a week: with the mouse, or by a finger that rests on it for a moment. The form in the panel does the
// same without a pointer. The sheet says which row is which instant (data-marks), so the nights on which clocks change need no sums here;
// what may be is decided by the server, and a box that it refuses goes back.
(() => {
  "use strict";
  const STEP = 3, PER_HOUR = 12, MINUTES = 5;   // rows of a quarter of an hour, of an hour; minutes of a row
  const FAR = 5, REST = 400, EDGE = 48;         // pixels that make a drag; milliseconds that a finger rests; pixels at the edge that scroll
  let drag = null, sent = null, missed = false, swallow = false;

  const sheet = () => document.getElementById("sheet");
  const lanes = () => [...document.querySelectorAll(".lane[data-marks]")];
  const marksOf = (lane) => lane.dataset.marks.split(" ").map(Number);   // "-" is NaN: an hour that this day has not got
  const rowsOf = (lane) => marksOf(lane).length * PER_HOUR;
  const heightOf = (lane) => lane.getBoundingClientRect().height / rowsOf(lane);
  const instant = (lane, row) => marksOf(lane)[Math.floor(row / PER_HOUR)] + (row % PER_HOUR) * MINUTES * 60;
  const clamp = (least, value, most) => Math.max(least, Math.min(value, most));

  // ---------- What is shown while dragging: a copy in the rows of the sheet ----------
  const tickOf = (row) => {
    const ticks = document.querySelectorAll(".lane.times > [class^='r']:not(.now-label)"), tick = ticks[Math.floor(row / PER_HOUR)];
    const [clock, ...zone] = (tick ?? ticks[ticks.length - 1]).textContent.trim().split(/\s+/), hour = Number(clock.split(":")[0]) + (tick ? 0 : 1);
    return [`${String(hour % 24).padStart(2, "0")}:${String((row % PER_HOUR) * MINUTES).padStart(2, "0")}`, ...zone].join(" ");
  };
  const place = (box, row, rows) => {
    box.className = box.className.replace(/\b[rs]\d+\b/g, "").replace(/\bl\d+-\d+\b/g, "").replace(/\s+/g, " ").trim();
    box.classList.add(`r${row}`, `s${Math.max(rows, STEP)}`);
  };
  const show = () => {
    const { ghost, lane, row, rows } = drag, clock = ghost.querySelector(".t > span");
    if (ghost.parentElement !== lane) lane.append(ghost);
    place(ghost, row, Math.min(rows, rowsOf(lane) - row));
    clock.textContent = `${tickOf(row)}–${tickOf(row + rows)}`;
    ghost.classList.toggle("nowhere", Number.isNaN(instant(lane, row)));
  };
  const lift = () => {
    drag.lifted = true;
    drag.ghost = drag.box.cloneNode(true);
    for (const name of ["data-drag", "id"]) drag.ghost.removeAttribute(name);
    drag.ghost.querySelector("a").removeAttribute("href");
    drag.ghost.setAttribute("aria-hidden", "true");
    drag.ghost.classList.add("ghost");
    drag.ghost.classList.remove("a-short", "running");
    drag.box.classList.add("lifted");
    document.documentElement.toggleAttribute("data-dragging", true);
    show();
    scroll();
  };

  // ---------- From the pointer to lane and row ----------
  const laneAt = (x) => lanes().find((lane) => { const { left, right } = lane.getBoundingClientRect(); return x >= left && x < right; });
  const follow = () => {
    const { x, y } = drag, to = drag.mode === "end" ? drag.home : laneAt(x) ?? drag.lane, top = to.getBoundingClientRect().top, one = heightOf(to);
    const snap = (pixels) => Math.round(pixels / one / STEP) * STEP;
    drag.lane = to;
    if (drag.mode === "end") drag.rows = clamp(STEP, snap(y - top) - drag.from, rowsOf(to) - drag.from);
    else drag.row = clamp(0, snap(y - drag.grip - top), rowsOf(to) - STEP);
    show();
  };
  const scroll = () => {   // at the edges the page goes along, and a wide sheet sideways
    if (!drag?.lifted) return;
    const wide = drag.lane.closest(".cal-wide, .cal-mid"), by = (at, from, to) => (at < from + EDGE ? -8 : at > to - EDGE ? 8 : 0);
    const head = document.querySelector(".topbar")?.getBoundingClientRect().bottom ?? 0, down = by(drag.y, head, innerHeight);
    if (down) window.scrollBy(0, down);
    if (wide) {
      const { left, right, top, bottom } = wide.getBoundingClientRect();
      wide.scrollLeft += by(drag.x, left, right);
      wide.scrollTop += by(drag.y, top + wide.querySelector(".cal-head").offsetHeight, Math.min(bottom, innerHeight));
    }
    if (down || wide) follow();
    requestAnimationFrame(scroll);
  };

  // ---------- Beginning and ending ----------
  const begin = (e, box) => {
    const lane = box.closest(".lane"), { top, bottom } = box.getBoundingClientRect(), from = Number(/\br(\d+)\b/.exec(box.className)?.[1]);
    const { start, minutes } = box.dataset;
    if (!lane?.dataset.marks || Math.abs(instant(lane, from) - Number(start)) >= MINUTES * 60) return;   // it began before this sheet does
    const mode = e.pointerType === "mouse" && bottom - e.clientY <= 6 && bottom - top > 20 ? "end" : "all";
    drag = { box, lane, home: lane, from, row: from, rows: Math.round(minutes / MINUTES), mode, grip: e.clientY - top, x: e.clientX, y: e.clientY, x0: e.clientX, y0: e.clientY, id: e.pointerId };
    drag.length = drag.rows;
    if (e.pointerType !== "mouse") drag.rest = setTimeout(() => { if (drag && !drag.lifted) lift(); }, REST);
  };
  const end = () => {
    clearTimeout(drag?.rest);
    document.documentElement.toggleAttribute("data-dragging", false);
    drag = null;
  };
  const putBack = (what) => {
    what?.ghost?.remove();
    what?.box.classList.remove("lifted");
  };
  const cancel = () => {
    putBack(drag);
    end();
    catchUp();
  };
  const catchUp = () => {   // what the sheet was not told while a box was in the air
    if (missed) refresh();
    missed = false;
  };
  const drop = () => {
    const { box, home, lane, row, rows, from, length } = drag, at = instant(lane, row);
    if (Number.isNaN(at) || (lane === home && row === from && rows === length)) { cancel(); return; }
    const values = { at: rows === length ? at : Number(box.dataset.start), part: "drop", version: box.dataset.version };
    if (lane.dataset.staff !== undefined) values.staff = lane.dataset.staff;
    if (rows !== length) values.minutes = rows * MINUTES;
    sent = drag;
    end();
    window.htmx.ajax("POST", `/appointments/${box.dataset.drag}/move`, { source: "#panel", target: "#panel", swap: "innerHTML", values });
  };

  // ---------- Listening ----------
  document.addEventListener("pointerdown", (e) => {
    const box = e.target.closest?.(".appt[data-drag]");
    if (!box || drag || sent?.box.isConnected || e.button || !e.isPrimary || e.ctrlKey || e.metaKey || e.shiftKey || !window.htmx) return;
    begin(e, box);
  });
  document.addEventListener("pointermove", (e) => {
    if (!drag || e.pointerId !== drag.id) return;
    Object.assign(drag, { x: e.clientX, y: e.clientY });
    const isFar = Math.hypot(drag.x - drag.x0, drag.y - drag.y0) > FAR;
    if (!drag.lifted && isFar && drag.rest) { end(); return; }   // the finger wants to scroll
    if (!drag.lifted && isFar) lift();
    if (drag.lifted) { e.preventDefault(); follow(); }
  });
  document.addEventListener("pointerup", (e) => {
    if (!drag || e.pointerId !== drag.id) return;
    if (!drag.lifted) { end(); return; }   // a click is a click
    swallow = true;
    setTimeout(() => { swallow = false; });
    drop();
  });
  document.addEventListener("pointercancel", (e) => { if (drag && e.pointerId === drag.id) cancel(); });
  document.addEventListener("click", (e) => { if (swallow) { swallow = false; e.preventDefault(); e.stopImmediatePropagation(); } }, true);
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !drag?.lifted) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    swallow = true;   // the button is still down
    addEventListener("pointerup", () => setTimeout(() => { swallow = false; }), { once: true });
    cancel();
  }, true);
  document.addEventListener("touchmove", (e) => { if (drag?.lifted) e.preventDefault(); }, { passive: false });
  document.addEventListener("contextmenu", (e) => { if (drag?.rest) e.preventDefault(); });   // a finger that rests means the box, not a menu
  document.addEventListener("dragstart", (e) => { if (e.target.closest?.(".appt[data-drag]")) e.preventDefault(); });
  addEventListener("blur", () => { if (drag?.lifted) cancel(); });

  // ---------- The sheet stays as it is while a box is in the air, and until it has been asked again after the drop ----------
  const isSheet = (ctx) => ctx?.sourceElement === sheet() || ctx?.target === sheet();
  const isDrop = (ctx) => ctx?.values?.part === "drop";
  const refresh = () => document.body.dispatchEvent(new CustomEvent("calendar-changed"));
  document.addEventListener("htmx:before:request", (e) => {
    const { ctx } = e.detail;
    if (!isSheet(ctx)) return;
    ctx.knows = sent?.done ? sent : null;   // asked after the drop was answered: shows where the box is now
    if (drag?.lifted) { missed = true; e.preventDefault(); }
  });
  document.addEventListener("htmx:before:swap", (e) => {
    const { ctx } = e.detail;
    if (!isSheet(ctx)) return;
    if (drag?.lifted || (sent && ctx.knows !== sent)) { missed = true; e.preventDefault(); }
    else if (sent) putBack(sent);   // before the morph, which would make the new box out of the copy
  });
  document.addEventListener("htmx:after:request", (e) => {
    if (isDrop(e.detail.ctx) && sent) sent.done = e.detail.ctx.response.status === 204;   // the answer asks for the new sheet
  });
  document.addEventListener("htmx:finally:request", (e) => {
    const { ctx } = e.detail;
    if (isDrop(ctx) && !sent?.done) { putBack(sent); sent = null; catchUp(); }
    if (!isSheet(ctx) || !sent?.done) return;
    if (ctx.knows === sent) { putBack(sent); sent = null; missed = false; }
    else setTimeout(refresh);   // an older look has come in between, and may have kept the newer one from being asked for
  });
})();
