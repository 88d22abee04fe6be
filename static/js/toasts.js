/** Toasts: three at most, one per order, and the message list behind the bell. */

import { exchangeTime } from "./clock.js";

const VISIBLE_MAX = 3;
const DISMISS_MS = 6000;
const KEEP_MS = 86400000;
const KEEP_MAX = 100;
const ASKED_MAX = 5;
const KEY = `messages-${document.body.dataset.account}`;

const ICONS = {
  success: '<path d="m3.5 8.5 3 3 6-7"/>',
  error: '<path d="M8 2 1.8 13.2h12.4ZM8 6.5v3M8 11.4v.01"/>',
  notice: '<circle cx="8" cy="8" r="6"/><path d="M8 7.3v3.7M8 5v.01"/>',
};
const host = document.getElementById("toasts");
const timers = new WeakMap();
const unread = new Set();

function kept() {
  try {
    const since = Date.now() - KEEP_MS;
    return JSON.parse(localStorage.getItem(KEY) ?? "[]").filter((message) => message.at > since);
  } catch {
    return [];
  }
}

function messagesShow() {
  const lists = document.querySelectorAll("[data-messages]");
  const messages = kept();
  for (const list of lists) {
    if (!messages.length) continue;
    list.replaceChildren(...messages.map((message) => {
      const item = document.createElement("li");
      const [time, title, text] = ["time", "b", "p"].map((tag) => item.appendChild(document.createElement(tag)));
      time.textContent = `${exchangeTime(message.at)} ET`;
      title.textContent = message.title;
      text.textContent = message.text;
      return item;
    }));
  }
  for (const badge of document.querySelectorAll("[data-unread]")) {
    badge.hidden = !unread.size;
    badge.textContent = unread.size > 9 ? "9+" : unread.size;
  }
}

function messageKeep({ key, tone, title, text }) {
  const others = kept().filter((message) => message.key !== key);
  localStorage.setItem(KEY, JSON.stringify([{ key, tone, title, text, at: Date.now() }, ...others].slice(0, KEEP_MAX)));
  unread.add(key);
  messagesShow();
}

function toastBuild(key) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset.key = key;
  toast.dataset.testid = "toast";
  toast.innerHTML = '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"></svg><div><b></b><p></p></div>'
    + '<button class="icon-button" type="button" aria-label="Dismiss"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="m4.5 4.5 7 7M11.5 4.5l-7 7"/></svg></button>';
  toast.querySelector("button").addEventListener("click", () => toast.remove());
  return toast;
}

/** Show a message; one with the same key (an order's id) replaces the former. */
export function toastShow({ key = crypto.randomUUID(), tone = "notice", title, text = "" }) {
  const toast = host.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? host.appendChild(toastBuild(key));
  toast.className = `toast ${tone}`;
  toast.querySelector("svg").innerHTML = ICONS[tone] ?? ICONS.notice;
  toast.querySelector("b").textContent = title;
  toast.querySelector("p").textContent = text;
  while (host.childElementCount > VISIBLE_MAX) host.firstElementChild.remove();
  clearTimeout(timers.get(toast));
  timers.set(toast, setTimeout(() => toast.remove(), DISMISS_MS));
  messageKeep({ key, tone, title, text });
}

const UNDECIDED = ["PENDING", "PENDING_CANCEL", "PENDING_REPLACE"];
const shown = new Map();

/** Show where an order stands, once for each standing. */
export function noticeShow({ order, status, tone, title, text }) {
  const before = shown.get(order);
  // The answer to sending may come after the event that followed it.
  if (before && (before.title === title || status === "PENDING")) return;
  shown.delete(order);
  shown.set(order, { title, status });
  if (shown.size > KEEP_MAX) shown.delete(shown.keys().next().value);
  toastShow({ key: order, tone, title, text });
}

export const noticesUndecided = () => [...shown].filter(([, one]) => UNDECIDED.includes(one.status)).map(([order]) => order).slice(-ASKED_MAX);

document.getElementById("messages-menu")?.addEventListener("toggle", (event) => {
  if (event.newState === "open") unread.clear();
  messagesShow();
});
messagesShow();
