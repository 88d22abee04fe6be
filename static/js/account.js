/** The account's own stream: each event refreshes the figures and updates one toast per order. */

import { bus } from "./bus.js";
import { jsonGet } from "./send.js";
import { noticeShow, noticesUndecided, toastShow } from "./toasts.js";

const REFRESH_EVERY_MS = 5000;
const NOTICE_DELAY_MS = 120;
const SHOWN = /FILL|REJECT|CANCEL|EXPIRE|REPLACE|NEW|ACCEPT|TRIGGER/;
const TOO_LATE = {
  ORDER_CANCEL_REJECTED: "Not cancelled",
  ORDER_REPLACE_REJECTED: "Not replaced",
};
const RACE_MS = 2000;
const waiting = new Map();
let eventAt = -RACE_MS;

function accountChanged() {
  document.body.dispatchEvent(new Event("account-changed"));
}

async function noticeLoad(order) {
  waiting.delete(order);
  try {
    noticeShow((await jsonGet(`/orders/${order}`)).order);
  } catch { /* the blotter shows the order; a toast about it is not worth an error */ }
}

/** Orders shown as not yet decided are asked for again, should their event have been missed. */
function undecidedLoad() {
  for (const order of noticesUndecided()) noticeLoad(order);
}

function orderOf(data) {
  const id = String(data?.replacement_id ?? data?.public_id ?? data?.order_id ?? "");
  return /^([0-9a-f-]{36}|\d{1,19})$/i.test(id) ? id : null;
}

bus.addEventListener("account", ({ detail }) => {
  eventAt = performance.now();
  accountChanged();
  const { event_type: kind = "", data } = detail.event ?? {};
  if (TOO_LATE[kind]) {
    const text = data?.reason === "TOO_LATE" ? "The order had already ended." : "The order stays as it was.";
    toastShow({ key: `late-${data?.order_id}`, title: `${data?.order?.symbol ?? data?.symbol ?? "Order"}: ${TOO_LATE[kind].toLowerCase()}`, text });
    return;
  }
  const order = orderOf(data);
  if (!order || !SHOWN.test(kind) || waiting.has(order)) return;
  waiting.set(order, setTimeout(() => noticeLoad(order), NOTICE_DELAY_MS));
});
// A tab's table may have been read before an event that came while it was on its way.
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx?.target?.id === "blotter-body" && performance.now() - eventAt < RACE_MS) accountChanged();
});

bus.addEventListener("account-gap", () => {
  accountChanged();
  undecidedLoad();
});

setInterval(() => {
  if (document.hidden || bus.state !== "live") return;
  document.body.dispatchEvent(new Event("market-refresh"));
  undecidedLoad();
}, REFRESH_EVERY_MS);
