// The last attempts that failed, each with its traceback.

import { el, list, say, set } from "./dom.js";
import * as words from "./words.js";

// without its time: that is reckoned anew for each snapshot, and what is opened has to stay open
const keyOf = (failure) => JSON.stringify([failure.task, failure.id, failure.attempt]);

export class Failures {
  constructor(parent, summary) {
    Object.assign(this, { parent, summary });
  }

  update({ failures, failed }) {
    const text = failures.length
      ? `The last ${words.plural(failures.length, "attempt")} that failed; ${words.plural(failed, "task")} failed for good.`
      : "No attempt has failed.";
    say(this.summary, text);
    list(this.parent, failures, keyOf, (failure) => this.make(failure), () => {});
  }

  make(failure) {
    const verdict = failure.final ? "failed for good" : "tried again";
    const head = el("summary", {},
      el("span", { class: "what" },
        el("strong", {}, failure.type), failure.text ? `: ${failure.text}` : ""),
      el("span", { class: "note" },
        el("span", { class: "verdict", "data-final": failure.final ? "yes" : "no" }, verdict),
        ` ${failure.task} ${failure.id}, attempt ${failure.attempt}, ${words.time(failure.time)}, ${failure.worker}`));
    const trace = el("pre", { tabindex: "0", role: "region", "aria-label": "Traceback" },
      failure.traceback || "There is no traceback.");
    const root = el("details", { class: "failure" }, head, trace);
    set(root, "data-id", failure.id);
    return { root };
  }
}
