type Child = Node | string | undefined;

/** A new element. An attribute that is `true` is set empty, `false` or undefined left out. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | boolean | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "string") element.setAttribute(name, value);
    else if (value === true) element.setAttribute(name, "");
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A sentence whose `commands` in backticks become code. */
export function sentence(text: string): Node[] {
  return text
    .split("`")
    .map((part, index) => (index % 2 === 1 ? make("code", {}, part) : document.createTextNode(part)));
}

/** The element of index.html with this id. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`index.html has no #${id} of the right kind`);
}

/** Outlines on a grid of 24. */
const outlines = {
  send: "M12 19V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12l5 5 9-10",
  again: "M20 11a8 8 0 1 0-2 6M20 4v7h-7",
} as const;

/** A decorative icon in the colour of the text. */
export function icon(name: keyof typeof outlines): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", outlines[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and a name, which is shown where `text` is true. */
export function iconButton(name: keyof typeof outlines, label: string, text = false): HTMLButtonElement {
  return make(
    "button",
    { type: "button", class: text ? "quiet" : "quiet icon-only", "aria-label": text ? undefined : label, title: label },
    icon(name),
    text ? label : undefined,
  );
}
