/** From review to sent order: one client order id, one button press, and an answer in every case. */

import { reviewLabel, ticket } from "./ticket.js";
import { formSend, jsonGet, SendError } from "./send.js";
import { noticeShow, toastShow } from "./toasts.js";

const CHECK_TRIES = 10;
const CHECK_EVERY_MS = 1000;
/** After these nobody knows whether the order was taken: a refusal always has a reason of its own. */
const UNKNOWN = ["timeout", "network", "server"];
const reviewDialog = document.getElementById("review-dialog");
const editDialog = document.getElementById("edit-dialog");

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

function accountChanged() {
  document.body.dispatchEvent(new Event("account-changed"));
}

function statusShow(dialog, text, tone = "") {
  const line = dialog.querySelector(".dialog-status");
  line.className = `dialog-status ${tone}`;
  line.textContent = text;
}

function buttonBusy(dialog, busy, label) {
  const button = dialog.querySelector('[type="submit"]');
  button.disabled = busy;
  button.textContent = busy ? label : button.dataset.label;
}

/** Ask the server for the review of the ticket as it stands, and open it. */
export async function reviewOpen() {
  const button = document.getElementById("review");
  if (!button || button.disabled || reviewDialog.open) return;
  button.disabled = true;
  try {
    const response = await fetch("/orders/review", {
      method: "POST", body: new FormData(ticket()), headers: { "HX-Request": "true", "X-CSRFToken": document.body.dataset.csrf },
      signal: AbortSignal.timeout(5000),
    });
    await reviewAnswer(response);
  } catch {
    toastShow({ tone: "error", title: "The review could not be opened", text: "No answer from the server. Nothing was sent; try again." });
  } finally {
    reviewLabel();
  }
}

async function reviewAnswer(response) {
  if (response.status === 401) return document.body.dispatchEvent(new Event("session-expired"));
  if (response.status === 422) {
    window.htmx.swap({ text: await response.text(), target: document.getElementById("preview"), swap: "innerHTML", sourceElement: ticket() });
    return undefined;
  }
  if (!response.ok) throw new Error(`status ${response.status}`);
  reviewDialog.innerHTML = await response.text();
  reviewDialog.showModal();
  reviewDialog.querySelector("h2").focus();
  return undefined;
}

async function orderSend(form) {
  const body = new FormData(form);
  statusShow(reviewDialog, "");
  buttonBusy(reviewDialog, true, "Sending…");
  try {
    orderSent((await formSend(form.action, body)).order);
  } catch (error) {
    if (UNKNOWN.includes(error.reason)) await orderCheck(body.get("client_order_id"));
    else orderRefused(error);
  }
}

function orderSent(order) {
  reviewDialog.close();
  document.dispatchEvent(new Event("ticket-close"));
  noticeShow(order);
  accountChanged();
}

function orderRefused(error) {
  buttonBusy(reviewDialog, false);
  statusShow(reviewDialog, error.message, "error");
}

/** The answer was lost: look for the order by its client id; never send it again. */
async function orderCheck(clientOrderId) {
  statusShow(reviewDialog, "We don't know yet if this order was received. Checking…");
  for (let attempt = 0; attempt < CHECK_TRIES; attempt += 1) {
    await pause(CHECK_EVERY_MS);
    try {
      orderSent((await jsonGet(`/orders/by-client-id/${encodeURIComponent(clientOrderId)}`)).order);
      return;
    } catch (error) {
      if (!(error instanceof SendError) || error.status !== 404) continue;
    }
  }
  statusShow(reviewDialog, `The order was not found after ${CHECK_TRIES} seconds. Look at Open orders before you send another. Reference ${clientOrderId}.`, "error");
}

async function orderReplace(form) {
  buttonBusy(editDialog, true, "Replacing…");
  try {
    const { order } = await formSend(form.action, new FormData(form));
    editDialog.close();
    noticeShow(order);
    accountChanged();
  } catch (error) {
    buttonBusy(editDialog, false);
    statusShow(editDialog, error.message, "error");
  }
}

async function orderCancel(button) {
  button.disabled = true;
  try {
    await formSend(button.dataset.cancel, new FormData());
    accountChanged();
  } catch (error) {
    button.disabled = false;
    toastShow({ tone: error.status === 409 ? "notice" : "error", title: "Not cancelled", text: error.message });
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "review-form" && form.id !== "edit-form") return;
  event.preventDefault();
  const button = form.querySelector('[type="submit"]');
  if (button.disabled) return;
  if (form.id === "review-form") orderSend(form);
  else orderReplace(form);
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#review")) reviewOpen();
  const cancel = event.target.closest("[data-cancel]");
  if (cancel) orderCancel(cancel);
});

// Enter sends from anywhere in the review but its own buttons; a key held down since before does not count.
reviewDialog?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.target.closest("button")) return;
  event.preventDefault();
  reviewDialog.querySelector("form")?.requestSubmit();
});

document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx?.target !== editDialog || editDialog.open) return;
  editDialog.showModal();
  editDialog.querySelector("input[inputmode]")?.focus();
});
