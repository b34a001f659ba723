"use strict";
/* Keeps a page of the local Tuner up to date without reloading it, and makes a call's timeline answer the pointer
   and the keyboard. Without this script every page works and shows the state at its loading. */

// ---- Live changes: on each, the same page is fetched, and only what differs is put into this one.

const live = document.getElementById("live");
let source = null;
let fetching = false;
let again = false;

function say(words, isAway) {
  live.hidden = false;
  live.textContent = words;
  live.classList.toggle("away", isAway);
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource("/local/changes");
  source.onopen = () => say("live", false);
  source.onmessage = () => refresh();
  source.onerror = () => {
    say("reconnecting…", true);
    if (source.readyState === EventSource.CLOSED) { rest(); setTimeout(listen, 2000); }
  };
}

function rest() {
  if (source) source.close();
  source = null;
}

async function refresh(address = location.href) {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch { /* the stream says that the server is away, and tells again when it is back */ }
  await new Promise((resolve) => setTimeout(resolve, 200));
  fetching = false;
  if (again) { again = false; refresh(); }
}

function show(page) {
  morph(document.getElementById("main"), page.getElementById("main"));
  drawWindow();
}

const sameKind = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" || name === "style" || name === "class")) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wantedIds = new Set([...fresh.children].map((child) => child.id));
  const kept = new Map();
  for (const child of [...old.children]) {
    if (!child.id) continue;
    if (wantedIds.has(child.id)) kept.set(child.id, child);
    else child.remove();
  }
  let at = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let match = wanted.id ? kept.get(wanted.id) : at;
    if (match && !sameKind(match, wanted)) match = null;
    // Moving an element takes the focus from it: rather drop what stands before it.
    while (match?.id && at && at !== match && !at.id) { const next = at.nextSibling; at.remove(); at = next; }
    if (!match) {
      match = document.importNode(wanted, true);
      if (match.nodeName === "TR") match.classList.add("fresh");
      old.insertBefore(match, at);
    } else {
      if (match !== at) old.insertBefore(match, at);
      morph(match, wanted);
    }
    at = match.nextSibling;
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
window.addEventListener("pagehide", rest);
window.addEventListener("pageshow", listen);

// ---- The timeline of a call.

const $ = (id) => document.getElementById(id);
const bars = () => [...document.querySelectorAll("#strip .bar")].sort((a, b) => left(a) - left(b));
const left = (bar) => Number(bar.querySelector("rect").getAttribute("x"));
let card = null;

function drawWindow() {
  const strip = $("strip"), frame = $("window");
  if (!strip || !frame) return;
  frame.style.left = `${(100 * strip.scrollLeft) / strip.scrollWidth}%`;
  frame.style.width = `${(100 * strip.clientWidth) / strip.scrollWidth}%`;
}

function line(parent, className, text) {
  if (!text) return;
  const p = document.createElement("p");
  p.className = className;
  p.textContent = text;
  parent.append(p);
}

function spoken(parent, data, ms) {
  const words = data.words.split("\n").map((word) => [parseInt(word, 10), word.slice(word.indexOf(" ") + 1)]);
  const p = document.createElement("p");
  words.forEach(([start, word], index) => {
    const next = words[index + 1];
    const part = document.createElement(ms !== null && ms >= start && (!next || ms < next[0]) ? "mark" : "span");
    part.textContent = word;
    p.append(part, " ");
  });
  parent.append(p);
}

function openCard(target, x, ms) {
  closeCard();
  const timeline = $("timeline");
  card = document.createElement("div");
  card.className = "hover";
  card.setAttribute("role", "tooltip");
  line(card, "at", target.dataset.at);
  if (target.dataset.words) spoken(card, target.dataset, ms);
  else line(card, "", target.dataset.card);
  line(card, "at", target.dataset.parts);
  line(card, target.classList.contains("step") ? "at" : "note", target.dataset.note);
  document.body.append(card);
  const box = target.querySelector("rect").getBoundingClientRect();
  const across = Math.min(Math.max(8, x - card.offsetWidth / 2), document.documentElement.clientWidth - card.offsetWidth - 8);
  const below = timeline.getBoundingClientRect().bottom;
  card.style.left = `${across + scrollX}px`;
  card.style.top = `${(box.top > card.offsetHeight + 12 ? box.top - card.offsetHeight - 8 : Math.min(box.bottom + 8, below)) + scrollY}px`;
}

function closeCard() {
  if (card) card.remove();
  card = null;
}

function light(number) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (!number) return;
  $(`turn-${number}`)?.classList.add("lit");
  document.querySelector(`#strip .bar[data-turn="${number}"]`)?.classList.add("lit");
}

async function zoom(link, x) {
  const strip = $("strip");
  const middle = x ?? strip.clientWidth / 2;
  const share = (strip.scrollLeft + middle) / strip.scrollWidth;
  history.replaceState(null, "", link.getAttribute("href"));
  const answer = await fetch(location.href);
  show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  $("strip").scrollLeft = share * $("strip").scrollWidth - middle;
  drawWindow();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[id^=zoom-]");
  if (link) { event.preventDefault(); zoom(link); }
  const map = event.target.closest("#map");
  if (map) {
    const box = map.getBoundingClientRect(), strip = $("strip");
    strip.scrollLeft = ((event.clientX - box.left) / box.width) * strip.scrollWidth - strip.clientWidth / 2;
  }
});

document.addEventListener("pointermove", (event) => {
  const strip = $("strip"), cursor = $("cursor");
  if (!strip) return;
  const inside = event.target.closest("#strip") === strip;
  cursor.setAttribute("visibility", inside ? "visible" : "hidden");
  const row = event.target.closest("ol.turns > li");
  const target = inside ? event.target.closest("[data-card]") : null;
  light(target?.dataset.turn ?? row?.id.slice(5));
  if (!inside) { closeCard(); return; }
  const x = event.clientX - strip.querySelector("svg").getBoundingClientRect().left;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  if (target) openCard(target, event.clientX, x * Number($("timeline").dataset.msPerPx));
  else closeCard();
});

document.addEventListener("focusin", (event) => {
  const bar = event.target.closest("#strip .bar");
  if (!bar || !bar.matches(":focus-visible")) return;
  bar.scrollIntoView({ block: "nearest", inline: "nearest" });
  openAtFocus();
  light(bar.dataset.turn);
});

function openAtFocus() {
  const bar = document.querySelector("#strip .bar:focus-visible");
  if (!bar) { closeCard(); return; }
  const box = bar.querySelector("rect").getBoundingClientRect();
  openCard(bar, box.left + box.width / 2, null);
}
document.addEventListener("focusout", closeCard);

document.addEventListener("keydown", (event) => {
  const strip = $("strip");
  if (event.key === "Escape") { closeCard(); return; }
  if (event.key === "/" && !event.target.closest("input")) { event.preventDefault(); document.querySelector(".search input").focus(); return; }
  if (!strip || !strip.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "0": "zoom-fit" }[event.key];
  if (key) { event.preventDefault(); const link = $(key); if (link.href) zoom(link); return; }
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = bars(), here = all.indexOf(event.target.closest(".bar"));
  const shown = all.filter((bar) => left(bar) >= strip.scrollLeft && left(bar) < strip.scrollLeft + strip.clientWidth);
  const next = here < 0 ? shown.at(step > 0 ? 0 : -1) ?? all[0] : all[here + step];
  next?.focus({ focusVisible: true });
});

document.addEventListener("scroll", (event) => { if (event.target === $("strip")) { drawWindow(); openAtFocus(); } }, true);
window.addEventListener("resize", drawWindow);
drawWindow();
listen();
