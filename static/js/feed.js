/** Says plainly how live the page is: status bar, banner, greyed panels, the exchange's clock. */

import { bus } from "./bus.js";
import { exchangeTime } from "./clock.js";

const LABELS = { connecting: "Connecting", live: "Live", quiet: "Live", stale: "Reconnecting" };
const banner = document.getElementById("feed-banner");
const announcer = document.getElementById("announcer");
let beatClock = null;

function textEach(selector, text) {
  for (const element of document.querySelectorAll(selector)) if (element.textContent !== text) element.textContent = text;
}

function ageText(state, silentMs) {
  if (state === "stale") return bus.serverTime ? `last update ${Math.round(silentMs / 1000)} s ago` : "";
  const age = bus.feedAgeMs;
  if (age === null || age === undefined) return state === "connecting" ? "" : "no tick yet";
  return age < 1000 ? `${age} ms` : `last tick ${Math.round(age / 1000)} s ago`;
}

function bannerShow(state, silentMs) {
  if (!banner) return;
  banner.hidden = state !== "stale";
  if (state !== "stale") return;
  const since = bus.serverTime ? `Last update ${exchangeTime(bus.serverTime)} ET, ${Math.round(silentMs / 1000)} s ago. ` : "";
  banner.querySelector("[data-banner-text]").innerHTML = "<b>Live prices are paused.</b> "
    + `${since}Reconnecting, attempt ${Math.max(1, bus.attempt)}. New orders wait until prices are live. Cancelling still works.`;
}

bus.addEventListener("feed", ({ detail: { state, changed, silentMs } }) => {
  document.body.dataset.feed = state;
  textEach("[data-feed-label]", LABELS[state]);
  textEach("[data-feed-age]", ageText(state, silentMs));
  bannerShow(state, silentMs);
  if (changed && state !== "connecting" && announcer) {
    announcer.textContent = state === "stale" ? "Live prices are paused." : "Prices are live.";
  }
});

function clockSet({ detail }) {
  beatClock = Date.parse(detail.server_time) - performance.now();
}

bus.addEventListener("hello", clockSet);
bus.addEventListener("heartbeat", clockSet);
setInterval(() => {
  if (beatClock !== null) textEach("[data-clock]", exchangeTime(beatClock + performance.now()));
}, 500);

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-feed-retry]")) bus.retryNow();
});
