// Where the page begins: what is to be done here, and by whom.

import { alarm, byId, make } from "./make.js";
import { adjudicate } from "./adjudicate.js";
import { label } from "./label.js";
import { get } from "./wire.js";

try {
  const task = await get("/api/task");
  document.body.dataset.mode = task.mode;
  await (task.mode === "adjudicate" ? adjudicate(task) : label(task));
} catch (error) {
  alarm(error.message);
  byId("material-body").append(make("p", { class: "trouble" }, error.message));
}
