/** The blotter's tabs and the phone's panels. */

import { tabMark } from "./roving.js";

document.addEventListener("click", (event) => {
  const tab = event.target.closest('[role="tab"]');
  if (!tab) return;
  tabMark(tab);
  if (tab.dataset.blotter) document.body.dataset.blotter = tab.dataset.blotter;
  if (tab.dataset.panel) {
    tab.closest(".depth").dataset.panel = tab.dataset.panel;
    if (tab.dataset.panel === "orders") document.body.dispatchEvent(new Event("panel-orders"));
  }
});
