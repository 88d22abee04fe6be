/** Opening and closing: dialogs, the ticket sheet of small screens, the phone's views. */

const sheetScrim = document.querySelector("[data-sheet-scrim]");
const panel = () => document.getElementById("ticket-panel");
let opener = null;

export function dialogOpen(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  dialog.showModal();
  (dialog.querySelector("input") ?? dialog.querySelector("h2"))?.focus();
  dialog.querySelector("[hx-get]")?.dispatchEvent(new Event("search-open"));
}

const small = matchMedia("(max-width: 1199.98px)");
const phone = matchMedia("(max-width: 759.98px)");

function backgroundInert(on) {
  for (const part of document.querySelectorAll(".app > *, .workspace > *, .phone-nav")) {
    if (part.id !== "ticket-panel" && part.id !== "workspace") part.inert = on;
  }
}

export function sheetOpen() {
  if (!small.matches || !panel()) return;
  opener = document.activeElement;
  document.body.dataset.sheet = "ticket";
  if (phone.matches) {
    sheetScrim.hidden = false;
    panel().setAttribute("role", "dialog");
    panel().setAttribute("aria-modal", "true");
    backgroundInert(true);
  }
  panel().querySelector('[data-radio="side"] [aria-checked="true"]').focus({ preventScroll: true });
}

export function sheetClose() {
  if (!document.body.dataset.sheet) return;
  delete document.body.dataset.sheet;
  if (sheetScrim) sheetScrim.hidden = true;
  panel()?.removeAttribute("role");
  panel()?.removeAttribute("aria-modal");
  backgroundInert(false);
  opener?.focus?.({ preventScroll: true });
}

export function viewSet(view) {
  document.body.dataset.view = view;
  for (const link of document.querySelectorAll(".phone-nav [data-view-link]")) {
    if (link.dataset.viewLink === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
}

document.addEventListener("click", (event) => {
  const open = event.target.closest("[data-open]");
  if (open) {
    open.closest("[popover]")?.hidePopover();
    dialogOpen(open.dataset.open);
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  if (event.target.closest("[data-sheet-close], [data-sheet-scrim]")) sheetClose();
  if (event.target.nodeName === "DIALOG" && event.target.id === "search-dialog") event.target.close();
  const link = event.target.closest("[data-view-link]");
  if (link && document.body.classList.contains("trade") && phone.matches) {
    event.preventDefault();
    viewSet(link.dataset.viewLink);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) sheetClose();
});
document.addEventListener("ticket-open", sheetOpen);
document.addEventListener("ticket-close", sheetClose);
document.body.addEventListener("session-expired", () => {
  document.querySelector("[data-login]").search = `?next=${encodeURIComponent(location.pathname)}`;
  dialogOpen("signed-out-dialog");
});
if (document.body.classList.contains("trade") && new URLSearchParams(location.search).get("view") === "watch") viewSet("watch");
