// Builds the page. Whatever came over the wire goes in through here, as text and as attributes that cannot run.

const SVG = "http://www.w3.org/2000/svg";

function put(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Make an element; children that are strings become text. */
export function el(name, attributes = {}, ...children) {
  return put(document.createElement(name), attributes, children);
}

/** Make an element of SVG. */
export function svg(name, attributes = {}, ...children) {
  return put(document.createElementNS(SVG, name), attributes, children);
}

/** Set an element's text, if it is another one: what does not change is not announced, selected text stays. */
export function say(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Set an attribute, if it is another one. */
export function set(node, name, value) {
  const wanted = String(value);
  if (node.getAttribute(name) !== wanted) node.setAttribute(name, wanted);
}

const parts = new WeakMap();

/**
 * Make the children of an element those of a list: what is there is updated, never made anew, so that what
 * is opened, focused or selected stays so.
 *
 * `make(item)` returns an object with `root`, an element; `update(part, item)` fills it.
 */
export function list(parent, items, keyOf, make, update) {
  const before = parts.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    now.set(key, [before.get(key) ?? make(item), item]);
  }
  for (const [key, part] of before) if (!now.has(key)) part.root.remove();
  let place = parent.firstChild;
  for (const [part, item] of now.values()) {
    if (part.root === place) place = place.nextSibling;
    else parent.insertBefore(part.root, place);
    update(part, item);
  }
  parts.set(parent, new Map([...now].map(([key, [part]]) => [key, part])));
}

/** Make a table that is a list of cards on a narrow page; its roles are said, because CSS takes them away. */
export function table(label, columns) {
  const head = el("tr", { role: "row" }, ...columns.map(([name, kind]) =>
    el("th", { role: "columnheader", scope: "col", class: kind }, name)));
  const body = el("tbody", { role: "rowgroup" });
  const root = el("table", { role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, head), body);
  return { root, body };
}

/** Make a row of such a table, with a cell for each column. */
export function row(columns, attributes = {}) {
  const cells = columns.map(([name, kind]) => el("td", { role: "cell", class: kind, "data-label": name }));
  return { root: el("tr", { role: "row", ...attributes }, ...cells), cells };
}

/** Make a state, as a coloured dot and a word. */
export function badge() {
  const word = el("span", {});
  const root = el("span", { class: "badge" }, el("span", { class: "dot", "aria-hidden": "true" }), word);
  return { root, show(state) { set(root, "data-state", state); say(word, state); } };
}
